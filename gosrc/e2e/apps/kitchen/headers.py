# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Response headers."""

from .common import TEXT, reply


def cookies(environ, start_response):
    return reply(start_response, "cookies", headers=[
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("set-cookie", "c=3"),
    ])


def repeated(environ, start_response):
    return reply(start_response, "repeated",
                 headers=[("X-Two", "1"), ("X-Two", "2")])


def latin1(environ, start_response):
    """Every character that a header may have beyond ASCII."""
    return reply(start_response, "latin", "200 \xdcnl\xfccky \xff",
                 headers=[("X-Latin", "caf\xe9 \x80\xff")])


HOP = {
    "connection": ("Connection", "close"),
    "connection_keep": ("Connection", "keep-alive"),
    "keep_alive": ("Keep-Alive", "timeout=1"),
    "transfer": ("Transfer-Encoding", "chunked"),
    "transfer_identity": ("Transfer-Encoding", "identity"),
    "te": ("TE", "trailers"),
    "trailer": ("Trailer", "X-After"),
    "upgrade": ("Upgrade", "h2c"),
    "proxy_connection": ("Proxy-Connection", "close"),
}


def hop(environ, start_response):
    """A header that is none of the application's business."""
    name, value = HOP[environ["QUERY_STRING"]]
    return reply(start_response, "body", headers=[(name.lower(), value)])


def many(environ, start_response):
    return reply(start_response, "many", headers=[
        (f"X-Number-{i}", str(i)) for i in range(200)
    ])


def long(environ, start_response):
    return reply(start_response, "long", headers=[("X-Long", "v" * 20000)])


def empty(environ, start_response):
    return reply(start_response, "empty", headers=[("X-Empty", "")])


def tabs(environ, start_response):
    return reply(start_response, "tabs", headers=[("X-Tab", "a\tb")])


def redirect(environ, start_response):
    """A relative Location stays what it is."""
    return reply(start_response, "there", "302 Found",
                 headers=[("Location", "/elsewhere?a=1")])


def odd_status(environ, start_response):
    start_response("299 Made up: here", [TEXT])
    return [b"odd"]


def no_reason(environ, start_response):
    start_response("200 ", [TEXT])
    return [b"no reason"]


def no_type(environ, start_response):
    start_response("200 OK", [])
    return [b"no type"]


def content_type(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/x-own; a=b")])
    return [b"own"]


def changed_later(environ, start_response):
    """The list given to start_response is the application's to change only
    until the headers are sent, and the server's until then."""
    headers = [TEXT, ("X-Kept", "yes")]
    start_response("200 OK", headers)
    del headers[:]
    return [b"kept"]
