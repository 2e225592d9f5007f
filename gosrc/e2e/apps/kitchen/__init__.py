# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""The kitchen sink: /group/name/rest calls the function "name" of the module
"group" with (environ, start_response), one endpoint per behaviour."""

import importlib
import pkgutil

GROUPS = {
    module.name: importlib.import_module("." + module.name, __name__)
    for module in pkgutil.iter_modules(__path__)
}


def application(environ, start_response):
    _, group, name, *_ = environ["PATH_INFO"].split("/")
    return getattr(GROUPS[group], name)(environ, start_response)
