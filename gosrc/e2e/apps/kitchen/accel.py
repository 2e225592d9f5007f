# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Header fields that nginx acts on."""

from urllib.parse import parse_qsl

from .common import note, query, rest, wait_for


def answer(environ, start_response):
    """The response that the query describes: ?status=404%20Gone&body=text, and
    every other parameter is a header field."""
    status, body, headers = "200 OK", "body", []
    for name, value in parse_qsl(environ["QUERY_STRING"],
                                 keep_blank_values=True, encoding="latin-1"):
        if name == "status":
            status = value
        elif name == "body":
            body = value
        else:
            headers.append((name, value))
    start_response(status, headers)
    return [body.encode("latin-1")]


def generator(environ, start_response):
    """The same, but the body is made piece by piece."""
    chunks = answer(environ, start_response)
    yield b""
    yield from chunks
    yield b" and more"


class Redirected:
    """A body that nginx drops, since it was told to answer itself."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        yield b"dropped"
        wait_for(self.name)
        while True:
            yield b"x" * 4096

    def close(self):
        note(self.name, "closed")


def redirected(environ, start_response):
    start_response("200 OK", [("X-Accel-Redirect", query(environ)["to"])])
    return Redirected(rest(environ))


def hints(environ, start_response):
    """Early hints before the response, and after its begin, when they are too
    late."""
    send = environ["wsgi.early_hints"]
    send([("Link", "</a.css>; rel=preload"), ("X-Hidden", "1")])
    wait_for(rest(environ))
    send([("Link", "</b.css>; rel=preload")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    send([("Link", "</late.css>; rel=preload")])
    yield b"last"


def many_hints(environ, start_response):
    send = environ["wsgi.early_hints"]
    for i in range(200):
        send([("Link", f"</{i}.css>; rel=preload; x={'y' * 1000}")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


def has_hints(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str("wsgi.early_hints" in environ).encode()]
