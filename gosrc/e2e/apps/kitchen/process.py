# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes: subprocess, multiprocessing, fork."""

import ctypes
import faulthandler
import mmap
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from .common import SLACK, TEXT, events, note, query, reply, reply_json, rest

PYTHON = sys.executable or "python3"


def run(environ, start_response):
    """Exit codes, streams and environment of a child."""
    code = "import sys; print(sys.stdin.read().upper()); sys.exit(7)"
    done = subprocess.run([PYTHON, "-c", code], input="in", text=True,
                          capture_output=True, check=False)
    env = subprocess.run(["/bin/sh", "-c", "echo $KITCHEN"], text=True,
                         env={"KITCHEN": "sink"}, capture_output=True,
                         check=True)
    return reply_json(start_response, [
        done.returncode, done.stdout, done.stderr, env.stdout,
        os.system("exit 3") >> 8,
        os.popen("echo popen").read(),
    ])


def many(environ, start_response):
    """Every child's status is its own, from many threads at once."""
    codes = []

    def child(code):
        codes.append(subprocess.call(["/bin/sh", "-c", f"exit {code}"]) - code)

    threads = [threading.Thread(target=child, args=(i,)) for i in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reply_json(start_response, codes)


def terminate(environ, start_response):
    child = subprocess.Popen(["/bin/sleep", "60"])
    child.terminate()
    terminated = child.wait(10)
    child = subprocess.Popen(["/bin/sleep", "60"])
    child.kill()
    return reply_json(start_response, [terminated, child.wait(10)])


def timeout(environ, start_response):
    try:
        subprocess.run(["/bin/sleep", "60"], timeout=0.1, check=True)
    except subprocess.TimeoutExpired:
        return reply(start_response, "expired")
    return reply(start_response, "not expired")


def signals(environ, start_response):
    """A child starts with nothing blocked, and with what was ignored only
    where Python says so."""
    with subprocess.Popen(["/bin/cat", "/proc/self/status"], text=True,
                          stdout=subprocess.PIPE) as child:
        status = dict(line.split(":\t", 1) for line in child.stdout)
    return reply_json(start_response, {
        "blocked": int(status["SigBlk"], 16),
        "ignored": int(status["SigIgn"], 16),
    })


def descriptors(environ, start_response):
    """What a child inherits."""
    out = subprocess.check_output(["/bin/ls", "-l", "/proc/self/fd"], text=True)
    return reply(start_response, out)


def careless(environ, start_response):
    """The same of a child for which Python closes nothing."""
    out = subprocess.check_output(["/bin/ls", "-l", "/proc/self/fd"], text=True,
                                  close_fds=False)
    return reply(start_response, out)


def _square(number):
    return number * number


def _exit_with(code):
    sys.exit(code)


def multi(environ, start_response):
    """multiprocessing with the start method of the path."""
    context = multiprocessing.get_context(rest(environ))
    with context.Pool(2) as pool:
        squares = pool.map_async(_square, range(5)).get(15 * SLACK)
    child = context.Process(target=_exit_with, args=(5,))
    child.start()
    child.join(20 * SLACK)
    queue = context.SimpleQueue()
    writer = context.Process(target=queue.put, args=("through a queue",))
    writer.start()
    text = queue.get()
    writer.join(20 * SLACK)
    queue.close()
    return reply_json(start_response, [squares, child.exitcode, text])


def fork_exit(environ, start_response):
    """A child that raises SystemExit through the server's frames."""
    pid = os.fork()
    if pid == 0:
        sys.exit(3)
    _, status = os.waitpid(pid, 0)
    return reply_json(start_response, os.waitstatus_to_exitcode(status))


def fork_returns(environ, start_response):
    """A child that returns as if it were the parent: only one may answer."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return reply(start_response, "parent" if pid else "child")


def fork_raises(environ, start_response):
    pid = os.fork()
    if pid == 0:
        raise ValueError("in the child")
    _, status = os.waitpid(pid, 0)
    return reply_json(start_response, os.waitstatus_to_exitcode(status))


def fork_in_generator(environ, start_response):
    """A child that goes on yielding."""
    start_response("200 OK", [TEXT])
    yield b"before,"
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    yield b"parent," if pid else b"child,"
    yield b"after"


class ForksInClose:
    def __init__(self, name):
        self.name = name

    def __iter__(self):
        return iter([b"one answer"])

    def close(self):
        pid = os.fork()
        if pid:
            _, status = os.waitpid(pid, 0)
            note(self.name, os.waitstatus_to_exitcode(status))
        else:
            signal.alarm(10)


def fork_in_close(environ, start_response):
    """A child that goes on when the response has its end."""
    start_response("200 OK", [TEXT])
    return ForksInClose(rest(environ))


def fork_prints(environ, start_response):
    pid = os.fork()
    if pid == 0:
        print("printed by the child", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    return reply(start_response, "done")


def fork_lingers(environ, start_response):
    """A child that lives longer than the request."""
    name = rest(environ)
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        time.sleep(60)
        os._exit(0)
    note(name, pid)

    def reap():
        events[name].wait(20)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        note(name, "reaped")

    threading.Thread(target=reap).start()
    return reply(start_response, "forked")


def fork_many(environ, start_response):
    """How many of so many children have a socket of the server's."""
    port, holders = int(environ["SERVER_PORT"]), 0
    for _ in range(int(rest(environ))):
        pid = os.fork()
        if pid == 0:
            os._exit(holds_socket(port))
        holders += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return reply_json(start_response, holders)


def holds_socket(port):
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            with socket.socket(fileno=os.dup(fd)) as s:
                if s.getsockname()[1] == port:
                    return True
        except OSError:
            pass
    return False


def pid(environ, start_response):
    return reply_json(start_response, [os.getpid(), os.getppid()])


def die(environ, start_response):
    """Ends the worker as a crash would."""
    os.kill(os.getpid(), int(query(environ).get("signal", signal.SIGKILL)))
    time.sleep(10)  # another thread may be the one that gets it
    return reply(start_response, "still here")


def leave(environ, start_response):
    """Ends the worker with an exit code."""
    os._exit(int(query(environ)["code"]))


def leave_in_c(environ, start_response):
    """What a C library does that gives up."""
    ctypes.CDLL(None).exit(int(query(environ)["code"]))


def fork_leave(environ, start_response):
    """A child may exit with any code."""
    pid = os.fork()
    if pid == 0:
        os._exit(2)
    _, status = os.waitpid(pid, 0)
    return reply_json(start_response, os.waitstatus_to_exitcode(status))


def fault(environ, start_response):
    """What a bug in a C extension does."""
    return reply(start_response, ctypes.string_at(0))


def abort(environ, start_response):
    """What a failed assertion in a C extension does."""
    os.abort()


def bus(environ, start_response):
    """Reads a page of a file that has none."""
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        memory = mmap.mmap(file.fileno(), 4096)
        file.truncate(0)
        return reply(start_response, memory[0])


def watched_fault(environ, start_response):
    """A fault when the application has a handler of its own."""
    with tempfile.TemporaryFile() as file:
        faulthandler.enable(file)
        return fault(environ, start_response)
