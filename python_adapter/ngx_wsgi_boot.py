# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""The Python side of ngx_wsgi, run once on Python's main thread.

It loads the applications, and puts failures into words for nginx's error log.

Go calls start(), add(), load(), expire(), join() and leave(); C calls load(),
failure(), stack(), thread_started() and file_range().  What is not needed by
every application is imported where it is used: a worker's memory is counted.
"""

import gc
import os
import sys
import threading
import traceback  # now: when it is needed, descriptors and memory may be short
from time import monotonic

import _ngx_wsgi
import ngx_wsgi_guest
from ngx_wsgi_guest import thread_started  # noqa: F401, C calls it

# A failed import is not tried again before so many seconds: requests that come
# meanwhile shall not import (and fail) in a row.
RETRY = 1.0

# How long a thread sleeps that waits for another's import, before it lets an
# exception that was raised in it come through.
NAP = 0.25

OURS = (__file__, ngx_wsgi_guest.__file__)

_apps = []
_waiting = {}  # applications, by the identifiers of threads that wait for them


class LoadError(Exception):
    """Why an application cannot be had, as a sentence."""


class App:
    """An application of the configuration, imported or not.

    "owner" holds the identifier of the thread that imports it.  setdefault()
    is atomic, and a thread in which an exception is raised at any moment
    (wsgi_timeout does that) still takes its own mark away; a lock could stay
    locked for ever.
    """

    def __init__(self, index, target, attribute, middleware):
        self.index = index
        self.target = target
        self.attribute = attribute
        self.middleware = middleware.split(" ") if middleware else ()
        self.value = None
        self.owner = {}
        self.done = threading.Event()
        self.failure = None
        self.failed = 0.0
        self.expired = None

    def __str__(self):
        return f"{self.target} {self.attribute}" if self.attribute else self.target

    def load(self):
        me = threading.get_ident()
        try:
            while self.owner.setdefault("ident", me) != me:
                _waiting[me] = self
                self.refuse_expired()
                self.done.wait(NAP)
                self.done.clear()
            if self.value is None:
                self.refuse_failed()
                self.load_now(me)
            return self.value
        finally:
            _waiting.pop(me, None)
            if self.owner.get("ident") == me:
                self.owner.clear()
                self.done.set()

    def load_now(self, me):
        importing(self.index, me)
        try:
            value = resolve(self.target, self.attribute)
            for name in reversed(self.middleware):
                value = wrap(name, value)
            self.value = value
        except BaseException as exc:
            ended = isinstance(exc, (_ngx_wsgi.RequestTimeout, _ngx_wsgi.RequestCancelled))
            if ended and not self.expired:
                raise  # meant for the request, and come as its import began
            self.failure = brief(exc)
            self.failed = monotonic()
            if ended:
                raise LoadError(self.expired) from None
            raise
        finally:
            end_child()
            importing(self.index, 0)
            self.expired = None

    def refuse_expired(self):
        if self.expired:
            raise LoadError(self.expired)

    def refuse_failed(self):
        ago = monotonic() - self.failed
        if self.failure is not None and ago < RETRY:
            raise LoadError(f"that failed {ago:.1f} s ago: {self.failure}")


# ---- loading ----


def start():
    """Called once, before anything else."""
    ngx_wsgi_guest.settle()


def add(target, path, middleware):
    """The next application of the configuration.  "middleware" is None or
    names with spaces between them, the outermost first."""
    _apps.append(App(len(_apps), target, path, middleware))


def load(index):
    """The WSGI callable of an application, imported if it was not yet."""
    app = _apps[index]
    return app.load() if app.value is None else app.value


def importing(index, ident):
    """Replaced by C: tells Go that an import begins, or ends (0)."""


def end_child():
    """Replaced by C: ends a child that was forked, instead of returning to Go."""


def resolve(target, path):
    """Three forms: "module", "module:callable" or "module:factory()", and
    "/path/script.py" with the callable in "path"."""
    if target.startswith("/"):
        module = script(target)
    else:
        name, _, path = target.partition(":")
        module = import_module(name)
    path = path or "application"
    if not path.endswith("()"):
        value = attribute(module, path)
        what = f'"{path}" of {whereabouts(module)} is'
    else:
        factory = attribute(module, path[:-2])
        if not callable(factory):
            raise LoadError(
                f'"{path[:-2]}" of {whereabouts(module)} is'
                f" {kind(factory)}: it cannot be called to make an application"
            )
        value = factory()
        what = f'the factory "{path}" of {whereabouts(module)} returned'
    if not callable(value):
        raise LoadError(f"{what} {kind(value)}, which is not a WSGI application")
    return value


def wrap(target, app):
    """Middleware, "module:callable", around an application."""
    what = f'the middleware "{target}"'
    name, _, path = target.partition(":")
    try:
        factory = attribute(import_module(name), path)
        value = factory(app) if callable(factory) else None
    except LoadError as exc:
        raise LoadError(f"{what}: {exc}") from None
    except Exception as exc:
        raise LoadError(f"{what} raised {brief(exc)}") from exc
    if not callable(factory):
        raise LoadError(f"{what} is {kind(factory)}, which cannot be called")
    if not callable(value):
        raise LoadError(
            f"{what} returned {kind(value)}, which is not a WSGI application"
        )
    return value


def import_module(name):
    try:
        __import__(name)
    except ModuleNotFoundError as exc:
        # A module that the application lacks is reported with its traceback.
        missing = exc.name and (name + ".").startswith(exc.name + ".")
        if not missing or own_traceback(exc.__traceback__):
            raise
        raise LoadError(f"{exc} (sys.path: {', '.join(sys.path)})") from None
    return sys.modules[name]


def script(path):
    """A file as a module of its own, whatever its suffix.

    Its name depends on its path alone, so that two applications of one script
    share a module.  As with mod_wsgi, its directory is not put on sys.path
    (wsgi_python_path and wsgi_directory are), and no bytecode is written:
    __pycache__ would hold app.py and app.wsgi under one name.
    """
    name = "_ngx_wsgi" + "".join(
        c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in path
    )
    if name in sys.modules:
        return sys.modules[name]
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    loader = SourceFileLoader(name, path)
    try:
        loader.path_stats(path)  # for wsgi_script_reloading
        source = loader.get_data(path)
    except OSError as exc:
        raise LoadError(f"the script cannot be read: {exc.strerror}") from None
    module = module_from_spec(spec_from_file_location(name, path, loader=loader))
    sys.modules[name] = module
    try:
        exec(loader.source_to_code(source, path), module.__dict__)  # noqa: S102
    except BaseException:
        del sys.modules[name]
        raise
    return module


def attribute(module, path):
    value = module
    for name in path.split("."):
        holder, value = value, getattr(value, name, _apps)
        if value is _apps:
            where = whereabouts(holder) if holder is module else kind(holder)
            raise LoadError(f'{where} has no attribute "{name}"{hint(holder, name)}')
    return value


def hint(holder, name):
    from difflib import get_close_matches

    names = [n for n in dir(holder) if not n.startswith("_")]
    near = get_close_matches(name, names, cutoff=0.4)
    return " (but " + ", ".join(f'"{n}"' for n in near) + ")" if near else ""


def whereabouts(module):
    path = getattr(module, "__file__", None)
    if module.__name__.startswith("_ngx_wsgi") and path:
        return f"the script {path}"
    return f'module "{module.__name__}"' + (f" ({path})" if path else "")


def kind(value):
    return "None" if value is None else f'an object of type "{type(value).__name__}"'


def expire(index, ident, why):
    """Go, when the import of "index" by thread "ident" shall end, "why" is a
    sentence: the text for the log, or None if that import has ended."""
    app = _apps[index]
    text = f'application "{app}" cannot be loaded: {why}\n{stack(ident)}'
    if app.owner.get("ident") != ident or app.value is not None:
        return None
    app.expired = why
    return text


# ---- words for the error log ----


def breathe():
    """Lets Python do, at the call, what it does between two instructions."""


def failure(index, phase, exc):
    """What happened, in one line, then the traceback, where it tells more."""
    app = f'application "{_apps[index]}"' if index >= 0 else "Python"
    if phase == "import":
        if isinstance(exc, LoadError):
            cause = f"\n{trace(exc.__cause__)}" if exc.__cause__ else ""
            return f"{app} cannot be loaded: {exc}{cause}".rstrip("\n")
        if isinstance(exc, SyntaxError) and exc.filename:
            place = f"{exc.filename}, line {exc.lineno}"
            return f"{app} cannot be loaded: {place}: {brief(exc)}\n{trace(exc)}"
    return f"{app} raised {brief(exc)} in {phase}\n{trace(exc)}".rstrip("\n")


def brief(exc):
    """Type and message of an exception in one line, whatever its __str__."""
    if isinstance(exc, LoadError):
        return str(exc)
    kind = type(exc)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        text = exc.msg if isinstance(exc, SyntaxError) else str(exc)
    except Exception:  # noqa: BLE001
        text = "(its message cannot be had)"
    text = (text or "").strip().partition("\n")[0]
    return f"{name}: {text}" if text else name


def trace(exc):
    """The traceback with what caused it, without frames of this file."""
    told = traceback.TracebackException(type(exc), exc, exc.__traceback__)
    seen, todo = set(), [told]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        while one.stack and is_ours(one.stack[0].filename):
            del one.stack[0]
        todo += one.__cause__, one.__context__, *(getattr(one, "exceptions", 0) or ())
    if not told.stack and told.__cause__ is None and told.__context__ is None:
        # C raised it: the first line has said all, but for a syntax error.
        return "".join(told.format_exception_only()) if told_more(exc) else ""
    return "".join(told.format())


def told_more(exc):
    return isinstance(exc, SyntaxError) or bool(getattr(exc, "__notes__", None))


def own_traceback(tb):
    """The part of a traceback that is not ours."""
    while tb is not None and is_ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def is_ours(filename):
    """No line of the application: this file's, or the import system's."""
    return filename in OURS or filename.startswith("<frozen importlib")


def stack(ident):
    """What a thread is doing, for a log line of its own."""
    frame = current_frames().get(ident)
    if frame is None:
        return "its thread runs no Python code"
    frames = [f for f in traceback.extract_stack(frame) if not is_ours(f.filename)]
    thread = threading._active.get(ident)
    name = f' "{thread.name}"' if thread else ""
    if ident in _waiting:
        return f'thread{name} waits for the import of application "{_waiting[ident]}"'
    head = f"stack of thread{name} (most recent call last):\n"
    return head + "".join(traceback.format_list(frames)).rstrip("\n")


_looking = threading.Lock()


def current_frames():
    """The frame of each thread, as sys._current_frames() has it.

    3.11, but for its last releases, makes them while it holds a lock, and a
    garbage collection that begins there may want that lock, or give up the GIL
    to somebody who does: then nothing ever runs again (CPython's gh-106883).

    The lock here is for those who would find the collection disabled by each
    other.
    """
    with _looking:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()
        finally:
            if enabled:
                gc.enable()


def place(frames, ident):
    """Where a thread is in its application, for the report of a crash that
    leaves no time to look; None: nowhere."""
    frame = frames.get(ident)
    while frame and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    code = frame.f_code
    return (
        f'last seen at File "{code.co_filename}", line {frame.f_lineno}'
        f" in {code.co_name}"
    )


# ---- files ----


def file_range(file):
    """What nginx can send of a file by itself: (descriptor, offset, length).

    None for everything else.  A fileno() is not enough: gzip.GzipFile has one,
    of the compressed file.  Nor is a size of 0, which files of /proc have.
    """
    import io
    from stat import S_ISREG

    file = unwrapped(file)
    if type(file) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        return None
    if type(getattr(file, "raw", file)) is not io.FileIO:
        return None
    if file.writable():
        file.flush()
    fd = file.fileno()
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode) or status.st_size == 0:
        return None
    offset = file.tell()
    return fd, offset, max(0, status.st_size - offset)


def unwrapped(file):
    """tempfile's and Django's objects have the real file inside.

    An object with a read() of its own, which may decrypt or count, is left
    alone.
    """
    inner = getattr(file, "file", None)
    if inner is None:
        return file
    tempfile = sys.modules.get("tempfile")
    if tempfile and type(file) is tempfile._TemporaryFileWrapper:
        return inner
    same = getattr(file, "read", None) == getattr(inner, "read", file)
    return unwrapped(inner) if same else file


# ---- the end ----


def join():
    """Waits for the threads that applications have started, but for daemons."""
    attempt(threading._shutdown)
    end_child()


def leave():
    """Runs the functions registered with atexit."""
    import atexit

    attempt(atexit._run_exitfuncs)
    attempt(sys.stdout.flush)
    attempt(sys.stderr.flush)
    end_child()


def attempt(function):
    try:
        function()
    except BaseException as exc:  # noqa: BLE001
        print(failure(-1, "shutdown", exc), file=sys.stderr)
