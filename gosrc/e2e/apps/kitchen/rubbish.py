# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Applications that do what they should not."""

import itertools

from .common import TEXT, note, query, reply, rest, wait_for


def headers(environ, start_response):
    """"count" header fields of "size" bytes each."""
    args = query(environ)
    value = "v" * int(args["size"])
    return reply(start_response, "body", headers=[
        (f"X-Number-{i}", value) for i in range(int(args["count"]))
    ])


def empties(environ, start_response):
    """A million times nothing, then something."""
    start_response("200 OK", [TEXT])
    return itertools.chain(itertools.repeat(b"", 1000000), [b"at last"])


def empties_list(environ, start_response):
    start_response("200 OK", [TEXT])
    return [b""] * 1000000 + [b"at last"]


class Endless:
    """An iterator that has no Python code, so that only the server can give
    others their turn."""

    def __init__(self, name, chunk):
        self.name = name
        self.chunk = chunk

    def __iter__(self):
        note(self.name, "begun")
        return itertools.repeat(self.chunk)

    def close(self):
        note(self.name, "closed")


def endless(environ, start_response):
    args = query(environ)
    start_response("200 OK", [TEXT])
    return Endless(rest(environ), b"x" * int(args["size"]))


class Flood:
    def __init__(self, name):
        self.name = name
        self.ended = False

    def __iter__(self):
        note(self.name, "begun")
        for _ in range(64):
            yield b"x" * 65536
        self.ended = True
        note(self.name, "made")

    def close(self):
        if not self.ended:
            note(self.name, "closed early")


def flood(environ, start_response):
    """4 MB, and whether they could all be made before the client took them."""
    value = query(environ)["buffering"]
    start_response("200 OK", [TEXT] + [("X-Accel-Buffering", value)] * bool(value))
    return Flood(rest(environ))


class Talks:
    """Goes on after the end: in close(), and with what it has kept."""

    kept = []

    def __init__(self, name, write):
        self.name = name
        self.write = write

    def __iter__(self):
        return iter([b"body"])

    def close(self):
        try:
            self.write(b"too late")
            note(self.name, "taken")
        except Exception as exc:  # noqa: BLE001
            note(self.name, type(exc).__name__)
        self.kept.append(self.write)


def talks(environ, start_response):
    return Talks(rest(environ), start_response("200 OK", [TEXT]))


def talks_length(environ, start_response):
    return Talks(rest(environ), start_response(
        "200 OK", [TEXT, ("Content-Length", "4")]))


def talks_later(environ, start_response):
    """Calls the write() of a response that has ended."""
    try:
        Talks.kept.pop()(b"much too late")
    except Exception as exc:  # noqa: BLE001
        return reply(start_response, f"{type(exc).__name__}: {exc}")
    return reply(start_response, "taken")


def called(environ, start_response):
    note(rest(environ), "called")
    return reply(start_response, environ["wsgi.input"].read())


def waits(environ, start_response):
    wait_for(rest(environ))
    return reply(start_response, "waited")
