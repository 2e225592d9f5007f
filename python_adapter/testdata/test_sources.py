# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

"""ngx_wsgi_sources and ngx_wsgi_trial, without a worker.  To be run as
test_boot.py is.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

from stand_in import HERE, boot

sources = importlib.import_module("ngx_wsgi_sources")
fresh = json.loads(sources.watch())

# Old enough for bytecode to be written, as files are that nobody edits.
OLD = time.time() - 3600


class Case(unittest.TestCase):
    def setUp(self):
        sources._imported.clear()
        sys.dont_write_bytecode = False
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        sys.path.insert(0, self.dir)
        self.addCleanup(sys.path.remove, self.dir)
        known = set(sys.modules)
        self.addCleanup(
            lambda: [sys.modules.pop(n) for n in set(sys.modules) - known]
        )

    def write(self, name, text, when=OLD):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        if when:
            os.utime(path, (when, when))
        importlib.invalidate_caches()
        return path

    def load(self, name):
        return importlib.import_module(name)


class Changes(Case):
    def test_nothing(self):
        self.write("quiet.py", "")
        self.load("quiet")
        self.assertEqual(sources.changes(), "")

    def test_module_and_submodule(self):
        self.write("pack/__init__.py", "")
        path = self.write("pack/inner.py", "value = 1")
        self.load("pack.inner")
        self.write("pack/inner.py", "value = 22")
        self.assertEqual(sources.changed(), [path])
        self.assertIn(path, sources.changes())

    def test_same_size_or_same_time(self):
        path = self.write("same.py", "value = 1")
        self.load("same")
        self.write("same.py", "value = 2", OLD + 1)
        self.assertEqual(sources.changed(), [path])
        self.write("same.py", "value = 22", OLD)
        self.assertEqual(sources.changed(), [path])
        self.write("same.py", "value = 1", OLD)
        self.assertEqual(sources.changes(), "", "as it was")

    def test_from_bytecode(self):
        path = self.write("compiled.py", "value = 1")
        self.load("compiled")
        self.assertTrue(os.listdir(os.path.join(self.dir, "__pycache__")))
        del sys.modules["compiled"]
        sources._imported.clear()
        self.load("compiled")
        self.write("compiled.py", "value = 22")
        self.assertEqual(sources.changed(), [path])

    def test_changed_while_it_is_imported(self):
        path = self.write("slow.py", "import os; os.utime(__file__, (1, 1))")
        self.load("slow")
        self.assertEqual(sources.changed(), [path])

    def test_what_failed(self):
        path = self.write("failing.py", "import missing")
        broken = self.write("broken.py", "def")
        self.assertRaises(ImportError, self.load, "failing")
        self.assertRaises(SyntaxError, self.load, "broken")
        self.assertEqual(sources.changes(), "")
        self.write("failing.py", "value = 1")
        self.write("broken.py", "value = 1")
        self.assertEqual(sources.changed(), [path, broken])

    def test_removed(self):
        path = self.write("removed.py", "")
        self.load("removed")
        os.unlink(path)
        self.assertEqual(sources.changed(), [path])

    def test_script(self):
        path = self.write("site.wsgi", "application = print")
        boot.script(path)
        self.write("site.wsgi", "application = sorted")
        self.assertEqual(sources.changed(), [path])

    def test_libraries_are_not_watched(self):
        self.write("site-packages/__init__.py", "")
        self.write("lib/site-packages/installed.py", "")
        sys.path.insert(0, os.path.join(self.dir, "lib/site-packages"))
        self.addCleanup(sys.path.pop, 0)
        self.load("installed")
        self.load("colorsys")
        self.assertEqual(sources._imported, {})

    def test_new_files_count_when_something_has_changed(self):
        self.write("old.py", "value = 1")
        self.load("old")
        self.write("new.py", "")
        self.assertEqual(sources.changes(), "")
        self.write("old.py", "import later")
        before = sources.changes()
        self.write("later/__init__.py", "")
        self.assertNotEqual(sources.changes(), before)


class Bytecode(Case):
    def test_of_young_files_is_not_written(self):
        self.write("fast.py", "value = 1", None)
        self.assertEqual(self.load("fast").value, 1)
        self.write("fast.py", "value = 2", None)
        del sys.modules["fast"]
        self.assertEqual(self.load("fast").value, 2)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "__pycache__")))

    def test_of_others_is(self):
        self.write("stable.py", "value = 1")
        self.load("stable")
        self.assertTrue(os.listdir(os.path.join(self.dir, "__pycache__")))


class Examine(Case):
    def test_good(self):
        self.write("good.py", "value = 1")
        self.load("good")
        self.write("good.py", "raise SystemExit")
        self.assertEqual(sources.examine(), "")

    def test_bad(self):
        path = self.write("bad.py", "value = 1")
        self.load("bad")
        self.write("bad.py", "value = 1\ndef broken(:\n")
        text = sources.examine()
        self.assertIn(f"{path}, line 2: SyntaxError: ", text)
        self.assertIn("    def broken(:\n", text)
        self.assertNotIn("ngx_wsgi_sources", text)

    def test_bytes(self):
        path = self.write("zeros.py", "value = 1")
        self.load("zeros")
        self.write("zeros.py", "value = '\0'")
        self.assertIn(path, sources.examine())

    def test_removed(self):
        os.unlink(self.write("gone.py", ""))
        self.assertEqual(sources.examine(), "")


class Trial(Case):
    def run_trial(self, *targets):
        folder = os.path.dirname(HERE)
        given = {"Path": [self.dir, *fresh["Path"]], "Token": "passed"}
        given["Apps"] = [(target, "", "") for target in targets]
        given["Guest"] = read(os.path.join(folder, "ngx_wsgi_guest.py"))
        given["Boot"] = read(os.path.join(folder, "ngx_wsgi_boot.py"))
        return subprocess.run(
            [*fresh["Args"], read(os.path.join(folder, "ngx_wsgi_trial.py"))],
            input=json.dumps(given),
            env=dict(entry.split("=", 1) for entry in fresh["Env"]),
            cwd=fresh["Dir"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def test_good(self):
        self.write(
            "app.py",
            "import ngx_wsgi, sys\n"
            "class Timeout(ngx_wsgi.RequestTimeout): pass\n"
            "assert sys.flags.utf8_mode and sys.argv == ['ngx_wsgi']\n"
            "def application(environ, start_response): pass\n",
        )
        done = self.run_trial("app", "app:application")
        self.assertEqual((done.returncode, done.stdout), (0, "passed"))
        self.assertFalse(os.path.exists(os.path.join(self.dir, "__pycache__")))

    def test_bad(self):
        path = self.write("app.py", "1 / 0")
        done = self.run_trial("app", "app:other")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn("passed", done.stdout)
        self.assertIn('application "app" raised ZeroDivisionError', done.stdout)
        self.assertIn(f'File "{path}", line 1', done.stdout)
        self.assertNotIn("ngx_wsgi", done.stdout)

    def test_threads_and_atexit(self):
        self.write(
            "app.py",
            "import atexit, threading, time\n"
            "threading.Thread(target=time.sleep, args=(60,)).start()\n"
            "atexit.register(print, 'at exit')\n"
            "application = print\n",
        )
        began = time.monotonic()
        done = self.run_trial("app")
        self.assertEqual((done.returncode, done.stdout), (0, "at exit\npassed"))
        self.assertLess(time.monotonic() - began, 30)


def read(path):
    with open(path) as file:
        return file.read()


if __name__ == "__main__":
    unittest.main()
