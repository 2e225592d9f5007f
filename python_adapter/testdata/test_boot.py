# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

# Files are left open, and exceptions of all kinds caught, to see what happens.
# ruff: noqa: BLE001, SIM115

"""ngx_wsgi_boot with a stand-in for the C module: loading, files and words.
boot_test.go runs it with the Python that was configured; any other from 3.9 on
will do as well:

    python3.9 python_adapter/testdata/test_boot.py
"""

import gc
import importlib
import io
import os
import sys
import tempfile
import textwrap
import threading
import time
import unittest

from stand_in import C, boot


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        sys.path.insert(0, self.dir.name)
        self.addCleanup(sys.path.remove, self.dir.name)
        self.before = set(sys.modules)
        self.addCleanup(self.forget)
        C.stderr.take()

    def forget(self):
        for name in set(sys.modules) - self.before:
            if name.startswith(("app_", "_ngx_wsgi_")):
                del sys.modules[name]

    def write(self, name, source):
        path = os.path.join(self.dir.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(textwrap.dedent(source))
        importlib.invalidate_caches()
        return path

    def add(self, target, name=None, middleware=None):
        boot.add(target, name, middleware)
        return len(boot._apps) - 1

    def load(self, target, name=None):
        return boot.load(self.add(target, name))

    def words(self, target, name=None):
        """What the log says of an application that does not load."""
        index = self.add(target, name)
        try:
            boot.load(index)
        except BaseException as exc:
            # C calls boot: no frame comes before its own.
            exc.__traceback__ = exc.__traceback__.tb_next
            return boot.failure(index, "import", exc)
        raise AssertionError(f"{target} was loaded")


class Targets(Case):
    def test_module_has_the_default_name(self):
        self.write("app_a.py", "def application(e, s): return 'a'")
        self.assertEqual(self.load("app_a")(0, 0), "a")

    def test_callable_may_be_dotted(self):
        self.write(
            "app_b.py",
            """
            class Site:
                def run(self, environ, start_response): return "b"
            site = Site()
            """,
        )
        self.assertEqual(self.load("app_b:site.run")(0, 0), "b")

    def test_module_in_a_package(self):
        self.write("app_p/__init__.py", "")
        self.write("app_p/wsgi.py", "def app(e, s): return 'p'")
        self.assertEqual(self.load("app_p.wsgi:app")(0, 0), "p")

    def test_factory_is_called_once(self):
        self.write(
            "app_c.py",
            """
            calls = []
            def make():
                calls.append(1)
                return lambda e, s: len(calls)
            """,
        )
        index = self.add("app_c:make()")
        boot.load(index)
        self.assertEqual(boot.load(index)(0, 0), 1)

    def test_script_of_any_name(self):
        path = self.write("x/site.wsgi", "def application(e, s): return __file__")
        app = self.load(path)
        self.assertEqual(app(0, 0), path)
        self.assertIs(sys.modules[app.__module__].application, app)
        self.assertNotIn(os.path.dirname(path), sys.path)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["site.wsgi"])

    def test_script_with_a_callable_is_loaded_once(self):
        path = self.write("s.py", "def one(e, s): return 1\ndef two(): return one\n")
        self.assertEqual(self.load(path, "one"), self.load(path, "two()"))

    def test_scripts_of_like_names_are_two(self):
        one = self.write("a/b_c.py", "application = lambda e, s: 1")
        two = self.write("a_b/c.py", "application = lambda e, s: 2")
        self.assertEqual((self.load(one)(0, 0), self.load(two)(0, 0)), (1, 2))


