# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Large responses, of which every byte can be checked: a block begins with its
number and goes on with a pattern."""

import collections
import sys

from .common import TEXT, note, query, reply_json, rest, wait_for

PATTERN = bytes(i * 7 % 251 for i in range(251)) * 13000

# How many blocks each response has made so far.
made = collections.Counter()

# A response that is one object, alive for as long as the worker.
BODY = bytes(48 << 20)


def block(number, size):
    return number.to_bytes(8, "big") + PATTERN[: size - 8]


def blocks(environ, start_response):
    """size=, count=: a generator.  length=1: with Content-Length; head=: one
    header field more; fail=n: it raises instead of the n-th block."""
    name, values = rest(environ), query(environ)
    size, count = int(values["size"]), int(values["count"])
    headers = [TEXT]
    if "length" in values:
        headers.append(("Content-Length", str(size * count)))
    if "head" in values:
        headers.append(tuple(values["head"].split(":")))
    start_response("200 OK", headers)
    try:
        for number in range(count):
            if values.get("fail") == str(number):
                raise ValueError("in the middle")
            made[name] += 1
            yield block(number, size)
        note(name, "done")
    finally:
        note(name, "closed")


def progress(environ, start_response):
    return reply_json(start_response, made[rest(environ)])


def whole(environ, start_response):
    """48 MB in one object that is there already."""
    start_response("200 OK", [TEXT])
    return [BODY]


def references(environ, start_response):
    return reply_json(start_response, sys.getrefcount(BODY))


class Mortal(bytes):
    """Says when it is gone."""

    def __del__(self):
        print("mortal body is gone", file=sys.stderr)


def mortal(environ, start_response):
    start_response("200 OK", [TEXT])
    return [Mortal(8 << 20)]


class Counted(bytes):
    """Knows how many there are."""

    alive = 0

    def __init__(self, size):
        Counted.alive += 1

    def __del__(self):
        Counted.alive -= 1


def counted(environ, start_response):
    """100 objects of 1 MB; the most that lived at once."""
    start_response("200 OK", [TEXT])
    most = 0
    for _ in range(100):
        most = max(most, Counted.alive)
        yield Counted(1 << 20)
    yield b" %d" % most


def mortals(environ, start_response):
    """A generator of large objects; it waits before the last one."""
    start_response("200 OK", [TEXT])
    for _ in range(8):
        yield Mortal(1 << 20)
    wait_for(rest(environ))
    yield b"end"
