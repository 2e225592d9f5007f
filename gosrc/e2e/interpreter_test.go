//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// interpreter is what /embed/interpreter tells.
type interpreter struct {
	Argv       []string
	Prefix     string
	BasePrefix string `json:"base_prefix"`
	Executable string
	Path       []string
	Optimize   int
	Debug      bool
	UTF8Mode   int `json:"utf8_mode"`
	Filesystem string
	Preferred  string
	Cwd        string
	Environ    map[string]string
	Main       bool
	Tz         []string
	UID        int
	Version    []int
}

func (n *instance) interpreter(t *testing.T) *interpreter {
	t.Helper()
	var in interpreter
	n.json(t, &in, "/embed/interpreter")
	return &in
}

func pythonSays(t *testing.T, code string) string {
	t.Helper()
	cmd := exec.Command(the.python, "-I", "-c", code)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// Without any directive it is the Python that the library was built for, in
// UTF-8 mode although LANG is C.
func TestInterpreterDefaults(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	in := n.interpreter(t)

	assert.Equal(t, pythonSays(t, "import sys; print(sys.prefix)"), in.Prefix)
	assert.Equal(t, in.Prefix, in.BasePrefix)
	assert.Equal(t, pythonSays(t, "import sys; print('%d.%d' % sys.version_info[:2])"),
		fmt.Sprintf("%d.%d", in.Version[0], in.Version[1]))
	assert.Equal(t, filepath.Join(n.Dir, "apps"), in.Path[0])
	assert.Equal(t, 0, in.Optimize)
	assert.True(t, in.Debug)
	assert.Equal(t, 1, in.UTF8Mode)
	assert.Equal(t, "utf-8", strings.ToLower(in.Filesystem))
	assert.Equal(t, "utf-8", strings.ToLower(in.Preferred))
	assert.True(t, in.Main, "__main__ is missing")
	assert.NotEmpty(t, in.Argv)
	if the.user != "" {
		assert.NotZero(t, in.UID, "Python runs as root")
	}

	var files []any
	n.json(t, &files, "/embed/open_unicode_file")
	assert.Equal(t, []any{[]any{"\u017elu\u0165.txt"}, "\u2603"}, files)
}

// newTestVenv makes a virtualenv that has a package of its own.
func newTestVenv(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(the.base, "own-venv-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	venv := filepath.Join(dir, "venv")
	require.NoError(t, the.newVenv(venv))

	site, err := sitePackages(venv)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"only_here.py": "NAME = 'only here'\n",
		"extra.pth":    filepath.Join(dir, "extra") + "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(site, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "extra"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "extra", "by_pth.py"),
		[]byte("NAME = 'by pth'\n"), 0o644))
	return venv
}

const venvApp = `
import json, subprocess, sys
import by_pth, only_here

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    child = subprocess.check_output(
        [sys.executable, "-c", "import sys, only_here; print(sys.prefix)"],
        text=True)
    return [json.dumps([sys.prefix, sys.exec_prefix, sys.executable,
                        only_here.NAME, by_pth.NAME, child.strip(),
                        sys.base_prefix]).encode()]
`

// sys.prefix, sys.executable and site-packages are the virtualenv's, and its
// executable is one that an application can run.
func TestPythonHomeIsVirtualenv(t *testing.T) {
	t.Parallel()
	venv := newTestVenv(t)
	n := start(t, `
    wsgi_python_home `+venv+`;
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass venv_app; } }`,
		file("apps/venv_app.py", venvApp))

	var got []string
	n.json(t, &got, "/")
	assert.Equal(t, venv, got[0], "sys.prefix")
	assert.Equal(t, venv, got[1], "sys.exec_prefix")
	assert.Equal(t, venv+"/bin", filepath.Dir(got[2]), "sys.executable")
	assert.Contains(t, filepath.Base(got[2]), "python")
	assert.Equal(t, []string{"only here", "by pth"}, got[3:5])
	assert.Equal(t, venv, got[5], "sys.prefix of sys.executable")
	assert.NotEqual(t, venv, got[6], "sys.base_prefix")
}

func TestPythonPathKeepsItsOrder(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Dir}}/first {{.Dir}}/second {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /which { wsgi_pass which; }
    }`,
		file("first/which.py", whichApp("first")), file("second/which.py", whichApp("second")))

	assert.Equal(t, "first", n.text(t, "/which"))
	assert.Equal(t, []string{n.Dir + "/first", n.Dir + "/second", n.Apps},
		n.interpreter(t).Path[:3])
}

func whichApp(text string) string {
	return "def application(environ, start_response):\n" +
		"    start_response('200 OK', [])\n" +
		"    return [b'" + text + "']\n"
}

func TestPythonExecutable(t *testing.T) {
	t.Parallel()
	n := start(t, `wsgi_python_executable /usr/bin/env;`+kitchen)
	assert.Equal(t, "/usr/bin/env", n.interpreter(t).Executable)
}

func TestPythonOptimize(t *testing.T) {
	t.Parallel()
	for level, debug := range []bool{true, false, false} {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			t.Parallel()
			n := start(t, fmt.Sprintf("wsgi_python_optimize %d;", level)+kitchen+`
    server {
        listen {{.Addr2}};
        location / { wsgi_pass docs; }
    }`, file("apps/docs.py", docsApp))

			in := n.interpreter(t)
			assert.Equal(t, level, in.Optimize)
			assert.Equal(t, debug, in.Debug)

			w := dialTo(t, "tcp", n.Addr2)
			asserts, doc := debug, level < 2
			assert.Equal(t, fmt.Sprintf("%v %v", asserts, doc), w.get("/").Body)
		})
	}
}

const docsApp = `"""A module with a docstring."""

