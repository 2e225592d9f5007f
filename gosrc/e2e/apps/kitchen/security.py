# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Who the process is, and secrets in places where something goes wrong."""

import os
from pathlib import Path

from .common import reply, reply_json

WHO = ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb")


def identity():
    """What the kernel knows of each thread, each answer once."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        lines = (line.partition(":") for line in task.joinpath("status").open())
        found.add(" ".join(f"{name}={value.strip()}" for name, _, value in lines
                           if name in WHO).replace("\t", ","))
    return sorted(found)


IMPORTED_AS = identity()


def who(environ, start_response):
    return reply_json(start_response, {
        "imported": IMPORTED_AS, "now": identity(), "regained": regained()})


def regained():
    """Those ways back to root that work."""
    worked = []
    for call, *args in (os.setuid, 0), (os.seteuid, 0), (os.setresuid, 0, 0, 0), \
            (os.setgid, 0), (os.setegid, 0), (os.setgroups, [0]):
        try:
            call(*args)
        except PermissionError:
            continue
        worked.append(call.__name__)
    return worked


def cookie(environ, start_response):
    """A cookie that the header X-Case makes wrong in some way."""
    secret = environ["HTTP_COOKIE"]
    case = environ["HTTP_X_CASE"]
    headers = {
        "control": [("Set-Cookie", secret + "\r\nx")],
        "wide": [("Set-Cookie", secret + "\u2603")],
        "list": [["Set-Cookie", secret]],
        "one": [("Set-Cookie: " + secret,)],
        "three": [("Set-Cookie", secret, secret)],
        "string": ["Set-Cookie: " + secret],
        "bytes": [("Set-Cookie", secret.encode())],
        "name": [("Set-Cookie " + secret, "x")],
        "tuple": (("Set-Cookie", secret),),
        "length": [("Content-Length", secret)],
        "hop": [("Connection", secret)],
        "twice": [("Location", secret), ("Location", secret)],
        "accel": [("X-Accel-Limit-Rate", secret), ("X-Accel-Buffering", secret)],
        "fine": [("Set-Cookie", secret)],
    }[case]
    return reply(start_response, secret, headers=headers) \
        if isinstance(headers, list) else start_response("200 OK", headers)


def status(environ, start_response):
    return reply(start_response, "x", status="200 " + environ["HTTP_COOKIE"] + "\u2603")


def chunk(environ, start_response):
    """A wrong chunk behind a right one."""
    start_response("200 OK", [("Content-Length", "3"), ("Content-Type", "text/plain")])
    yield b"ab"
    yield environ["HTTP_COOKIE"].encode()
    yield environ["HTTP_COOKIE"]


def body(environ, start_response):
    """The body is read and something else fails."""
    environ["wsgi.input"].read(5)
    environ["wsgi.input"].readline()
    raise ValueError("no value in this message")
