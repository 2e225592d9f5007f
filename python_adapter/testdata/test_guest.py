# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

# Exceptions of all kinds are caught, to see what happens.
# ruff: noqa: BLE001, PLW1510

"""ngx_wsgi_guest with a stand-in for the C module: threads, forks, signals and
the end.  To be run as test_boot.py is.
"""

import _thread
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest

from stand_in import HERE, C, guest


def in_thread(function, name="default-1"):
    """Runs a function as a thread of a pool does: one that C has made."""
    result = []
    done = threading.Event()

    def run():
        try:
            guest.thread_started(name)
            result.append(function())
        except BaseException as exc:
            result.append(exc)
        finally:
            done.set()

    _thread.start_new_thread(run, ())
    if not done.wait(30):
        raise AssertionError("the thread did not end")
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class Threads(unittest.TestCase):
    def test_name_and_kind(self):
        name, daemon, listed = in_thread(
            lambda: (
                threading.current_thread().name,
                threading.current_thread().daemon,
                [t.name for t in threading.enumerate()],
            ),
            "images-2",
        )
        self.assertEqual((name, daemon), ("images-2", True))
        self.assertIn("images-2", listed)

    def test_it_is_forgotten_when_it_ends(self):
        in_thread(lambda: 0, "gone-1")
        for _ in range(200):
            if "gone-1" not in [t.name for t in threading.enumerate()]:
                return
            time.sleep(0.01)
        self.fail("the thread is still listed")

    def test_multiprocessing_by_fork(self):
        context = multiprocessing.get_context("fork")

        def run():
            process = context.Process(target=os.getpid)
            process.start()
            process.join(20)
            return process.exitcode, threading.current_thread().name

        self.assertEqual(in_thread(run), (0, "default-1"))
        self.assertIs(threading.main_thread(), threading.current_thread())

    def test_child_has_a_main_thread(self):
        def run():
            pid = os.fork()
            if pid == 0:
                main = threading.current_thread()
                os._exit(
                    42
                    if main is threading.main_thread()
                    and main.name == "MainThread"
                    and signal.signal is not None
                    and threading.enumerate() == [main]
                    else 1
                )
            return os.waitpid(pid, 0)[1] >> 8

        self.assertEqual(in_thread(run), 42)

    def test_child_can_be_terminated(self):
        context = multiprocessing.get_context("fork")

        def run():
            process = context.Process(target=time.sleep, args=(30,))
            process.start()
            process.terminate()
            process.join(20)
            return process.exitcode

        self.assertEqual(in_thread(run), -signal.SIGTERM)

    def test_child_is_terminated_at_once(self):
        """Also by a signal that comes before the child has let go of nginx."""
        set_signal = guest._originals["signal"]
        before = set_signal(signal.SIGTERM, lambda *a: None)
        self.addCleanup(set_signal, signal.SIGTERM, before)
        self.addCleanup(setattr, C, "forked", C.forked)
        C.forked = lambda: os.kill(os.getpid(), signal.SIGTERM)

        def run():
            pid = os.fork()
            if pid == 0:
                os._exit(1)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return status, signal.pthread_sigmask(signal.SIG_BLOCK, [])

        self.assertEqual(in_thread(run), (-signal.SIGTERM, set()))

    def test_signal_works_in_a_child(self):
        def run():
            pid = os.fork()
            if pid == 0:
                got = []
                signal.signal(signal.SIGUSR1, lambda *a: got.append(a))
                os.kill(os.getpid(), signal.SIGUSR1)
                os._exit(42 if got else 1)
            return os.waitpid(pid, 0)[1] >> 8

        self.assertEqual(in_thread(run), 42)

    def test_subprocess_with_preexec(self):
        self.assertEqual(
            in_thread(
                lambda: subprocess.run(["/bin/true"], preexec_fn=os.getpid).returncode
            ),
            0,
        )


class Signals(unittest.TestCase):
    def setUp(self):
        guest._warned.clear()
        C.stderr.take()
        self.stderr, sys.stderr = sys.stderr, C.stderr
        self.addCleanup(setattr, sys, "stderr", self.stderr)

    def test_handler_is_ignored_with_one_warning(self):
        before = signal.getsignal(signal.SIGTERM)
        for _ in range(2):
            self.assertIs(signal.signal(signal.SIGTERM, print), before)
        self.assertIs(signal.getsignal(signal.SIGTERM), before)
        text = C.stderr.take()
        self.assertEqual(text.count("\n"), 1)
        self.assertIn(
            "signal.signal(SIGTERM) is ignored, the signals of a worker are "
            f"nginx's (called at {__file__}:",
            text,
        )
        signal.signal(signal.SIGINT, print)
        self.assertIn("signal.signal(SIGINT)", C.stderr.take())

    def test_number_that_is_no_signal(self):
        with self.assertRaises(ValueError):
            signal.signal(9999, print)

    def test_from_another_thread(self):
        in_thread(lambda: signal.signal(signal.SIGHUP, print))
        self.assertIn("SIGHUP", C.stderr.take())

    def test_the_rest(self):
        self.assertEqual(signal.set_wakeup_fd(-1, warn_on_full_buffer=False), -1)
        self.assertEqual(signal.alarm(1), 0)
        self.assertEqual(signal.setitimer(signal.ITIMER_VIRTUAL, 1), (0.0, 0.0))
        self.assertIsNone(signal.siginterrupt(signal.SIGUSR1, True))
        self.assertEqual(C.stderr.take().count("is ignored"), 4)


class End(unittest.TestCase):
    def test_functions_of_atexit(self):
        source = """
            import atexit, sys
            sys.path.insert(0, sys.argv[1])
            import stand_in
            import threading, time
            def work():
                time.sleep(0.2)
                print("thread", file=stand_in.streams[0])
            atexit.register(print, "atexit", file=stand_in.streams[0])
            threading.Thread(target=work).start()
            stand_in.boot.join()
            stand_in.boot.leave()
            print("end", file=stand_in.streams[0], flush=True)
            """
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source), HERE],
            stdout=subprocess.PIPE,
            timeout=60,
            check=True,
        )
        self.assertEqual(child.stdout.split(), [b"thread", b"atexit", b"end"])


if __name__ == "__main__":
    unittest.main()
