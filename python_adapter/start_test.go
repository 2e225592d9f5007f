// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// Python starts once in a process: each of these tests runs this program
// again, with a configuration in this variable.
const probing = "NWSGI_TEST_PROBE"

// probe starts Python with the configuration, imports the application, which
// prints what the test wants to know, and ends it.
func probe(text string) int {
	runtime.LockOSThread()
	conf := &config.Config{}
	if err := json.Unmarshal([]byte(text), conf); err != nil {
		fmt.Println(err)
		return 2
	}
	hosttest.Attach()
	python := adapter.New(conf)
	if err := python.Prepare(); err != nil {
		fmt.Println(err)
		return 2
	}
	if _, err := python.Start(); err != nil {
		fmt.Print("refused: ", err)
		return 0
	}
	if err := python.Load(0); err != nil {
		fmt.Println(err)
	}
	python.Join()
	python.Exit()
	if err := python.Finalize(); err != nil {
		fmt.Println(err)
	}
	fmt.Print(hosttest.Log())
	return 0
}

// started is what the expression is in a Python with this configuration, or
// "refused: " and why.
func started(t *testing.T, expression string, conf config.Config) string {
	t.Helper()
	conf = probed(t, "os.write(1, str("+expression+").encode())", conf)
	out, err := run(t, conf)
	require.NoError(t, err, "%s", out)
	return out
}

// probed adds a script to the configuration.
func probed(t *testing.T, statement string, conf config.Config) config.Config {
	t.Helper()
	script := filepath.Join(t.TempDir(), "probe.py")
	source := "import os, sys\n" + statement + "\napplication = print\n"
	require.NoError(t, os.WriteFile(script, []byte(source), 0o600))
	conf.Pools = []config.Pool{{Name: "default", Threads: 1}}
	conf.Apps = []config.App{{Target: script}}
	conf.StartTimeout, conf.ShutdownTimeout = time.Minute, time.Minute
	return conf
}

func run(t *testing.T, conf config.Config) (string, error) {
	t.Helper()
	text, err := json.Marshal(conf)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{
		probing + "=" + string(text), "LANG=C", "ASAN_OPTIONS=" + os.Getenv("ASAN_OPTIONS"),
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ask asks the interpreter that was configured.
func ask(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Getenv("NWSGI_PYTHON"), args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func version(t *testing.T) string {
	return ask(t, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
}

func venv(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "venv")
	ask(t, "-m", "venv", "--without-pip", dir)
	return dir
}

func TestSystemsPython(t *testing.T) {
	want := ask(t, "-c", "import sys, os; print(sys.prefix, sys.executable, os.__file__)")
	assert.Equal(t, want, started(t, "' '.join([sys.prefix, sys.executable, os.__file__])", config.Config{}))
}

func TestVirtualenv(t *testing.T) {
	dir := venv(t)
	expression := "[sys.prefix, sys.executable, [p for p in sys.path if p.endswith('-packages')]]"
	want := fmt.Sprintf("['%[1]s', '%[1]s/bin/python', ['%[1]s/lib/python%[2]s/site-packages']]",
		dir, version(t))
	assert.Equal(t, want, started(t, expression, config.Config{Home: dir}))
	assert.Equal(t, want, started(t, expression, config.Config{Executable: dir + "/bin/python"}),
		"its executable is enough")

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	assert.Equal(t, link, started(t, "sys.prefix", config.Config{Home: link}))
}

func TestExecutable(t *testing.T) {
	dir := venv(t)
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.Symlink(os.Getenv("NWSGI_PYTHON"), other))
	assert.Equal(t, dir+" "+other, started(t, "sys.prefix + ' ' + sys.executable",
		config.Config{Home: dir, Executable: other}))
}

func TestPrefix(t *testing.T) {
	prefix := ask(t, "-c", "import sys; print(sys.base_prefix)")
	assert.Equal(t, prefix, started(t, "sys.prefix", config.Config{Home: prefix}))
}

func TestPathAndDirectory(t *testing.T) {
	dir := t.TempDir()
	got := started(t, "sys.path[:4] + [os.getcwd()]", config.Config{
		Path: []string{"/first", "/second"}, Directory: dir,
		Env: []config.Env{{Name: "PYTHONPATH", Value: "/fourth"}},
	})
	assert.Equal(t, fmt.Sprintf("['/first', '/second', '%[1]s', '/fourth', '%[1]s']", dir), got)
}

func TestOptimize(t *testing.T) {
	for level := range uint32(3) {
		assert.Equal(t, fmt.Sprint(level),
			started(t, "sys.flags.optimize", config.Config{Optimize: level}))
	}
}

func TestEnvironment(t *testing.T) {
	assert.Equal(t, "value 1", started(t, "os.environ['NAME'] + ' ' + str(sys.flags.dont_write_bytecode)",
		config.Config{Env: []config.Env{
			{Name: "NAME", Value: "value"}, {Name: "PYTHONDONTWRITEBYTECODE", Value: "1"},
		}}))
}

func TestFlags(t *testing.T) {
	assert.Equal(t, "(1, 0, 'utf-8')", started(t,
		"(sys.flags.utf8_mode, sys.flags.isolated, sys.getfilesystemencoding())", config.Config{}))
}

func TestPlacesWithoutPython(t *testing.T) {
	empty := t.TempDir()
	mine := version(t)
	old := filepath.Join(t.TempDir(), "old")
	for _, dir := range []string{old + "/bin", old + "/lib/python3.6/site-packages"} {
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
	cfg := filepath.Join(old, "pyvenv.cfg")
	require.NoError(t, os.WriteFile(cfg, []byte("home = /usr/bin\nversion = 3.6.1\n"), 0o600))
	require.NoError(t, os.Symlink(os.Getenv("NWSGI_PYTHON"), old+"/bin/python"))
	headless := venv(t)
	require.NoError(t, os.RemoveAll(headless+"/bin"))
	dangling := venv(t)
	require.NoError(t, os.RemoveAll(dangling+"/bin"))
	require.NoError(t, os.Mkdir(dangling+"/bin", 0o700))
	require.NoError(t, os.Symlink("/nosuch/python3", dangling+"/bin/python"))
	other := fmt.Sprintf("is for Python 3.6, but ngx_wsgi was built with Python %s", mine)
	cases := []struct {
		name string
		conf config.Config
		want string
	}{
		{"missing", config.Config{Home: "/nosuch"}, `wsgi_python_home "/nosuch": No such file or directory`},
		{"a file", config.Config{Home: cfg}, `wsgi_python_home "` + cfg + `" is not a directory`},
		{"empty", config.Config{Home: empty}, `wsgi_python_home "` + empty + `" holds no Python that this` +
			` worker's user can read (ngx_wsgi was built with Python ` + mine + `)`},
		{"another version", config.Config{Home: old}, `wsgi_python_home "` + old + `" ` + other},
		{"its executable", config.Config{Executable: old + "/bin/python"}, `the virtualenv "` + old + `" ` + other},
		{"no executable", config.Config{Home: headless}, `wsgi_python_home "` + headless + `" is a virtualenv` +
			` without a bin/python that this worker's user can run: "` + headless + `/bin": No such file or directory`},
		{"an executable elsewhere", config.Config{Home: dangling}, `wsgi_python_home "` + dangling + `" is a virtualenv` +
			` without a bin/python that this worker's user can run: "/nosuch": No such file or directory`},
		{"missing executable", config.Config{Executable: "/nosuch"}, `wsgi_python_executable "/nosuch": No such file or directory`},
		{"missing directory", config.Config{Directory: "/nosuch"}, `wsgi_directory "/nosuch": No such file or directory`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, "refused: "+c.want, started(t, "0", c.conf))
		})
	}
}

func TestStandardLibraryThatIsBroken(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "lib", "python"+version(t))
	require.NoError(t, os.MkdirAll(lib, 0o700))
	require.NoError(t, os.WriteFile(lib+"/os.py", nil, 0o600))
	home := filepath.Dir(filepath.Dir(lib))
	got := started(t, "0", config.Config{Home: home})
	assert.Contains(t, got, fmt.Sprintf("refused: Python %s of %q does not start: ", version(t), home))
}

