# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""The kitchen sink: /group/name/rest calls the function "name" of the module
"group" with (environ, start_response), one endpoint per behaviour."""

import importlib

GROUPS = {
    name: importlib.import_module("." + name, __name__)
    for name in (
        "body", "closing", "embed", "environ", "event", "failing", "files",
        "framing", "headers", "logs", "output", "process", "response", "timing",
    )
}


def application(environ, start_response):
    _, group, name, *_ = environ["PATH_INFO"].split("/")
    return getattr(GROUPS[group], name)(environ, start_response)
