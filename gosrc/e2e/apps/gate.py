# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""An application of wsgi_access: the header X-Gate says what it does."""

import json
import threading
import time
from pathlib import Path

TEXT = ("Content-Type", "text/plain")


def check(environ, start_response):
    verdict, _, rest = environ.get("HTTP_X_GATE", "ask").partition(" ")
    return globals()[verdict](environ, start_response, rest)


def allow(environ, start_response, user):
    if user:
        environ["REMOTE_USER"] = user
    start_response("204 No Content", [])
    return []


def names(environ, start_response, name):
    """What nginx can have of it, as a variable."""
    start_response("204 No Content", [("X-Gate", name)])
    return []


def writes(environ, start_response, user):
    """The head leaves before the call returns."""
    environ["REMOTE_USER"] = user
    start_response("200 OK", [])(b"x")
    return []


def body(environ, start_response, rest):
    """A body that nobody asked for, in pieces, and one large piece."""
    environ["REMOTE_USER"] = "max"
    start_response("200 OK", [TEXT, ("X-Lost", "yes")])
    yield b"lost"
    yield b"x" * 1000000


def ask(environ, start_response, rest):
    start_response("401 Who Are You", [
        TEXT, ("WWW-Authenticate", 'Bearer realm="gate"'), ("X-Gate", "closed")])
    return [b"who are you?"]


def forbid(environ, start_response, rest):
    start_response("403 Forbidden", [TEXT, ("X-Gate", "closed")])
    return [b"not you"]


def login(environ, start_response, rest):
    start_response("302 Found", [("Location", "/login?" + environ["PATH_INFO"])])
    return []


def pieces(environ, start_response, rest):
    """An answer as an application of wsgi_pass would give it."""
    start_response("429 Slow Down", [TEXT])
    for _ in range(100):
        yield b"0123456789" * 1000


def fail(environ, start_response, rest):
    environ["REMOTE_USER"] = "max"
    raise ValueError("the gate is stuck")


def name(environ, start_response, value):
    environ["REMOTE_USER"] = json.loads(value)
    start_response("200 OK", [])
    return [b"in"]


def sleep(environ, start_response, seconds):
    time.sleep(float(seconds))
    return allow(environ, start_response, "late")


def hold(environ, start_response, path):
    """Waits until the file is there; tells by another that it does."""
    Path(path + ".held").touch()
    try:
        while not Path(path).exists():
            time.sleep(0.01)
    finally:
        Path(path + ".done").touch()
    return allow(environ, start_response, "")


def show(environ, start_response, rest):
    """Refuses with what it sees."""
    start_response("403 Forbidden", [("Content-Type", "application/json")])
    seen = {k: v for k, v in environ.items() if isinstance(v, str)}
    return [json.dumps({
        "environ": seen, "body": environ["wsgi.input"].read().decode(),
        "thread": threading.current_thread().name}).encode()]


def redirect(environ, start_response, to):
    """Refuses, and leaves the answer to another location."""
    start_response("403 Forbidden", [TEXT, ("X-Accel-Redirect", to)])
    return [b"not you"]


def onward(environ, start_response, to):
    """The same of what lets the request on."""
    start_response("200 OK", [TEXT, ("X-Accel-Redirect", to)])
    return []


def compute(environ, start_response, path):
    """Pure Python until something is raised in it, which is noted."""
    sign, end = Path(path), time.monotonic() + 20
    try:
        sign.touch()
        while time.monotonic() < end:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001, S110: an Exception would be lost
                pass
    except BaseException as exc:
        sign.write_text(type(exc).__name__)
        raise
    return allow(environ, start_response, "")
