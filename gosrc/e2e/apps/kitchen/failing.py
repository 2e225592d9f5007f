# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Applications that break the rules, each in one way."""

from .common import TEXT, query, rest


def before(environ, start_response):
    raise ValueError("before the headers, \u017elu\u0165")


def after_start(environ, start_response):
    start_response("200 OK", [TEXT])
    raise ValueError("after start_response")


def at_first(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b""
    raise ValueError("before the first chunk")


def late(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b"a part"
    raise ValueError("after the first chunk")


def late_length(environ, start_response):
    start_response("200 OK", [TEXT, ("Content-Length", "20")])
    yield b"a part"
    raise ValueError("after the first chunk")


def late_big(environ, start_response):
    start_response("200 OK", [TEXT])
    for _ in range(16):
        yield b"x" * 65536
    raise ValueError("after a megabyte")


def no_start(environ, start_response):
    return [b"orphan"]


def no_start_empty(environ, start_response):
    return []


def returns_none(environ, start_response):
    start_response("200 OK", [TEXT])


def returns_int(environ, start_response):
    start_response("200 OK", [TEXT])
    return 42


def returns_str(environ, start_response):
    start_response("200 OK", [TEXT])
    return "text"


def str_chunk(environ, start_response):
    start_response("200 OK", [TEXT])
    return ["text"]


def str_chunk_late(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b"a part"
    yield "text"


def none_chunk(environ, start_response):
    start_response("200 OK", [TEXT])
    return [None]


def int_chunk(environ, start_response):
    start_response("200 OK", [TEXT])
    return iter([5])


def system_exit(environ, start_response):
    raise SystemExit("an application that exits")


def keyboard_interrupt(environ, start_response):
    raise KeyboardInterrupt


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def unprintable(environ, start_response):
    raise Unprintable


def recursion(environ, start_response):
    return recursion(environ, start_response)


def status(environ, start_response):
    """A status line out of the query."""
    start_response(query(environ)["status"], [TEXT])
    return [b"body"]


def header(environ, start_response):
    """A header out of the query; "wide" adds a character above U+00FF."""
    args = query(environ)
    name, value = args.get("name", "X-Test"), args.get("value", "")
    if args.get("wide") == "name":
        name += "\u0161"
    if args.get("wide") == "value":
        value += "\u0161"
    start_response("200 OK", [TEXT, (name, value)])
    return [b"body"]


class Text(str):
    """A subclass of str, which PEP 3333 does not allow for headers but which
    frameworks use."""


CALLS = {
    "status_bytes": (b"200 OK", [TEXT]),
    "status_none": (None, [TEXT]),
    "status_int": (200, [TEXT]),
    "status_wide": ("200 \u0161", [TEXT]),
    "headers_none": ("200 OK", None),
    "headers_dict": ("200 OK", dict([TEXT])),
    "header_str": ("200 OK", ["X-Test: a"]),
    "header_one": ("200 OK", [("X-Test",)]),
    "header_three": ("200 OK", [("X-Test", "a", "b")]),
    "header_bytes_name": ("200 OK", [(b"X-Test", "a")]),
    "header_bytes_value": ("200 OK", [("X-Test", b"a")]),
    "header_int": ("200 OK", [("X-Test", 5)]),
    "header_none": ("200 OK", [("X-Test", None)]),
    "two_lengths": ("200 OK", [("Content-Length", "4"),
                               ("Content-Length", "40")]),
}


def call(environ, start_response):
    """start_response with the wrong arguments."""
    start_response(*CALLS[rest(environ)])
    return [b"body"]


def no_arguments(environ, start_response):
    start_response()
    return [b"body"]


def exc_not_tuple(environ, start_response):
    start_response("200 OK", [TEXT], "oops")
    return [b"body"]
