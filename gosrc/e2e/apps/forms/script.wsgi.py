# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""A script: its name is no module's."""

import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.path.basename(__file__).encode()]


def other(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"other of the script"]


class Holder:
    application = staticmethod(other)
