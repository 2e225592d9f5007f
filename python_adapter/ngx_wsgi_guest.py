# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""What makes Python a good guest of the nginx worker that it lives in: its
streams end in the error log, its threads have names, its children are processes
of their own, and nginx's signals stay nginx's.

ngx_wsgi_boot calls settle().
"""

import _signal
import os
import posix
import sys
import threading
import types

import _ngx_wsgi


def settle():
    """Called once, before anything of an application's."""
    streams()
    signals()
    exits()
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )
    public = types.ModuleType("ngx_wsgi", "What applications may want to catch.")
    for name in ("RequestTimeout", "RequestCancelled", "ClientDisconnected"):
        setattr(public, name, getattr(_ngx_wsgi, name))
    sys.modules["ngx_wsgi"] = public


def streams():
    """print(), logging and tracebacks go to nginx's error log."""
    sys.stdout = sys.__stdout__ = _ngx_wsgi.stdout
    sys.stderr = sys.__stderr__ = _ngx_wsgi.stderr


# ---- threads ----


class Farewell:
    """Takes a pool's thread out of threading's list when the thread ends.

    Lives in the thread's own storage, which goes with its thread state.
    CPython does this itself since 3.13.
    """

    def __init__(self, thread):
        self.thread = thread

    def __del__(self):
        active = threading._active
        if active.get(self.thread.ident) is self.thread:
            del active[self.thread.ident]


_local = threading.local()


def thread_started(name):
    """In each new thread of a pool: names it as the log does.

    threading knows it from now on as a thread that it has not started: a
    daemon, for which the end of Python does not wait.
    """
    thread = threading.current_thread()
    thread.name = name
    _local.farewell = Farewell(thread)


def before_fork():
    """Lets threading take the child's one thread for a new main thread.

    It expects of the thread that forks what one it has not started lacks until
    3.13, and multiprocessing's children then end with an AssertionError.

    A signal that reaches the child while it has nginx's handlers would be lost,
    so it has to wait until own_signals().
    """
    _local.mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, nginx_signals())
    if hasattr(_local, "farewell"):
        threading._active.pop(threading.get_ident(), None)


def after_fork_in_parent():
    if hasattr(_local, "farewell"):
        thread = _local.farewell.thread
        threading._active[thread.ident] = thread
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _local.mask)


def after_fork_in_child():
    """A child of os.fork() or multiprocessing is a process of its own."""
    if hasattr(_local, "farewell"):
        del _local.farewell
    _ngx_wsgi.forked()
    own_signals()
    own_exit()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _local.mask)


# ---- os._exit() ----

_os_exit = os._exit


def exits():
    """nginx does not replace a worker whose exit code is 2."""

    def _exit(status):
        _os_exit(1 if status & 0xFF == 2 else status)

    _exit.__doc__ = _os_exit.__doc__
    os._exit = posix._exit = _exit


def own_exit():
    os._exit = posix._exit = _os_exit


# ---- signals ----

# The worker's signals are nginx's.  Both the module signal and what it takes
# from _signal end here; the answers are those of "nothing was set".
_IGNORED = {
    "signal": lambda signum, handler: _signal.getsignal(signum),
    "siginterrupt": lambda signum, flag: None,
    "set_wakeup_fd": lambda fd, warn_on_full_buffer=True: -1,
    "alarm": lambda seconds: 0,
    "setitimer": lambda which, seconds, interval=0.0: (0.0, 0.0),
}

# What a worker has handlers for.
NGINX_SIGNALS = ("HUP", "QUIT", "USR1", "USR2", "ALRM", "TERM", "CHLD", "IO", "WINCH")

_originals = {}
_warned = set()


def nginx_signals():
    return [getattr(_signal, "SIG" + name) for name in NGINX_SIGNALS]


def signals():
    for name, answer in _IGNORED.items():
        _originals[name] = getattr(_signal, name)
        replace(name, ignore(name, answer))


def replace(name, function):
    setattr(_signal, name, function)
    # signal.signal() calls _signal's, the others are the same objects.
    if name != "signal" and "signal" in sys.modules:
        setattr(sys.modules["signal"], name, function)


def ignore(name, answer):
    def ignored(*args, **kwargs):
        result = answer(*args, **kwargs)
        by_signal = name in ("signal", "siginterrupt")
        what = signal_name(args[0]) if by_signal and args else ""
        if (name, what) not in _warned:
            _warned.add((name, what))
            print(
                f"signal.{name}({what}) is ignored, the signals of a worker are"
                f" nginx's (called at {caller()})",
                file=sys.stderr,
            )
        return result

    ignored.__name__ = name
    ignored.__doc__ = _originals[name].__doc__
    return ignored


def signal_name(signum):
    for name, value in vars(_signal).items():
        if name.startswith("SIG") and name[3] != "_" and value == signum:
            return name
    return str(signum)


def caller():
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__") in (__name__, "signal"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def own_signals():
    """In a child: signals as Python has them, so that it can be terminated.

    nginx's handlers would note "terminate" for an event loop that this process
    does not have.
    """
    for name, function in _originals.items():
        replace(name, function)
    for signum in nginx_signals():
        _signal.signal(signum, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