// A child that an import has forked does not come back to who has called it.
func TestForkInImport(t *testing.T) {
	for child, want := range map[string]string{
		"pass": "0", "sys.exit(3)": "3", "raise ValueError('of the child')": "1",
	} {
		out, err := run(t, probed(t, `
import atexit
pid = os.fork()
if pid == 0:
    `+child+`
else:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    atexit.register(lambda: os.write(1, b"|%d" % status))
if pid == 0: atexit.register(os.write, 1, b"|the child came back")`, config.Config{}))
		require.NoError(t, err, "%s", out)
		words, status, _ := strings.Cut(out, "|")
		assert.Equal(t, want, status, child)
		assert.Equal(t, strings.HasPrefix(child, "raise"), strings.Contains(words, "ValueError: of the child"))
	}
}

// Nor does one that was forked at the end: what is left to do at an exit is
// done there, too.
func TestForkAtExit(t *testing.T) {
	for _, register := range []string{"atexit.register", "threading._register_atexit"} {
		out, err := run(t, probed(t, `
import atexit, threading
class Last:
    def __del__(self, write=os.write, getpid=os.getpid, parent=os.getpid()):
        if getpid() != parent:
            write(1, b"|the child came back")
sys.last = Last() # lives until Python is finalized
def last():
    pid = os.fork()
    if pid == 0:
        os.write(1, b"|child")
    else:
        os.write(1, b"|%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`+register+`(last)`, config.Config{}))
		require.NoError(t, err, "%s", out)
		assert.True(t, strings.HasSuffix(out, "|child|0"), "%s: %s", register, out)
	}
}

// manyThreads are more than faulthandler tells of, all younger than who starts
// them.
const manyThreads = "import ctypes, threading, time; " +
	"[threading.Thread(target=time.sleep, args=(1000,), daemon=True).start() for i in range(150)]"

// A fault in C code ends the process by its signal, with Python's stacks and
// without Go's.
func TestFaultInC(t *testing.T) {
	for _, statement := range []string{
		"import ctypes; ctypes.string_at(0)",
		"import ctypes, threading; t = threading.Thread(target=ctypes.string_at, args=(0,)); t.start(); t.join()",
		manyThreads + "; ctypes.string_at(0)",
	} {
		out, err := run(t, probed(t, statement, config.Config{}))
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, "signal: segmentation fault", strings.TrimSuffix(exit.Error(), " (core dumped)"))
		assert.Regexp(t, `^wsgi: process \d+ got signal 11; Python's threads:\n(Thread .*\n(  .*\n)+\n)?`+
			`Current thread 0x[0-9a-f]{16}( \[.*\])? \(most recent call first\):\n`+
			`  File ".*/ctypes/__init__\.py", line \d+ in string_at\n`, out)
		assert.NotContains(t, out, "goroutine")
	}
}
