# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""wsgi_script_reloading: the source files that a worker has imported, and
whether they are still what it has imported.

Only loaded if that is on.  Go calls watch() before any application is imported,
then changes() and examine().

Files are looked at, again and again: a file system of another machine, or of a
container's host, tells nobody of its changes.  What a file was is noted by the
importer itself, before it reads the file, so a change that comes during the
import is not missed; and a file whose import fails is noted, too.
"""

import os
import sys
from importlib.machinery import SourceFileLoader

import ngx_wsgi_boot

LIBRARY = os.path.dirname(os.__file__) + os.sep
PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

# Bytecode knows its source by size and second: what was written so lately could
# be written once more and look the same.
YOUNG = 2.0

_imported = {}  # (mtime, size) of files, when they were imported first


def watch():
    """Notes from now on what is imported, and returns what a fresh process has
    to be told to import the same, as JSON."""
    import json

    path_stats, set_data = SourceFileLoader.path_stats, SourceFileLoader.set_data

    def noted_path_stats(loader, path):
        stats = path_stats(loader, path)
        if is_own(path):
            _imported.setdefault(os.path.abspath(path), (stats["mtime"], stats["size"]))
        return stats

    def old_set_data(loader, path, data, **options):
        if not is_young(loader.path):
            set_data(loader, path, data, **options)

    SourceFileLoader.path_stats = noted_path_stats
    SourceFileLoader.set_data = old_set_data

    env = dict(os.environ)
    if sys.prefix == sys.base_prefix:
        env["PYTHONHOME"] = sys.prefix
    optimize = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    return json.dumps(
        {
            "Args": [sys.executable, "-B", "-X", "utf8", *optimize, "-c"],
            "Env": [f"{name}={value}" for name, value in env.items()],
            "Dir": os.getcwd(),
            "Path": sys.path,
        }
    )


def is_own(path):
    """Neither the standard library's nor an installed package's.  One that was
    installed to be edited is elsewhere."""
    return not path.startswith(LIBRARY) and not any(p in path for p in PACKAGES)


def is_young(path):
    from time import time

    now = state(path)
    return now is None or now[0] > time() - YOUNG


def state(path):
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime, status.st_size


def changed():
    return [path for path, was in list(_imported.items()) if state(path) != was]


def changes():
    """What differs from what was imported, in a text that is the same for as
    long as nothing else changes; "" if nothing differs.

    The text tells of new files, too: one may be missing in what has changed.
    """
    lines = [f"{path} {state(path)}" for path in changed()]
    if lines:
        lines += [f"{path} {state(path)}" for path in neighbours()]
    return "\n".join(lines)


def neighbours():
    from glob import escape, iglob

    for folder in sorted({os.path.dirname(path) for path in list(_imported)}):
        for pattern in ("*.py", os.path.join("*", "__init__.py")):
            for path in iglob(os.path.join(escape(folder), pattern)):
                if path not in _imported:
                    yield path


def examine():
    """Compiles what has changed: "", or what is wrong with it for the log."""
    return "\n".join(filter(None, map(fault, changed())))


def fault(path):
    try:
        with open(path, "rb") as file:
            source = file.read()
        compile(source, path, "exec", dont_inherit=True)
    except OSError:
        return ""  # whether it is needed, an import tells
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None)
        exc.__traceback__ = None  # ours
        place = f"{path}, line {line}" if line else path
        return f"{place}: {ngx_wsgi_boot.brief(exc)}\n{ngx_wsgi_boot.trace(exc)}"
    return ""
