# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""wsgi.input."""

import hashlib
import os
import sys
import tempfile

from .common import note, query, reply, reply_json, rest, wait_for


def _step(stream, step):
    name, _, argument = step.partition(":")
    if name == "next":
        return next(stream, None)
    if name == "iter":
        return list(stream)
    # A name of its own for each request would fill CPython's type cache slowly,
    # which looks like a leak.
    method = getattr(stream, sys.intern(name))
    if not argument:
        return method()
    return method(None if argument == "None" else int(argument))


def steps(environ, start_response):
    """Reads as the query says: ?do=read:5,readline,readlines"""
    stream = environ["wsgi.input"]
    result = []
    for step in query(environ)["do"].split(","):
        try:
            value = _step(stream, step)
        except Exception as exc:  # noqa: BLE001
            value = type(exc).__name__.encode()
        if isinstance(value, list):
            result.append([line.decode("latin-1") for line in value])
        elif value is None:
            result.append(None)
        else:
            result.append(value.decode("latin-1"))
    return reply_json(start_response, result)


def unread(environ, start_response):
    return reply(start_response, "unread")


def echo(environ, start_response):
    data = environ["wsgi.input"].read()
    return reply(start_response, data)


def echo_length(environ, start_response):
    """As an old application reads: CONTENT_LENGTH bytes."""
    data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return reply(start_response, data)


def digest(environ, start_response):
    """Length and hash, read in pieces of "size"."""
    size = int(query(environ).get("size", 8192))
    total, sha = 0, hashlib.sha256()
    while data := environ["wsgi.input"].read(size):
        total += len(data)
        sha.update(data)
    return reply_json(start_response, [total, sha.hexdigest()])


def lines(environ, start_response):
    """Number of lines and hash of what iteration gives."""
    count, sha = 0, hashlib.sha256()
    for line in environ["wsgi.input"]:
        count += 1
        sha.update(line)
    return reply_json(start_response, [count, sha.hexdigest()])


kept = []


def keep(environ, start_response):
    """Keeps the stream beyond its request."""
    kept.append(environ["wsgi.input"])
    return reply(start_response, "kept")


def stale(environ, start_response):
    """What a kept stream does after its request."""
    try:
        kept.pop().read()
    except Exception as exc:  # noqa: BLE001
        return reply(start_response, type(exc).__name__)
    return reply(start_response, "nothing raised")


def while_streaming(environ, start_response):
    """Reads a part, sends a part: both directions at once."""
    start_response("200 OK", [])
    while data := environ["wsgi.input"].read(4):
        yield data.upper()


def early(environ, start_response):
    """Notes that it was called, then waits."""
    name = rest(environ)
    note(name, "called")
    wait_for(name)
    return reply(start_response, "early")


def rename(environ, start_response):
    """Takes the file of the body by its name, without reading it."""
    path = environ.get("nginx.request_body_file")
    if path is None:
        return reply(start_response, "no file")
    mine = path + ".mine"
    os.rename(path, mine)
    with open(mine, "rb") as file:
        data = file.read()
    os.unlink(mine)
    return reply(start_response, data)


def copy_fd(environ, start_response):
    """Copies the body from descriptor to descriptor."""
    try:
        source = environ["wsgi.input"].fileno()
    except OSError as exc:
        return reply(start_response, type(exc).__name__)
    with tempfile.TemporaryFile() as target:
        while os.sendfile(target.fileno(), source, None, 1 << 20):
            pass
        target.seek(0)
        return reply(start_response, target.read())