class Middleware(Case):
    def setUp(self):
        super().setUp()
        self.write(
            "app_mw.py",
            """
            def application(environ, start_response): return "inner"
            class Layers:
                def outer(self, app):
                    return lambda e, s: "outer " + app(e, s)
            layers = Layers()
            def second(app): return lambda e, s: "second " + app(e, s)
            def nothing(app): pass
            def broken(app): raise ValueError("no layer")
            """,
        )

    def test_it_wraps(self):
        index = self.add("app_mw", middleware="app_mw:layers.outer")
        self.assertEqual(boot.load(index)(0, 0), "outer inner")

    def test_the_first_is_the_outermost(self):
        index = self.add("app_mw", middleware="app_mw:layers.outer app_mw:second")
        self.assertEqual(boot.load(index)(0, 0), "outer second inner")

    def test_refusals(self):
        for name, words in (
            ("app_mw:nothing", 'the middleware "app_mw:nothing" returned None, which'),
            ("app_mw:layers", 'the middleware "app_mw:layers" is an object of type'),
            ("app_mw:layers", ", which cannot be called$"),
            ("app_mw:missing", '"app_mw:missing": .* has no attribute "missing"'),
            ("app_nosuch:x", "\"app_nosuch:x\": No module named 'app_nosuch'"),
            ("app_mw:broken", '"app_mw:broken" raised ValueError: no layer$'),
        ):
            index = self.add("app_mw", middleware=name)
            with self.assertRaisesRegex(Exception, words):
                boot.load(index)

    def test_a_failure_has_its_traceback(self):
        index = self.add("app_mw", middleware="app_mw:broken")
        with self.assertRaises(boot.LoadError) as caught:
            boot.load(index)
        words = boot.failure(index, "import", caught.exception)
        self.assertRegex(words, '^application "app_mw" cannot be loaded: the middlew')
        self.assertRegex(words, r'app_mw\.py", line \d+, in broken')


class Files(Case):
    def setUp(self):
        super().setUp()
        self.path = self.write("data", "0123456789")

    def check(self, file, position, length):
        with file:
            self.assertEqual(
                boot.file_range(file), (file.fileno(), position, length), file
            )

    def test_plain_files(self):
        self.check(open(self.path, "rb"), 0, 10)
        self.check(open(self.path, "rb", buffering=0), 0, 10)
        self.check(open(self.path, "r+b"), 0, 10)

    def test_position(self):
        file = open(self.path, "rb")
        file.read(3)
        self.check(file, 3, 7)
        file = open(self.path, "rb")
        file.seek(20)
        self.check(file, 20, 0)

    def test_what_was_written_counts(self):
        for make in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile):
            file = make()
            file.write(b"abc")
            file.seek(1)
            file.seek(0, os.SEEK_END)
            file.write(b"d")
            self.check(file, 4, 0)

    def test_wrapper_that_lends_its_files_methods(self):
        class Lender:
            def __init__(self, file):
                self.file = file

            read = property(lambda self: self.file.read)

        with open(self.path, "rb") as file:
            self.assertEqual(boot.file_range(Lender(file)), (file.fileno(), 0, 10))

    def test_wrapper_that_changes_what_is_read(self):
        class Upper:
            def __init__(self, file):
                self.file = file

            def read(self, n=-1):
                return self.file.read(n).upper()

        with open(self.path, "rb") as file:
            self.assertIsNone(boot.file_range(Upper(file)))

    def test_others_are_read(self):
        import gzip

        class Mine(io.FileIO):
            def read(self, n=-1):
                return b"something else"

        packed = os.path.join(self.dir.name, "x.gz")
        with gzip.open(packed, "wb") as file:
            file.write(b"x")
        pipe = os.pipe()
        os.close(pipe[1])
        for file in (
            io.BytesIO(b"x"),
            open(self.path),
            gzip.open(packed),
            Mine(self.path),
            io.BufferedReader(Mine(self.path)),
            os.fdopen(pipe[0], "rb"),
            tempfile.SpooledTemporaryFile(),
        ):
            with file:
                self.assertIsNone(boot.file_range(file), file)
        self.assertIsNone(boot.file_range([b"x"]))

    def test_closed_file(self):
        file = open(self.path, "rb")
        file.close()
        with self.assertRaises(ValueError):
            boot.file_range(file)