def application(environ, start_response):
    "A function with one, too."
    asserts = False
    try:
        assert False
    except AssertionError:
        asserts = True
    start_response("200 OK", [])
    doc = application.__doc__ is not None
    return [f"{asserts} {doc}".lower().encode()]
`

// wsgi_directory is where the application works, and where it is found.
func TestDirectory(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_directory {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /which { wsgi_pass at_import; }
    }`, file("apps/at_import.py", "import os\nCWD = os.getcwd()\n"+
		"def application(environ, start_response):\n"+
		"    start_response('200 OK', [])\n"+
		"    return [CWD.encode()]\n"))

	in := n.interpreter(t)
	assert.Equal(t, n.Apps, in.Cwd)
	assert.Contains(t, in.Path, n.Apps)
	assert.Equal(t, n.Apps, n.text(t, "/which"), "the directory at import")
}

const envApp = `
import ctypes, json, os, subprocess, time

AT_IMPORT = os.environ["WSGI_TEST"]
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p

def application(environ, start_response):
    start_response("200 OK", [])
    child = subprocess.check_output(["/bin/sh", "-c", "echo $WSGI_TEST"])
    return [json.dumps([
        AT_IMPORT, getenv(b"WSGI_TEST").decode(), child.decode().strip(),
        os.environ["EMPTY"], time.tzname[0], "HOME_OF_MASTER" in os.environ,
        os.environ["UNICODE"],
    ]).encode()]
`

// wsgi_env is there before Python starts, for C and for children too; what is
// not listed with "env" is not.
func TestEnv(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_env WSGI_TEST "one two";
    wsgi_env EMPTY "";
    wsgi_env TZ UTC-7;
    wsgi_env UNICODE "\u017elu\u0165";
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass env_app; } }`,
		file("apps/env_app.py", envApp), environment("HOME_OF_MASTER=1"))

	var got []any
	n.json(t, &got, "/")
	assert.Equal(t, []any{"one two", "one two", "one two", "", "UTC", false,
		`\u017elu\u0165`}, got)
}

const loudApp = `
print("imported loud")

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"loud"]
`

const loudServer = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { return 200 "nginx"; }
        location /loud { wsgi_pass loud; }
    }`

// wsgi_preload on: the import is over before the first request.
func TestPreloadOn(t *testing.T) {
	t.Parallel()
	n := start(t, loudServer, file("apps/loud.py", loudApp))
	n.waitLog("imported loud")
	assert.Equal(t, "loud", n.text(t, "/loud"))
	assert.Equal(t, 1, n.countLog("imported loud"))
}

// wsgi_preload off: at the first request, once.
func TestPreloadOff(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_preload off;"+loudServer, file("apps/loud.py", loudApp))
	assert.Equal(t, "nginx", n.text(t, "/"))
	assert.Zero(t, n.countLog("imported loud"))

	first, second := n.later("GET", "/loud"), n.later("GET", "/loud")
	for _, out := range []outcome{<-first, <-second} {
		require.NoError(t, out.err)
		assert.Equal(t, "loud", out.Body)
	}
	assert.Equal(t, 1, n.countLog("imported loud"))
}

const hangingApp = `
import time
print("import begins")
%s
`

// An import that does not end is given up, at the start and at a request; its
// location answers, others serve on.
func TestStartTimeout(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"sleep": "time.sleep(60)",
		"spin":  "while True: pass",
		"lock":  "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
	} {
		for _, preload := range []string{"on", "off"} {
			t.Run(name+" preload "+preload, func(t *testing.T) {
				t.Parallel()
				checkHangingImport(t, fmt.Sprintf(hangingApp, code), preload)
			})
		}
	}
}

func checkHangingImport(t *testing.T, app, preload string) {
	n := start(t, `
    wsgi_preload `+preload+`;
    wsgi_start_timeout 700ms;
    wsgi_timeout 5s;
    wsgi_shutdown_timeout 1s;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass sound; }
        location /hangs { wsgi_pass hangs; }
        location /nginx { return 200 "nginx"; }
    }`, file("apps/hangs.py", app), file("apps/sound.py", whichApp("sound")), allowUnready())

	if preload == "on" {
		n.waitLog("import begins")
	}
	answer := n.later("GET", "/hangs")
	n.waitLog("import begins")
	assert.Equal(t, "nginx", n.text(t, "/nginx"))

	out := <-answer
	require.NoError(t, out.err)
	assert.Contains(t, []int{500, 503, 504}, out.Status)
	n.waitLog(`hangs.*`)
	n.waitLog(`(start_timeout|RequestTimeout|too long|did not)`)
	assert.Equal(t, "sound", n.text(t, "/"))
}
