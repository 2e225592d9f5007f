# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What the hostile clients of hostile_test.go talk to: an application that
serves those endpoints of the kitchen that hold nobody up, endpoints of its own,
and a gate for wsgi_access.  Whatever the query says is clamped."""

import gzip
import re
import tempfile
import time

from .common import TEXT, query, reply

SAFE = {
    "response": {"plain", "write", "write_only", "late_start", "exc_replaces", "exc_first",
                 "twice", "empty_between", "exc_replaces_after_empty", "write_str"},
    "framing": {"single", "double", "generator", "empty_list", "empty_generator", "sized",
                "length", "length_list", "length_write", "no_body", "no_body_empty",
                "no_body_length"},
    "failing": {"before", "after_start", "at_first", "late", "late_length", "no_start",
                "returns_none", "str_chunk_late", "system_exit", "status", "header"},
    "accel": {"answer", "generator"},
    "body": {"echo", "echo_length", "digest", "lines", "unread", "while_streaming", "copy_fd",
             "rename"},
    "wrapper": {"real", "memory"},
    "streaming": {"lines", "pieces", "digest"},
}

VALIDATORS = [TEXT, ("ETag", '"a"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]


def application(environ, start_response):
    _, group, name, *_ = (environ["PATH_INFO"] + "//").split("/")[:3]
    if group == "hostile" and name in OWN:
        return OWN[name](environ, start_response)
    if name in SAFE.get(group, ()):
        from . import GROUPS
        return getattr(GROUPS[group], name)(environ, start_response)
    return reply(start_response, "no such endpoint", "404 Not Found")


def _number(environ, name, default, most):
    text = query(environ).get(name, "")
    return min(int(text), most) if text.isascii() and text.isdigit() else default


def _pieces(environ):
    """"count" pieces of "size" bytes, "pause" ms between them."""
    piece = b"h" * _number(environ, "size", 1000, 200000)
    pause = _number(environ, "pause", 0, 100) / 1000
    for number in range(_number(environ, "count", 20, 400)):
        if pause and number:
            time.sleep(pause)
        yield piece


def tagged(environ, start_response):
    """A known length and validators."""
    start_response("200 OK", VALIDATORS)
    return [b"".join(_pieces(environ))]


def pieces(environ, start_response):
    """Validators, and a length that is known only at the end."""
    start_response("200 OK", VALIDATORS)
    return _pieces(environ)


def writes(environ, start_response):
    put = start_response("200 OK", VALIDATORS)
    for piece in _pieces(environ):
        put(piece)
    return [b"end"]


def partly(environ, start_response):
    """Reads "read" bytes of the body, then answers in pieces."""
    environ["wsgi.input"].read(_number(environ, "read", 1, 100000))
    start_response("200 OK", VALIDATORS)
    return _pieces(environ)


def late(environ, start_response):
    """Answers, reads the rest of the body, answers."""
    start_response("200 OK", VALIDATORS)
    yield b"first"
    while block := environ["wsgi.input"].read(5000):
        yield block
    yield from _pieces(environ)


def file(environ, start_response):
    made = tempfile.TemporaryFile()  # noqa: SIM115
    made.write(b"".join(_pieces(environ)))
    made.seek(_number(environ, "at", 0, 1000000))
    start_response("200 OK", VALIDATORS)
    return environ["wsgi.file_wrapper"](made)


def zipped(environ, start_response):
    """For gunzip: compressed, whether the client wants it or not."""
    start_response("200 OK", [*VALIDATORS, ("Content-Encoding", "gzip")])
    whole = gzip.compress(b"".join(_pieces(environ)), 1)
    return [whole[:10], whole[10:]]


def ranged(environ, start_response):
    """An application that knows ranges itself, one at a time."""
    body = b"".join(_pieces(environ))
    found = re.fullmatch(r"bytes=(\d{1,9})-(\d{1,9})", environ.get("HTTP_RANGE", ""))
    if not found:
        start_response("200 OK", VALIDATORS)
        return [body]
    first, last = int(found[1]), min(int(found[2]), len(body) - 1)
    if first > last:
        return reply(start_response, "", "416 No Such Range",
                     [("Content-Range", f"bytes */{len(body)}")])
    start_response("206 Partial Content", [
        *VALIDATORS, ("Content-Range", f"bytes {first}-{last}/{len(body)}")])
    return [body[first:last + 1]]


def error(environ, start_response):
    """A page for an error, in one piece or, by default, in several."""
    start_response("200 OK", [TEXT, ("X-Page", "error")])
    return _pieces(environ) if environ["QUERY_STRING"] else [b"an ", b"error"]


def page(environ, start_response):
    """What the filter of SSI goes through."""
    start_response("200 OK", [("Content-Type", "text/html"), ("ETag", '"p"')])
    yield b'[<!--# include virtual="/t/hostile/pieces?count=3" -->|'
    yield b'<!--# include virtual="/ts/response/write" --><!--# include virtual="/files/a" -->'
    yield b'<!--# include virtual="/t/failing/late" -->]'


def watches(environ, start_response):
    """Asks whether the client is still there, for as long as "count" says."""
    gone = environ["nginx.disconnected"]
    start_response("200 OK", [TEXT])
    for piece in _pieces(environ):
        if gone():
            return
        yield piece


OWN = {f.__name__: f for f in (tagged, pieces, writes, partly, late, file, zipped, ranged,
                               error, page, watches)}


def gate(environ, start_response):
    """X-Gate says what it does; without it the request is let on."""
    verdict, _, argument = environ.get("HTTP_X_GATE", "").partition(" ")
    if verdict == "fail":
        raise ValueError("the gate is stuck")
    if verdict == "late":
        return late(environ, start_response)
    if verdict == "reads":
        environ["wsgi.input"].read()
    if verdict == "sleeps":
        time.sleep(0.05)
    if verdict in ("forbid", "pieces"):
        start_response("403 Forbidden", VALIDATORS)
        return _pieces(environ) if verdict == "pieces" else [b"not you"]
    if verdict == "accel":
        start_response("403 Forbidden", [TEXT, ("X-Accel-Redirect", _target(argument))])
        return [b"not you"]
    environ["REMOTE_USER"] = "ann"
    start_response("204 No Content", [])
    return []


def _target(text):
    """A target that is one, whatever a header has become."""
    return text if text.startswith("/") and text.isprintable() else "/files/a"