class Refusals(Case):
    def test_unknown_module(self):
        words = self.words("app_nosuch:app")
        self.assertTrue(
            words.startswith(
                'application "app_nosuch:app" cannot be loaded: '
                "No module named 'app_nosuch' (sys.path: "
            )
        )
        self.assertNotIn("\n", words)

    def test_unknown_module_of_a_package(self):
        self.write("app_q/__init__.py", "")
        self.assertIn("No module named 'app_q.wsgi'", self.words("app_q.wsgi"))

    def test_module_that_lacks_another(self):
        self.write("app_d.py", "import app_missing")
        words = self.words("app_d")
        self.assertTrue(
            words.startswith(
                'application "app_d" raised ModuleNotFoundError: '
                "No module named 'app_missing' in import\nTraceback"
            )
        )
        self.assertIn('app_d.py", line 1, in <module>', words)
        self.assertNotIn("ngx_wsgi_boot", words)

    def test_module_that_fails_to_import_itself(self):
        self.write("app_e.py", "raise ModuleNotFoundError('x', name='app_e')")
        self.assertIn("app_e.py", self.words("app_e"))

    def test_no_such_attribute(self):
        path = self.write("app_f.py", "def aplication(e, s): pass")
        self.assertEqual(
            self.words("app_f"),
            f'application "app_f" cannot be loaded: module "app_f" ({path})'
            ' has no attribute "application" (but "aplication")',
        )

    def test_no_such_dotted_attribute(self):
        self.write("app_g.py", "site = {}")
        self.assertIn(
            'an object of type "dict" has no attribute "run"',
            self.words("app_g:site.run"),
        )

    def test_not_callable(self):
        self.write("app_h.py", "application = None\nmade = 3\n")
        self.assertIn("is None, which is not a WSGI", self.words("app_h"))
        self.assertIn("it cannot be called to make", self.words("app_h:made()"))

    def test_factory_of_nothing(self):
        self.write("app_i.py", "def make(): pass")
        self.assertIn(
            "returned None, which is not a WSGI application",
            self.words("app_i:make()"),
        )

    def test_factory_that_raises(self):
        self.write("app_j.py", "def make(): raise ValueError('no database')")
        words = self.words("app_j:make()")
        self.assertIn("raised ValueError: no database in import", words)
        self.assertIn("in make", words)

    def test_syntax_error(self):
        path = self.write("app_k.py", "x = 1\nif x\n")
        words = self.words("app_k").splitlines()
        self.assertTrue(
            words[0].startswith(
                f'application "app_k" cannot be loaded: {path}, line 2: SyntaxError: '
            ),
            words[0],
        )
        self.assertIn("    if x", words)

    def test_script_that_is_not_there(self):
        self.assertEqual(
            self.words("/nosuch/app.py"),
            'application "/nosuch/app.py" cannot be loaded: '
            "the script cannot be read: No such file or directory",
        )

    def test_script_that_fails_leaves_no_module(self):
        path = self.write("t.py", "1 / 0")
        self.assertIn("raised ZeroDivisionError: ", self.words(path, "app"))
        self.assertFalse([n for n in sys.modules if n.endswith("_2ft_2epy")])

    def test_sys_exit(self):
        self.write("app_l.py", "import sys; sys.exit('not here')")
        self.assertIn("raised SystemExit: not here in import", self.words("app_l"))


