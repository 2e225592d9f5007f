//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deployServer serves Dir/app/site_app.py, which a test deploys.
const deployServer = `
    wsgi_check import;
    wsgi_start_timeout 500ms;
    wsgi_directory {{.Dir}}/app;
    server {
        listen {{.Addr}};
        location / { wsgi_pass site_app; }
    }`

const deployed = `
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"works"]
`

// Ways in which a deploy is broken, and the words for them.
var brokenDeploys = map[string]struct{ code, says string }{
	"raises":   {"raise ValueError('a broken deploy')", `ValueError: a broken deploy`},
	"syntax":   {"def application(:", `SyntaxError`},
	"missing":  {"import no_such_module", `No module named 'no_such_module'`},
	"callable": {"app = None", `has no attribute "application"`},
	"hangs":    {"while True: pass", `import has not ended within 500ms`},
	"exits":    {"import sys; sys.exit(0)", `SystemExit: 0`},
	"crashes":  {"import os; os.abort()", `the import of the applications crashed`},
	"ends":     {"import os; os._exit(0)", `the import of the applications ended its process with code 0`},
	"leaves":   {"import ctypes; ctypes.CDLL(None).exit(0)", `ended its process with code 0`},
	"sleeps":   {"import time; time.sleep(60)", `import has not ended within 500ms`},
}

// What the application of TestDeployAsWorker writes.
var importLine = regexp.MustCompile(`import: uid=.*`)

const refused = `the configuration is refused \("wsgi_check"\)`

func deploy(t *testing.T, dir, code string) {
	t.Helper()
	path := filepath.Join(dir, "app", "site_app.py")
	require.NoError(t, os.WriteFile(path+".new", []byte(code), 0o644))
	require.NoError(t, os.Rename(path+".new", path))
	_ = os.RemoveAll(filepath.Join(dir, "app", "__pycache__"))
}

// command runs nginx with the instance's configuration, and returns what it
// says and its exit code.
func (n *instance) command(args ...string) (string, int) {
	n.t.Helper()
	args = append([]string{"-p", n.Dir, "-c", n.Dir + "/nginx.conf"}, args...)
	cmd := exec.Command(the.nginx, args...)
	cmd.Env = append(cleanEnv(), n.set.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(n.t, &exec.ExitError{}, err, "%s", out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// nginx -t and nginx -s reload fail with the traceback on the terminal; the
// workers serve on.
func TestDeployBroken(t *testing.T) {
	t.Parallel()
	for name, broken := range brokenDeploys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, deployServer, file("app/site_app.py", deployed),
				allowLog(`\[emerg\].*wsgi_check`, "fatal error", "Fatal Python", `SIGABRT`))
			deploy(t, n.Dir, broken.code)

			out, code := n.command("-t")
			assert.Equal(t, 1, code)
			assert.Regexp(t, broken.says, out)
			assert.Regexp(t, refused, out)

			out, code = n.command("-s", "reload")
			assert.Equal(t, 1, code)
			assert.Regexp(t, broken.says, out)

			n.signal(syscall.SIGHUP)
			n.waitLog(refused)
			n.waitLog(broken.says)
			assert.Equal(t, "works", n.text(t, "/"), "the old code, by the old worker")
		})
	}
}

// The next deploy works again.
func TestDeployMended(t *testing.T) {
	t.Parallel()
	n := start(t, deployServer, file("app/site_app.py", deployed), allowRespawn(),
		allowLog(`\[emerg\].*wsgi_check`))
	deploy(t, n.Dir, "raise ValueError")
	n.signal(syscall.SIGHUP)
	n.waitLog(refused)

	deploy(t, n.Dir, deployed+"    # mended\n")
	_, code := n.command("-t")
	assert.Equal(t, 0, code)
	n.reload()
	assert.Equal(t, "works", n.text(t, "/"))
}

// A broken application does not start, and can be stopped.
func TestDeployStartAndStop(t *testing.T) {
	t.Parallel()
	out, ok := check(t, deployServer, file("app/site_app.py", "raise ValueError('at start')"))
	assert.False(t, ok)
	assert.Regexp(t, "ValueError: at start", out)

	n := start(t, deployServer, file("app/site_app.py", deployed))
	deploy(t, n.Dir, "raise ValueError")
	_, code := n.command("-s", "quit")
	assert.Equal(t, 0, code)
	assert.Equal(t, 0, n.waitExit())
}

// The import sees what a worker sees: its user, its environment, no more.
func TestDeployAsWorker(t *testing.T) {
	t.Parallel()
	n := start(t, deployServer, file("app/site_app.py", deployed+`
import os, sys
sys.stderr.write("import: uid=%d gid=%d groups=%s cwd=%s secret=%s lang=%s master=%s\n" % (
    os.getuid(), os.getgid(), os.getgroups(), os.getcwd(),
    os.environ.get("SECRET"), os.environ.get("LANG"), os.getppid() == 1))
`), environment("SECRET=x"))
	lines := importLine.FindAllString(n.log(), -1)
	require.Len(t, lines, 2, "the check's and the worker's")
	assert.Equal(t, lines[0], lines[1])
	if os.Getuid() == 0 {
		assert.NotContains(t, lines[0], "uid=0")
	}
	assert.Contains(t, lines[0], "secret=None")

	maps := readFile(procFile(n.cmd.Process.Pid, "maps"))
	assert.NotContains(t, maps, "libngx_wsgi.so", "never loaded in the master")
	assert.NotContains(t, maps, "libpython")
}

// Imports that start a process, and fail.
var lingerers = map[string]string{
	"fork": `
import os, time
pid = os.fork()
if pid == 0:
    time.sleep(600)
print("lingers:", pid)
raise ValueError`,
	"exec": `
import subprocess
print("lingers:", subprocess.Popen(["/bin/sleep", "600"], close_fds=False).pid)
raise ValueError`,
}

// A process that an import has started, and that lives on after the check, does
// not keep nginx's ports.
func TestDeployChildInheritsNoListener(t *testing.T) {
	t.Parallel()
	for kind, code := range lingerers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			n := start(t, deployServer, file("app/site_app.py", deployed),
				allowLog(`\[emerg\].*wsgi_check`))
			deploy(t, n.Dir, code)
			n.signal(syscall.SIGHUP)
			pid := n.lingering()
			n.waitLog(refused)

			links := fdLinks(pid)
			assert.NotEmpty(t, links)
			for inode := range listeningInodes(n.cmd.Process.Pid) {
				assert.NotContains(t, slices.Collect(maps.Values(links)), inode)
			}
		})
	}
}

// lingering returns the process that an import has started, which the end of
// the test ends.
func (n *instance) lingering() int {
	n.t.Helper()
	line := n.waitLog(`wsgi: lingers: \d+`)
	pid, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	require.NoError(n.t, err)
	n.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// wsgi_check off: nobody looks, requests are answered 500.
func TestDeployCheckOff(t *testing.T) {
	t.Parallel()
	out, ok := check(t, "wsgi_check off;"+inLocation("wsgi_pass no_such_module;"))
	assert.True(t, ok, out)
}
