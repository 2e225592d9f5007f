# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Applications that take their time."""

import ctypes
import faulthandler
import functools
import re
import signal
import socket
import tempfile
import threading
import time

from .common import SLACK, TEXT, note, query, reply, rest, wait_for

never = threading.Lock()
never.acquire()


def sleep(environ, start_response):
    time.sleep(float(rest(environ)))
    return reply(start_response, "slept")


def nap(environ, start_response):
    """Notes that it is here, then sleeps: /seconds/name"""
    seconds, name = rest(environ).split("/")
    note(name, "here")
    time.sleep(float(seconds))
    return reply(start_response, "slept")


def spin(environ, start_response):
    end = time.monotonic() + float(rest(environ))
    while time.monotonic() < end:
        pass
    return reply(start_response, "spun")


def lock(environ, start_response):
    never.acquire()
    return reply(start_response, "cannot be")


def hold_the_gil(environ, start_response):
    """A C call that does not release the GIL."""
    ctypes.PyDLL(None).usleep(int(float(rest(environ)) * 1e6))
    return reply(start_response, "held")


def backtrack(environ, start_response):
    """A regular expression that will not end: the GIL is busy, and held."""
    re.match("(a+)+$", "a" * 64 + "b")
    return reply(start_response, "cannot be")


def recv(environ, start_response):
    """Waits for somebody who does not send anything."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)
    return reply(start_response, "cannot be")


def usleep_with_the_gil(seconds):
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def hold_in_a_thread(environ, start_response):
    thread = threading.Thread(target=usleep_with_the_gil, args=[float(rest(environ))])
    thread.start()
    thread.join()
    return reply(start_response, "held")


def hold_beside_theirs(environ, start_response):
    """An application with faulthandler's watchdog, and a signal, of its own;
    then it holds the GIL: /seconds"""
    seconds = float(rest(environ))
    with tempfile.TemporaryFile() as file:
        faulthandler.register(signal.SIGRTMAX - 1, file)
        faulthandler.dump_traceback_later(seconds - 1, file=file)
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        faulthandler.cancel_dump_traceback_later()
        signal.raise_signal(signal.SIGRTMAX - 1)
        faulthandler.unregister(signal.SIGRTMAX - 1)
        file.seek(0)
        return reply(start_response, file.read().decode())


def hold_as(environ, start_response):
    """The thread of that name holds the GIL when it is told to, others wait:
    /seconds/thread/event"""
    seconds, thread, name = rest(environ).split("/")
    if threading.current_thread().name == thread:
        wait_for(name + "-begin")
        ctypes.PyDLL(None).usleep(int(float(seconds) * 1e6))
        return reply(start_response, "held")
    note(name, "here")
    wait_for(name)
    return reply(start_response, "released")


def stubborn(environ, start_response):
    """Swallows what is raised in it, until it is told to end."""
    name, end = rest(environ), time.monotonic() + 20
    note(name, "started")
    while time.monotonic() < end:
        try:
            wait_for(name)
            break
        except BaseException as exc:  # noqa: BLE001
            note(name, type(exc).__name__)
    return reply(start_response, "at last")


def sleeps_in_c(environ, start_response):
    """Not a line of Python runs after the sleep in which the exception of a
    timeout could be raised."""
    note(rest(environ), "here")
    start_response("200 OK", [TEXT])
    return iter(functools.partial(time.sleep, 0.9), None)


def compute(end):
    while time.monotonic() < end:
        pass


def note_exception(environ, start_response):
    """Notes what is raised in a busy loop.

    The loop is a function's of its own: CPython 3.13 and 3.14 do not always find
    the "except" around a loop for what another thread has raised.
    """
    try:
        compute(time.monotonic() + 20)
    except BaseException as exc:
        note(rest(environ), [type(exc).__name__,
                             [base.__name__ for base in type(exc).__mro__]])
        raise
    return reply(start_response, "cannot be")


def gaps(environ, start_response):
    """Chunks with "gap" seconds before each of them."""
    args = query(environ)
    start_response("200 OK", [TEXT])
    for i in range(int(args["count"])):
        time.sleep(float(args["gap"]))
        yield b"%d," % i


def stalls(environ, start_response):
    """One chunk, then nothing for long."""
    start_response("200 OK", [TEXT])
    yield b"first"
    time.sleep(float(rest(environ)))
    yield b"too late"


barriers = {}
barriers_lock = threading.Lock()


def together(environ, start_response):
    """Answers when n requests are here at once: /n/name"""
    count, name = rest(environ).split("/")
    with barriers_lock:
        barrier = barriers.setdefault(name, threading.Barrier(int(count)))
    try:
        barrier.wait(15 * SLACK)
    except threading.BrokenBarrierError:
        return reply(start_response, "alone", "500 Alone")
    return reply(start_response, "together")


def occupy(environ, start_response):
    """Holds its thread until the event."""
    name = rest(environ)
    note(name, "occupied")
    wait_for(name)
    return reply(start_response, "released")
