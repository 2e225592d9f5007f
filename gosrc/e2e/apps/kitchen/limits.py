# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What runs into limits of the system, and tells how that was."""

import errno
import os
import tempfile
import threading

from .common import TEXT, reply, rest


def name_of(exc):
    return errno.errorcode[exc.errno]


def memory(environ, start_response):
    """Takes as many bytes as the path says, and touches them."""
    return reply(start_response, str(len(bytes(int(rest(environ))))))


def file(environ, start_response):
    """Writes a file of that many bytes."""
    with tempfile.TemporaryFile() as f:
        try:
            f.write(bytes(int(rest(environ))))
            f.flush()
        except OSError as exc:
            f.truncate(0)
            return reply(start_response, name_of(exc))
    return reply(start_response, "written")


def descriptor(environ, start_response):
    try:
        os.close(os.open(__file__, os.O_RDONLY))
    except OSError as exc:
        return reply(start_response, name_of(exc))
    return reply(start_response, "opened")


def thread(environ, start_response):
    try:
        one = threading.Thread(target=int)
        one.start()
        one.join()
    except RuntimeError as exc:
        return reply(start_response, str(exc))
    return reply(start_response, "started")


def chunks(environ, start_response):
    """A chunk, then one of as many bytes as the path says, then a last one."""
    start_response("200 OK", [TEXT])
    yield b"first"
    yield b"x" * int(rest(environ))
    yield b"last"


def chunk(environ, start_response):
    """One of as many bytes as the path says."""
    return reply(start_response, b"x" * int(rest(environ)))
