# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""A submodule with a relative import."""

from .text import TEXT


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT]
