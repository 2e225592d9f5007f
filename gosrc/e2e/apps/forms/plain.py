# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""The forms in which wsgi_pass may name an application."""


def say(text):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{text} in {__name__}".encode()]
    return app


application = say("application")
other = say("other")
made = 0


class Holder:
    application = staticmethod(say("dotted"))

    class Deeper:
        application = staticmethod(say("deeper"))


def factory():
    global made
    made += 1
    return say(f"made {made}")


class Object:
    """An instance is as good as a function."""

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"instance"]


instance = Object()


class ClassApp:
    """A class whose instances are the iterables."""

    def __init__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])

    def __iter__(self):
        yield b"class"


def factory_of_none():
    return None


def failing_factory():
    raise RuntimeError("the factory failed")


not_callable = 42