class Again(Case):
    def test_failure_is_told_at_once_and_tried_again_later(self):
        flag = os.path.join(self.dir.name, "flag")
        self.write(
            "app_m.py",
            f"""
            import os
            with open({flag!r}, "a") as file: file.write("x")
            if os.path.getsize({flag!r}) == 1: raise ValueError("first")
            application = print
            """,
        )
        index = self.add("app_m")
        self.addCleanup(setattr, boot, "RETRY", boot.RETRY)
        boot.RETRY = 60.0
        with self.assertRaises(ValueError):
            boot.load(index)
        with self.assertRaisesRegex(boot.LoadError, r"failed \d+\.\d s ago: ValueError"):
            boot.load(index)
        self.assertEqual(os.path.getsize(flag), 1)
        boot._apps[index].failed -= boot.RETRY
        self.assertIs(boot.load(index), print)

    def test_threads_wait_for_one_import(self):
        self.write(
            "app_n.py", "import time; time.sleep(0.3)\napplication = object.__new__"
        )
        index = self.add("app_n")
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(boot.load(index)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual(found, [object.__new__] * 8)

    def test_an_import_that_takes_too_long(self):
        self.write(
            "app_o.py", "import threading; threading.gate.wait(10)\napplication = 1"
        )
        threading.gate = threading.Event()
        self.addCleanup(delattr, threading, "gate")
        seen = []
        boot.importing, before = lambda *args: seen.append(args), boot.importing
        self.addCleanup(setattr, boot, "importing", before)
        index = self.add("app_o")
        failures = []

        def run():
            try:
                boot.load(index)
            except boot.LoadError as exc:
                failures.append(str(exc))

        thread = threading.Thread(target=run)
        thread.start()
        while not (seen and "gate.wait" in boot.stack(thread.ident)):
            time.sleep(0.01)
        self.assertEqual(seen, [(index, thread.ident)])
        self.assertIsNone(boot.expire(index, 1, "too late"))
        words = boot.expire(index, thread.ident, "too late")
        self.assertIn(
            'application "app_o" cannot be loaded: too late\nstack of thread', words
        )
        self.assertIn("app_o.py", words)
        with self.assertRaisesRegex(boot.LoadError, "too late"):
            boot.load(index)
        threading.gate.set()
        thread.join(10)
        self.assertEqual(len(failures), 1)
        self.assertIn('type "int", which is not a WSGI', failures[0])
        self.assertEqual(seen, [(index, thread.ident), (index, 0)])
        self.assertIsNone(boot.expire(index, thread.ident, "too late"))

    def test_timeout_raised_in_an_expired_import(self):
        index = self.add("app_r")
        app = boot._apps[index]

        def importing(index, ident):
            if ident:
                app.expired = "too late"

        boot.importing, before = importing, boot.importing
        self.addCleanup(setattr, boot, "importing", before)
        self.write("app_r.py", "import _ngx_wsgi; raise _ngx_wsgi.RequestTimeout")
        with self.assertRaisesRegex(boot.LoadError, "^too late$"):
            boot.load(index)
        self.assertIsNone(app.expired)
        self.assertEqual(app.owner, {})


class Words(Case):
    def test_cause_is_told(self):
        try:
            try:
                {}["x"]
            except KeyError as exc:
                raise ValueError("second\nline") from exc
        except ValueError as exc:
            index = self.add("app:wsgi")
            words = boot.failure(index, "call", exc)
        lines = words.splitlines()
        self.assertEqual(
            lines[0], 'application "app:wsgi" raised ValueError: second in call'
        )
        self.assertIn("direct cause", words)
        self.assertIn("KeyError: 'x'", lines)
        self.assertEqual(words.count("Traceback"), 2)

    def test_without_traceback_one_line_will_do(self):
        index = self.add("/srv/app.py", "run")
        self.assertEqual(
            boot.failure(index, "iteration", TypeError("not bytes")),
            'application "/srv/app.py run" raised TypeError: not bytes in iteration',
        )

    def test_exception_that_cannot_be_told(self):
        class Bad(Exception):
            def __str__(self):
                raise RuntimeError

        words = boot.failure(-1, "thread start", Bad())
        self.assertIn("Bad: (its message cannot be had) in thread start", words)

    def test_empty_message(self):
        self.assertEqual(
            boot.failure(-1, "call", KeyError()), "Python raised KeyError in call"
        )

    def test_no_garbage_is_collected_while_frames_are_made(self):
        seen = []
        real = sys._current_frames
        sys._current_frames = lambda: seen.append(gc.isenabled()) or real()
        self.addCleanup(setattr, sys, "_current_frames", real)
        self.addCleanup(gc.enable)
        self.assertIn(threading.get_ident(), boot.current_frames())
        boot.stack(1)
        self.assertTrue(gc.isenabled())
        gc.disable()
        boot.stack(1)
        self.assertFalse(gc.isenabled(), "as it was")
        self.assertEqual(seen, [False] * 3)

    def test_stack_of_a_thread(self):
        gate = threading.Event()
        thread = threading.Thread(target=gate.wait, name="worker-7")
        thread.start()
        text = boot.stack(thread.ident)
        gate.set()
        thread.join()
        self.assertTrue(text.startswith('stack of thread "worker-7" (most recent'))
        self.assertIn("wait", text)
        self.assertIn("no Python code", boot.stack(1))


if __name__ == "__main__":
    unittest.main()
