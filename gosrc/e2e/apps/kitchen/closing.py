# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""close() of the iterable: always, once, and when."""

import threading

from .common import TEXT, note, rest, wait_for


class Closing:
    """An iterable that notes what is asked of it."""

    def __init__(self, name, chunks, fail_at=None, close_fails=False):
        self.name = name
        self.chunks = iter(chunks)
        self.fail_at = fail_at
        self.close_fails = close_fails
        self.count = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.count == self.fail_at:
            note(self.name, "fails")
            raise ValueError("in the iteration")
        self.count += 1
        return next(self.chunks)

    def close(self):
        note(self.name, "closed")
        if self.close_fails:
            raise ValueError("in close()")


def normal(environ, start_response):
    start_response("200 OK", [TEXT])
    return Closing(rest(environ), [b"a", b"b"])


def fails_first(environ, start_response):
    start_response("200 OK", [TEXT])
    return Closing(rest(environ), [b"a"], fail_at=0)


def fails_late(environ, start_response):
    start_response("200 OK", [TEXT])
    return Closing(rest(environ), [b"a", b"b"], fail_at=1)


def no_start(environ, start_response):
    return Closing(rest(environ), [b"a"])


def wrong_chunk(environ, start_response):
    start_response("200 OK", [TEXT])
    return Closing(rest(environ), ["text"])


def too_long(environ, start_response):
    start_response("200 OK", [TEXT, ("Content-Length", "1")])
    return Closing(rest(environ), [b"a", b"b"])


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return Closing(rest(environ), [b"a"])


def close_fails(environ, start_response):
    start_response("200 OK", [TEXT])
    return Closing(rest(environ), [b"a"], close_fails=True)


def vanishes(environ, start_response):
    """Chunks for as long as the server asks for them."""
    name = rest(environ)

    def chunks():
        yield b"first"
        wait_for(name)
        while True:
            yield b"more" * 1000

    start_response("200 OK", [TEXT])
    return Closing(name, chunks())


def generator(environ, start_response):
    """A generator is closed too: GeneratorExit reaches its finally."""
    name = rest(environ)
    start_response("200 OK", [TEXT])
    try:
        yield b"first"
        wait_for(name)
        while True:
            yield b"more" * 1000
    finally:
        note(name, "closed")


def buffers(environ, start_response):
    """Notes that it runs, waits, and says how it wants to be buffered."""
    name = rest(environ)
    note(name, "runs")
    wait_for(name)
    start_response("200 OK", [TEXT, ("X-Accel-Buffering", "no")])
    return Closing(name, [b"a", b"b"])


class SlowClose(Closing):
    def close(self):
        wait_for(self.name)
        super().close()


def slow(environ, start_response):
    """close() that waits: the response is out before it."""
    start_response("200 OK", [TEXT])
    return SlowClose(rest(environ), [b"a"])


def thread(environ, start_response):
    """close() runs on the thread that ran the application."""
    name, ident = rest(environ), threading.get_ident()

    class Iterable:
        def __iter__(self):
            return iter([b"a"])

        def close(self):
            note(name, threading.get_ident() == ident)

    start_response("200 OK", [TEXT])
    return Iterable()
