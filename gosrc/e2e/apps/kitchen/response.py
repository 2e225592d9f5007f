# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""The order of things: start_response, write, exc_info, chunks."""

import sys
import time

from .common import TEXT, note, query, reply, rest, wait_for


def plain(environ, start_response):
    return reply(start_response, "plain")


def write(environ, start_response):
    put = start_response("200 OK", [TEXT])
    put(b"one,")
    put(b"two,")
    return [b"three"]


def write_only(environ, start_response):
    put = start_response("200 OK", [TEXT, ("Content-Length", "7")])
    put(b"written")
    return []


def write_waits(environ, start_response):
    """Each write() is out before it returns."""
    put = start_response("200 OK", [TEXT])
    put(b"first")
    wait_for(rest(environ))
    put(b"second")
    return [b"third"]


def write_str(environ, start_response):
    start_response("200 OK", [TEXT])("text")
    return []


def late_start(environ, start_response):
    start_response("201 Created", [TEXT])
    yield b"from the generator"


def twice(environ, start_response):
    start_response("200 OK", [TEXT])
    start_response("201 Created", [TEXT])
    return [b"never"]


def twice_caught(environ, start_response):
    """A second call that the application survives changes nothing."""
    start_response("200 OK", [TEXT])
    try:
        start_response("201 Created", [TEXT])
    except Exception as exc:  # noqa: BLE001
        return [type(exc).__name__.encode()]
    return [b"not an error"]


def exc_first(environ, start_response):
    try:
        raise KeyError("first")
    except KeyError:
        start_response("500 Oops", [TEXT], sys.exc_info())
    return [b"told"]


def exc_replaces(environ, start_response):
    start_response("200 OK", [TEXT, ("X-First", "yes")])
    try:
        raise KeyError("inside")
    except KeyError:
        start_response("503 Busy", [TEXT, ("X-Second", "yes")], sys.exc_info())
    return [b"replaced"]


def exc_replaces_after_empty(environ, start_response):
    """Empty chunks do not send the headers."""
    start_response("200 OK", [TEXT, ("X-First", "yes")])
    yield b""
    yield b""
    try:
        raise KeyError("inside")
    except KeyError:
        start_response("503 Busy", [TEXT, ("X-Second", "yes")], sys.exc_info())
    yield b"replaced"


def exc_none(environ, start_response):
    """exc_info=None is as if it were not given: the second call fails."""
    start_response("200 OK", [TEXT], None)
    start_response("201 Created", [TEXT], None)
    return [b"never"]


def exc_sent(environ, start_response):
    """After the headers the exception itself is raised again."""
    start_response("200 OK", [TEXT])
    yield b"sent"
    try:
        raise KeyError("original")
    except KeyError:
        try:
            start_response("503 Busy", [TEXT], sys.exc_info())
        except BaseException as exc:
            note(rest(environ), repr(exc))
            raise


def empty_first(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b""
    yield b""
    wait_for(rest(environ))
    yield b""
    yield b"body"


def head_waits(environ, start_response):
    start_response("200 OK", [TEXT])
    wait_for(rest(environ))
    yield b"body"


def chunks(environ, start_response):
    """Three chunks, each of the last two after an event."""
    name = rest(environ)
    start_response("200 OK", [TEXT])
    yield b"one"
    wait_for(name + "-2")
    yield b"two"
    wait_for(name + "-3")
    yield b"three"


def empty_between(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b"a"
    yield b""
    yield b"b"
    yield b""


def big(environ, start_response):
    """"count" chunks of "size" bytes."""
    args = query(environ)
    start_response("200 OK", [TEXT])
    chunk = b"x" * int(args["size"])
    for _ in range(int(args["count"])):
        yield chunk


def drips(environ, start_response):
    """Without an end, and slowly."""
    start_response("200 OK", [TEXT])
    name = rest(environ)
    try:
        while True:
            yield b"x" * 65536
            time.sleep(0.01)
    finally:
        note(name, "closed")


def counted(environ, start_response):
    """As big, with a note of each chunk that is asked for."""
    args, name = query(environ), rest(environ)
    start_response("200 OK", [TEXT])
    chunk = b"x" * int(args["size"])
    for i in range(int(args["count"])):
        note(name, i)
        yield chunk
