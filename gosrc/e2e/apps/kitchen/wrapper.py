# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""wsgi.file_wrapper."""

import io
import os
import tempfile

from .common import TEXT, note, query

CONTENT = b"".join(b"line %06d\n" % i for i in range(20000))


class Noted:
    """A file that notes its end; it hides the real one where "real" is 0."""

    def __init__(self, file, name):
        self.file = file
        self.name = name

    def read(self, size=-1):
        return self.file.read(size)

    def close(self):
        note(self.name, "closed")
        self.file.close()


def _temporary():
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    file.write(CONTENT)
    return file


def real(environ, start_response):
    """A file from the position "at", with a Content-Length if "length"."""
    args = query(environ)
    file = _temporary()
    file.seek(int(args.get("at", 0)))
    headers = [TEXT]
    if "length" in args:
        headers.append(("Content-Length", args["length"]))
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](file, 4096)


def open_files(environ, start_response):
    """How many temporary files this process has open."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    count = sum("(deleted)" in link and "memfd:" not in link for link in links)
    start_response("200 OK", [TEXT])
    return [b"%d" % count]


def memory(environ, start_response):
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](io.BytesIO(CONTENT))


def wrapped(environ, start_response):
    """An object with no file behind it that the server can see."""
    name = query(environ)["name"]
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](Noted(io.BytesIO(CONTENT), name))


def iterated(environ, start_response):
    """The wrapper is an iterable for the application, too."""
    wrapper = environ["wsgi.file_wrapper"](io.BytesIO(CONTENT), 1000)
    sizes = {len(block) for block in wrapper}
    start_response("200 OK", [TEXT])
    return [repr(sorted(sizes)).encode()]
