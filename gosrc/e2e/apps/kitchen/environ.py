# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""What the application is told."""

from .common import reply_json


def dump(environ, start_response):
    """Every entry as [type, value], the value of objects left out."""
    return reply_json(start_response, {
        key: [type(value).__name__,
              value if isinstance(value, (str, bool, int, tuple)) else None]
        for key, value in environ.items()
    })


def is_dict(environ, start_response):
    """It has to be a dict, not a subclass, and the application's to change."""
    exact = type(environ) is dict
    environ["wsgi.input"] = None
    environ["own"] = object()
    del environ["SERVER_NAME"]
    return reply_json(start_response, exact)


kept = {}


def fresh(environ, start_response):
    """What one request puts into its environ, no other one sees."""
    before = "test.own" in environ
    environ["test.own"] = True
    again = id(environ) == kept.get("id")
    kept["environ"], kept["id"] = environ, id(environ)
    return reply_json(start_response, [before, again])


def methods(environ, start_response):
    """The methods that PEP 3333 asks of the two streams."""
    return reply_json(start_response, {
        "input": [name for name in ("read", "readline", "readlines", "__iter__")
                  if callable(getattr(environ["wsgi.input"], name, None))],
        "errors": [name for name in ("flush", "write", "writelines")
                   if callable(getattr(environ["wsgi.errors"], name, None))],
    })
