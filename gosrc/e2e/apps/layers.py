# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Middleware, and an application that tells what is around it."""

loaded = []


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join([*environ.get("layers", ()), "application"]).encode()]


def layer(name):
    """Adds its name to environ before the application, and to the body after."""
    def wrap(app):
        loaded.append(name)

        def wrapped(environ, start_response):
            environ.setdefault("layers", []).append(name)
            return [b"".join(app(environ, start_response)) + b"," + name.encode()]
        return wrapped
    return wrap


one = layer("one")
two = layer("two")


class Holder:
    three = staticmethod(layer("three"))


class Header:
    """Middleware as frameworks have it: a class."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Layer", "yes")], exc_info)
        return self.app(environ, start)


def counts(environ, start_response):
    """How often each was wrapped around something."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(f"{name}={loaded.count(name)}" for name in sorted(set(loaded))).encode()]


def returns_none(app):
    pass


def fails(app):
    raise ValueError("it does not fit")


number = 7
