//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// daemon starts an nginx that is one: others do not let another binary take
// over.
func daemon(t *testing.T, conf string, opts ...option) *instance {
	t.Helper()
	n := prepare(t, opts)
	n.set.daemon = true
	path := n.writeConf(t, conf, n.set)
	cmd := exec.Command(the.nginx, "-p", n.Dir, "-c", path)
	cmd.Dir = n.Dir
	cmd.Env = append(cleanEnv(), "TMPDIR="+n.Var)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for end := time.Now().Add(patience); n.master("nginx.pid") == 0 && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	n.adopt("nginx.pid")
	t.Cleanup(n.finish)
	n.waitReady()
	return n
}

// adopt makes the master that a file names that of the instance.
func (n *instance) adopt(file string) {
	n.t.Helper()
	pid := n.master(file)
	require.NotZero(n.t, pid, file)
	process, err := os.FindProcess(pid)
	require.NoError(n.t, err)
	n.cmd = &exec.Cmd{Process: process}
	exited := make(chan struct{})
	n.exited = exited
	go func() {
		for alive(pid) {
			<-time.After(10 * time.Millisecond)
		}
		close(exited)
	}()
}

func (n *instance) master(file string) int {
	pid, _ := strconv.Atoi(strings.TrimSpace(readFile(filepath.Join(n.Dir, file))))
	return pid
}

// Another binary takes over, as nginx's manual has it: USR2, WINCH, QUIT.  The
// old workers serve until the new ones are ready.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	back := daemon(t, slowBackend, file("app/slow_app.py", slowApp(anImport, false)),
		workers(2), allowRespawn(), mainContext("env ASAN_OPTIONS; env LSAN_OPTIONS;"))
	front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(16))
	l := startPacedLoad(t, front, 6, 5*time.Millisecond)
	l.more(100)
	old := back.workers()
	back.signal(syscall.SIGUSR2)
	back.waitLogTimes("the slow part", 4)
	back.onlyOldServe(t, old)
	back.waitLogTimes(pythonReady, 4)
	back.signal(syscall.SIGWINCH)
	back.wait("the old workers' end", func() bool { return !slices.ContainsFunc(old, alive) })
	back.signal(syscall.SIGQUIT)
	<-back.exited
	back.adopt("nginx.pid")
	back.settled(nil)
	l.more(200)
	l.stop()
	assert.Less(t, percentile(l.answers(), 100), anImport, "nobody waits for an import")
	back.over = true
	back.signal(syscall.SIGQUIT)
	<-back.exited
}

// An upgrade is taken back: the old master starts new workers, beside an old
// one that still has a client.  When that has gone nobody takes it for one of
// an nginx that ends: who is to be replaced waits for who starts.
func TestUpgradeTakenBack(t *testing.T) {
	t.Parallel()
	n := daemon(t, recycling(`wsgi_python_path {{.Dir}}/app; wsgi_max_requests 20;
    server { listen {{.Addr2}}; location / { wsgi_pass gated; } }`),
		file("app/gated.py", gateLater), workers(2), allowRespawn(), allowLog(`exited on signal 9`),
		mainContext("env ASAN_OPTIONS; env LSAN_OPTIONS;"))
	long := n.dial(t)
	long.request("GET", "/timing/gaps?count=40&gap=0.1")
	long.head()
	old := n.workers()
	n.signal(syscall.SIGUSR2)
	n.waitLogTimes(pythonReady, 4)
	other := n.master("nginx.pid")
	n.signal(syscall.SIGWINCH)
	n.wait("one old worker", func() bool { return len(n.workers()) == 1 })
	n.signal(syscall.SIGHUP)
	n.waitLogTimes(pythonReady, 6)
	require.NoError(t, syscall.Kill(other, syscall.SIGQUIT))
	n.wait("the other master's end", func() bool { return !alive(other) })
	var rest reply
	long.chunks(&rest)
	assert.True(t, rest.complete(), "%v", rest.Err)
	require.NoError(t, long.Close())
	n.settled(old)

	writeFile(t, n.Var, "closed", "")
	times := n.countLog(drains)
	n.kill(n.workers()[0])
	n.waitLog("at the gate")
	for n.countLog(wanted) == 0 {
		n.text(t, "/response/plain", "Connection: close")
	}
	for range 100 {
		n.text(t, "/response/plain", "Connection: close")
	}
	assert.Equal(t, times, n.countLog(drains))
	require.NoError(t, os.Remove(filepath.Join(n.Var, "closed")))
	n.waitLogTimes(pythonReady, 8)
	n.over = true
	n.signal(syscall.SIGQUIT)
	<-n.exited
}

// gateLater imports when there is no file "closed".
const gateLater = `
import os, time
from kitchen import application
while os.path.exists(os.environ["TMPDIR"] + "/closed"):
    print("at the gate")
    time.sleep(0.1)
`
