# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies that arrive while the application runs, and clients that go."""

import hashlib
import time

from .common import TEXT, note, query, rest, wait_for
from .output import block


def lines(environ, start_response):
    """Answers each line of the body when it has come."""
    start_response("200 OK", [TEXT])
    yield b"started\n"
    for line in environ["wsgi.input"]:
        yield line.upper()
    yield b"end\n"


def pieces(environ, start_response):
    """What read1() gives, one by one."""
    start_response("200 OK", [TEXT])
    yield b"started"
    while piece := environ["wsgi.input"].read1():
        yield piece


def digest(environ, start_response):
    """The body's length, SHA-256, and what was said of its length."""
    total, sha = 0, hashlib.sha256()
    while block := environ["wsgi.input"].read(65536):
        total += len(block)
        sha.update(block)
    start_response("200 OK", [TEXT])
    said = environ.get("CONTENT_LENGTH", "none")
    return [f"{total} {sha.hexdigest()} {said}".encode()]


def held(environ, start_response):
    """Reads one byte, then nothing until the event is set, then all."""
    count = len(environ["wsgi.input"].read(1))
    note(rest(environ), "one")
    wait_for(rest(environ))
    count += len(environ["wsgi.input"].read())
    start_response("200 OK", [TEXT])
    return [str(count).encode()]


def late(environ, start_response):
    """Reads the body when its answer has begun, then gives so many blocks."""
    start_response("200 OK", [TEXT])
    yield b"first"
    environ["wsgi.input"].read()
    for number in range(int(rest(environ))):
        yield block(number, 65536)


def unread(environ, start_response):
    start_response("200 OK", [TEXT])
    return [b"unread"]


def vanished(environ, start_response):
    """Notes what read() raises when the client goes."""
    name = rest(environ)
    note(name, "reads")
    try:
        environ["wsgi.input"].read()
    except OSError as exc:
        note(name, type(exc).__name__)
        raise
    note(name, "complete")
    start_response("200 OK", [TEXT])
    return []


def computing(environ, start_response):
    """Pure Python, until an exception or the end of the test's patience."""
    name = rest(environ)
    end = time.monotonic() + 20
    try:
        note(name, "computes")
        while time.monotonic() < end:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001, S110: an Exception would be lost
                pass
    except BaseException as exc:
        note(name, type(exc).__name__)
        raise
    note(name, "computed to the end")
    start_response("200 OK", [TEXT])
    return []


def watching(environ, start_response):
    """Notes what nginx.disconnected() says before and after the event."""
    name = rest(environ)
    gone = environ["nginx.disconnected"]
    note(name, gone())
    wait_for(name)
    end = time.monotonic() + 3
    while not gone() and time.monotonic() < end:
        time.sleep(0.005)
    note(name, gone())
    start_response("200 OK", [TEXT])
    return [b"watched"]


def finishing(environ, start_response):
    """A generator that is asked to its end, or not."""
    name = rest(environ)
    start_response("200 OK", [TEXT])
    yield b"first"
    wait_for(name)
    for _ in range(100):
        yield b"x" * 1000
    note(name, "finished")


def redirects(environ, start_response):
    """Reads as many bytes as the path says, then leaves the answer to another."""
    environ["wsgi.input"].read(int(rest(environ)))
    start_response("200 OK", [TEXT, ("X-Accel-Redirect", query(environ)["to"])])
    return [b"dropped"]
