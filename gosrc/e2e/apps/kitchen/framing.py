# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Length and end of a body."""

from .common import TEXT, note, query, rest


def single(environ, start_response):
    start_response("200 OK", [TEXT])
    return [b"hello"]


def single_tuple(environ, start_response):
    start_response("200 OK", [TEXT])
    return (b"hello",)


def double(environ, start_response):
    start_response("200 OK", [TEXT])
    return [b"hel", b"lo"]


def generator(environ, start_response):
    start_response("200 OK", [TEXT])
    yield b"hel"
    yield b"lo"


def empty_list(environ, start_response):
    start_response("200 OK", [TEXT])
    return []


def empty_bytes(environ, start_response):
    start_response("200 OK", [TEXT])
    return [b""]


def empty_generator(environ, start_response):
    start_response("200 OK", [TEXT])
    return iter(())


class Sized:
    """An iterable with a length of 1 that is no list."""

    def __init__(self, chunk):
        self.chunk = chunk

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([self.chunk])


def sized(environ, start_response):
    start_response("200 OK", [TEXT])
    return Sized(b"hello")


def length(environ, start_response):
    """Content-Length and chunks out of the query: length=5&chunks=hel,lo"""
    args = query(environ)
    start_response("200 OK", [TEXT, ("Content-Length", args["length"])])
    for chunk in args["chunks"].split(","):
        yield chunk.encode()


def length_list(environ, start_response):
    args = query(environ)
    start_response("200 OK", [TEXT, ("Content-Length", args["length"])])
    return [chunk.encode() for chunk in args["chunks"].split(",")]


def length_write(environ, start_response):
    args = query(environ)
    put = start_response("200 OK", [TEXT, ("Content-Length", args["length"])])
    for chunk in args["chunks"].split(","):
        put(chunk.encode())
    return []


def no_body(environ, start_response):
    """A status that has no body, with one, of a generator that is noted."""
    status = rest(environ)
    start_response(status + " Whatever", [("ETag", '"x"')])
    note("no_body", "called")
    yield b"a body that must not be sent"


def no_body_empty(environ, start_response):
    start_response(rest(environ) + " Whatever", [("ETag", '"x"')])
    return []


def no_body_length(environ, start_response):
    start_response(rest(environ) + " Whatever", [("Content-Length", "28")])
    return [b"a body that must not be sent"]
