# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""wsgi_script_reloading with wsgi_check: imports the applications as a worker
would, in a process of its own, which Go starts for that with Python's
executable.

Its input is JSON: the applications, sys.path, and the sources of the modules
that import them.  It prints what went wrong and exits with 1, or prints the token
if nothing did.
"""

import json
import os
import sys
import types


def stand_in():
    """What of the worker's built-in module is needed without a worker."""
    module = types.ModuleType("_ngx_wsgi")
    module.RequestTimeout = type("RequestTimeout", (BaseException,), {})
    module.RequestCancelled = type("RequestCancelled", (BaseException,), {})
    module.ClientDisconnected = type("ClientDisconnected", (ConnectionError,), {})
    module.stdout, module.stderr = sys.stdout, sys.stderr
    module.forked = lambda: None
    return module


def module(name, source):
    made = types.ModuleType(name)
    made.__file__ = f"<{name}>"
    sys.modules[name] = made
    exec(compile(source, made.__file__, "exec"), made.__dict__)  # noqa: S102
    return made


def failed(boot, index):
    try:
        boot.load(index)
    except BaseException as exc:  # noqa: BLE001
        exc.__traceback__ = exc.__traceback__.tb_next
        print(boot.failure(index, "import", exc))
        return True
    return False


def main(given):
    sys.modules["_ngx_wsgi"] = stand_in()
    sys.argv[:] = ["ngx_wsgi"]
    sys.path[:] = given["Path"]
    module("ngx_wsgi_guest", given["Guest"])
    boot = module("ngx_wsgi_boot", given["Boot"])
    boot.start()
    for target, path, middleware in given["Apps"]:
        boot.add(target, path, middleware)
    failures = [index for index in range(len(given["Apps"])) if failed(boot, index)]
    boot.leave()
    if not failures:
        sys.stdout.flush()
        os.write(1, given["Token"].encode())
    return 1 if failures else 0


# Threads that the applications have started do not matter any more.
status = main(json.load(sys.stdin))
sys.stdout.flush()
os._exit(status)
