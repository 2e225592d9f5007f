# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""A stand-in for the C module, and ngx_wsgi_boot around it."""

import importlib
import io
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))


class RequestTimeout(BaseException):
    pass


class RequestCancelled(BaseException):
    pass


class ClientDisconnected(ConnectionError):
    pass


class Log(io.StringIO):
    def take(self):
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def c_module():
    module = types.ModuleType("_ngx_wsgi")
    module.RequestTimeout = RequestTimeout
    module.RequestCancelled = RequestCancelled
    module.ClientDisconnected = ClientDisconnected
    module.stdout = Log()
    module.stderr = Log()
    module.forked = lambda: None
    return module


C = sys.modules["_ngx_wsgi"] = c_module()
streams = sys.stdout, sys.stderr
sys.path.insert(0, os.path.dirname(HERE))
boot = importlib.import_module("ngx_wsgi_boot")
guest = importlib.import_module("ngx_wsgi_guest")

boot.start()
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = streams
