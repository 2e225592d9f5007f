//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patientServer is deployServer with imports that may take any time.
var patientServer = "wsgi_env MARKS {{.Var}};" +
	strings.Replace(deployServer, "500ms", "600s", 1)

// gated is imported when the test has opened the gate, and says that it waits.
const gated = deployed + `
import os, time
marks = os.environ["MARKS"]
os.close(os.open("%s/importing-%d" % (marks, os.getpid()), os.O_CREAT))
while not os.path.exists(marks + "/open"):
    time.sleep(0.01)
`

// importing waits until "count" processes have begun to import what is gated,
// and returns all that have.
func (n *instance) importing(count int) (pids []int) {
	n.t.Helper()
	n.wait("imports", func() bool {
		pids = nil
		paths, _ := filepath.Glob(n.Var + "/importing-*")
		for _, path := range paths {
			pid, err := strconv.Atoi(path[strings.LastIndexByte(path, '-')+1:])
			require.NoError(n.t, err)
			pids = append(pids, pid)
		}
		return len(pids) >= count
	})
	return pids
}

// An import that has closed the pipe and then does not end at all is not waited
// for without a limit.
func TestDeployPipeClosed(t *testing.T) {
	t.Parallel()
	n := start(t, deployServer, file("app/site_app.py", deployed),
		allowLog(`\[emerg\].*wsgi_check`))
	deploy(t, n.Dir, `
import os, signal
for name in os.listdir("/proc/self/fd"):
    try:
        if int(name) > 2 and os.readlink("/proc/self/fd/" + name).startswith("pipe:"):
            os.close(int(name))
    except OSError:
        pass
os.kill(os.getpid(), signal.SIGSTOP)`)
	n.signal(syscall.SIGHUP)
	n.waitLog(`the applications were not imported within \d+ ms, ` + refused)
	assert.Equal(t, "works", n.text(t, "/"))
}

// Nor is the end of the pipe waited for, if a process that the import has
// started keeps it, behind Python's back.
func TestDeployPipeKept(t *testing.T) {
	t.Parallel()
	n := start(t, deployServer, file("app/site_app.py", deployed), allowRespawn())
	deploy(t, n.Dir, deployed+`
import ctypes, os
libc = ctypes.PyDLL(None)
once = "`+n.Var+`/once"
if not os.path.exists(once):
    os.close(os.open(once, os.O_CREAT))
    pid = libc.fork()
    if pid == 0:
        libc.sleep(600)
    print("lingers:", pid)`)
	n.signal(syscall.SIGHUP)
	n.lingering()
	n.waitLogTimes(pythonReady, 2)
	n.wait("the old worker's end", func() bool { return len(n.workers()) == 1 })
	n.pids = n.workers()
	assert.Zero(t, n.countLog(refused))
}

// The verdict is there whatever nginx's parent does with SIGCHLD.
func TestDeployWithoutSIGCHLD(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{deployed: true, "import os; os.abort()": false} {
		out, ok := check(t, deployServer, file("app/site_app.py", code),
			launcher("env", "--ignore-signal=CHLD"))
		assert.Equal(t, want, ok, out)
		if !want {
			assert.Regexp(t, `the import of the applications crashed with signal 6`, out)
		}
	}
}

// The import ends with who wants to know.
func TestDeployParentKilled(t *testing.T) {
	t.Parallel()
	n := start(t, patientServer, file("app/site_app.py", deployed))
	deploy(t, n.Dir, gated)
	t.Cleanup(n.openGate)
	cmd := exec.Command(the.nginx, "-t", "-p", n.Dir, "-c", n.Dir+"/nginx.conf")
	cmd.Env = cleanEnv()
	require.NoError(t, cmd.Start())
	child := n.importing(1)[0]
	assert.Equal(t, cmd.Process.Pid, parent(child))

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	n.wait("the end of the import", func() bool { return !alive(child) })
}

// A line of the log has the time at which it was written, not at which the check
// began.
func TestDeployLogTime(t *testing.T) {
	t.Parallel()
	n := start(t, strings.Replace(deployServer, "500ms", "1500ms", 1),
		file("app/site_app.py", deployed), allowLog(`\[emerg\].*wsgi_check`))
	deploy(t, n.Dir, brokenDeploys["sleeps"].code)
	n.signal(syscall.SIGHUP)
	const stamp = len("2006/01/02 15:04:05")
	ended := n.waitLog(`import has not ended within`)
	over := n.waitLog(refused)
	began := n.waitLog(`\[notice\].* reconfiguring`)
	assert.Greater(t, ended[:stamp], began[:stamp])
	assert.GreaterOrEqual(t, over[:stamp], ended[:stamp])
}

// A master that waits for an import ends when it is told to.
func TestDeployStopDuringCheck(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			n := start(t, patientServer, file("app/site_app.py", deployed))
			t.Cleanup(n.openGate)
			deploy(t, n.Dir, gated)
			n.signal(syscall.SIGHUP)
			child := n.importing(1)[0]

			n.signal(sig)
			assert.Equal(t, 0, n.waitExit())
			assert.False(t, alive(child))
			assert.Equal(t, 1, n.countLog(`nginx has to end, the import .* is given up`))
		})
	}
}

// A worker that dies while a reload waits for an import is replaced, and then the
// reload begins again; but once only.
func TestDeployWorkerDiesDuringCheck(t *testing.T) {
	t.Parallel()
	n := start(t, patientServer, file("app/site_app.py", deployed), allowRespawn(),
		allowLog(`worker process \d+ exited on signal 9`))
	t.Cleanup(n.openGate)
	deploy(t, n.Dir, gated)
	n.signal(syscall.SIGHUP)
	n.importing(1)

	n.kill(n.worker()) // returns when the master has waited for it
	n.importing(3)     // as do the other worker and the other check
	second := n.worker()
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	n.openGate()
	n.waitLogTimes(pythonReady, 2)
	n.wait("the new worker", func() bool {
		now := n.workers()
		return len(now) == 1 && now[0] != second
	})
	assert.Equal(t, "works", n.text(t, "/"))
	assert.Equal(t, 1, n.countLog(`the reload .* will begin again`))
	assert.Equal(t, 2, n.countLog(`signal 1 \(SIGHUP\) received`))
}
