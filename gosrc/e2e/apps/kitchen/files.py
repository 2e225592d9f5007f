# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""wsgi.file_wrapper over what can be put into it."""

import io
import os
import threading

from .common import TEXT, note, query, rest, wait_for

TYPE = ("Content-Type", "application/octet-stream")


class Noting:
    """A file that notes its close(), and has the real one inside."""

    def __init__(self, path, name):
        self.file = open(path, "rb")  # noqa: SIM115
        self.read = self.file.read
        self.name = name

    def close(self):
        self.file.close()
        note(self.name, "closed")


def noting(environ, start_response):
    """file=path; seek=, length=, status=, head=name:value|... as wanted."""
    values = query(environ)
    headers = [TYPE]
    if "length" in values:
        headers.append(("Content-Length", values["length"]))
    for field in filter(None, values.get("head", "").split("|")):
        headers.append(tuple(field.split(":", 1)))
    start_response(values.get("status", "200 OK"), headers)

    file = Noting(values["file"], rest(environ))
    file.file.seek(int(values.get("seek", 0)))
    return environ["wsgi.file_wrapper"](file)


class SlowClose(Noting):
    def close(self):
        wait_for(self.name)
        super().close()


def slow_close(environ, start_response):
    """file=path: its close() waits."""
    start_response("200 OK", [TYPE])
    return environ["wsgi.file_wrapper"](SlowClose(query(environ)["file"], rest(environ)))


def left(environ, start_response):
    """file=path, other=path: the file is closed while it is being sent."""
    name, values = rest(environ), query(environ)
    file = open(values["file"], "rb")  # noqa: SIM115
    start_response("200 OK", [TYPE])

    def leave():
        wait_for(name)
        file.close()
        others = [open(values["other"], "rb") for _ in range(50)]  # noqa: SIM115
        note(name, "left")
        wait_for(name + "-end")
        for other in others:
            other.close()

    threading.Thread(target=leave).start()
    return environ["wsgi.file_wrapper"](file)


def bytesio(environ, start_response):
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"from memory"), 4)


def pipe(environ, start_response):
    """Not a regular file, though it has a descriptor."""
    reader, writer = os.pipe()
    os.write(writer, b"from a pipe")
    os.close(writer)
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](os.fdopen(reader, "rb"))


class Counting:
    """Only read(), and no close()."""

    def __init__(self):
        self.left = 3

    def read(self, size):
        self.left -= 1
        return b"x" * size if self.left > 0 else b""


def like(environ, start_response):
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](Counting(), 10)


def iterated(environ, start_response):
    """Iterated by a middleware, so no file_wrapper is returned."""
    wrapper = environ["wsgi.file_wrapper"](
        open(query(environ)["file"], "rb"), 1000)  # noqa: SIM115
    start_response("200 OK", [TYPE])

    def chunks():
        try:
            yield from wrapper
        finally:
            wrapper.close()

    return chunks()
