//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait for something that has to happen.
var patience = time.Duration(slack()) * 20 * time.Second

// instance is a running nginx.
type instance struct {
	*place
	t      *testing.T
	set    *settings
	cmd    *exec.Cmd
	client *http.Client
	exited chan struct{} // closed when the master has been waited for
	pids   []int         // the workers, since start or reload
	fds    map[int]descriptors
	over   bool // stopped by the test itself
}

// start runs nginx with "conf" as the content of its http block, waits until
// it serves, and has the end of the test check what it leaves.
func start(t *testing.T, conf string, opts ...option) *instance {
	t.Helper()

	n := prepare(t, opts)
	path := n.writeConf(t, conf, n.set)
	n.run(path)
	t.Cleanup(n.finish)
	n.waitReady()
	return n
}

func newSettings(opts []option) *settings {
	s := &settings{
		workers: 1, level: "info", files: map[string]string{}, user: the.user,
		connections: 1024,
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

func prepare(t *testing.T, opts []option) *instance {
	t.Helper()
	s := newSettings(opts)
	n := &instance{
		place:  newPlace(t, s.files),
		t:      t,
		set:    s,
		exited: make(chan struct{}),
	}
	n.client = newClient()
	return n
}

// run starts the process.  It has a session of its own, by which all that
// descends from it can be found, and a plain C locale.
func (n *instance) run(conf string) {
	n.t.Helper()

	stderr, err := os.Create(filepath.Join(n.Dir, "stderr"))
	require.NoError(n.t, err)
	defer func() { _ = stderr.Close() }()

	args := slices.Concat(n.set.launcher, []string{the.nginx, "-p", n.Dir, "-c", conf})
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Dir = n.Dir
	n.cmd.Env = append(cleanEnv(), n.set.env...)
	n.cmd.Env = append(n.cmd.Env, "TMPDIR="+n.Var)
	n.cmd.Stdout = stderr
	n.cmd.Stderr = stderr
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(n.t, n.cmd.Start())

	go func() {
		_ = n.cmd.Wait()
		close(n.exited)
	}()
}

// cleanEnv is this process's environment without what would reach Python.
func cleanEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "PYTHON") || strings.HasPrefix(e, "LC_") ||
			strings.HasPrefix(e, "LANG") || strings.HasPrefix(e, "VIRTUAL_ENV") ||
			strings.HasPrefix(e, "NGINX=") || strings.HasPrefix(e, "TMPDIR=")
	})
	return append(env, "LANG=C")
}

// pythonReady is logged by each worker when its imports have ended.
const pythonReady = `wsgi: ready after`

func (n *instance) waitReady() {
	n.t.Helper()
	n.wait("the listening socket", func() bool {
		conn, err := net.DialTimeout("tcp", n.Addr, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	n.wait("the workers", func() bool { return len(n.workers()) == n.set.workers })
	n.pids = n.workers()

	if !n.set.noModule && !n.set.unready {
		n.waitLogTimes(pythonReady, n.set.workers)
	}
	n.markFDs()
}

// wait polls until "done", and fails the test when it takes too long or when
// nginx is no more.
func (n *instance) wait(what string, done func() bool) {
	n.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if done() {
			return
		}
		select {
		case <-n.exited:
			if !n.over {
				require.Fail(n.t, "nginx exited while the test waited for "+what)
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
	require.Fail(n.t, "waited too long for "+what)
}

// workers returns the worker processes, sorted.
func (n *instance) workers() []int {
	master := n.cmd.Process.Pid
	if n.set.noMaster {
		return []int{master}
	}
	var found []int
	for _, pid := range children(master) {
		if commandLine(pid) == "nginx: worker process" {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found
}

// worker returns the only worker.
func (n *instance) worker() int {
	n.t.Helper()
	pids := n.workers()
	require.Len(n.t, pids, 1)
	return pids[0]
}

func (n *instance) signal(sig syscall.Signal) {
	n.t.Helper()
	require.NoError(n.t, n.cmd.Process.Signal(sig))
}

// kill ends a worker by SIGKILL.  It returns when the master has waited for it:
// until then the kernel may still have to close its connections.
func (n *instance) kill(pid int) {
	n.t.Helper()
	require.NoError(n.t, syscall.Kill(pid, syscall.SIGKILL))
	n.wait("the killed to be gone", func() bool { return procFile(pid, "stat") == "" })
}

// reload has nginx read its configuration again, and returns when the old
// workers have gone and the new ones serve.
func (n *instance) reload() {
	n.t.Helper()
	n.reloadWhile(func() {})
}

// reloadWhile calls "f" when the reload has begun.
func (n *instance) reloadWhile(f func()) {
	n.t.Helper()
	n.client.CloseIdleConnections() // or the old workers wait for them
	old := n.workers()
	ready := n.countLog(pythonReady)
	n.signal(syscall.SIGHUP)
	f()
	n.wait("the new workers", func() bool {
		now := n.workers()
		return len(now) == n.set.workers && !slices.ContainsFunc(old, alive) &&
			!slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) })
	})
	n.pids = n.workers()
	if !n.set.noModule && !n.set.unready {
		n.waitLogTimes(pythonReady, ready+n.set.workers)
	}
	n.markFDs()
}

// waitExit returns nginx's exit code when it has ended.
func (n *instance) waitExit() int {
	n.t.Helper()
	n.over = true
	select {
	case <-n.exited:
	case <-time.After(patience):
		require.Fail(n.t, "nginx did not exit")
	}
	return n.cmd.ProcessState.ExitCode()
}

// quit ends nginx gracefully, within the test.
func (n *instance) quit() {
	n.t.Helper()
	n.client.CloseIdleConnections()
	n.signal(syscall.SIGQUIT)
	assert.Equal(n.t, 0, n.waitExit(), "exit code of nginx")
}

// finish ends nginx and checks what it leaves.
func (n *instance) finish() {
	n.client.CloseIdleConnections()
	if !n.over && !n.t.Failed() {
		n.checkWorkers()
		n.checkFDs()
	}
	if !n.over {
		_ = n.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-n.exited:
			assert.Equal(n.t, 0, n.cmd.ProcessState.ExitCode(), "exit code of nginx")
		case <-time.After(patience):
			assert.Fail(n.t, "nginx does not quit")
		}
	}
	n.checkProcesses()
	n.checkTemp()
	assert.Empty(n.t, suspicious(n.log(), n.set.allow), "the error log has")
	if n.t.Failed() {
		n.t.Logf("error log of %s:\n%s", n.Dir, tail(n.log(), 64*1024))
	}
}

func (n *instance) checkWorkers() {
	if !n.set.respawn {
		assert.Equal(n.t, n.pids, n.workers(), "the workers have changed")
	}
}

// checkProcesses fails on, and ends, what is left of nginx's session.
func (n *instance) checkProcesses() {
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if left = sessionMembers(n.cmd.Process.Pid); len(left) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	assert.Empty(n.t, left, "processes are left")
	for _, pid := range sessionPIDs(n.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// checkTemp fails on what is left in nginx's temporary directories.
func (n *instance) checkTemp() {
	assert.Empty(n.t, regularFiles(filepath.Join(n.Dir, "temp")), "temporary files are left")
}

// log returns the error log, and before it what was printed until nginx had it.
func (n *instance) log() string {
	early, _ := os.ReadFile(filepath.Join(n.Dir, "stderr"))
	text, _ := os.ReadFile(filepath.Join(n.Dir, "error.log"))
	return string(early) + string(bytes.ToValidUTF8(text, []byte("\ufffd")))
}

// waitLog waits for a line of the log that matches, and returns it.
func (n *instance) waitLog(pattern string) string {
	n.t.Helper()
	return n.waitLogTimes(pattern, 1)
}

func (n *instance) waitLogTimes(pattern string, times int) string {
	n.t.Helper()
	re := regexp.MustCompile("(?m)^.*" + pattern + ".*$")
	var found []string
	n.wait("the log line: "+pattern, func() bool {
		found = re.FindAllString(n.log(), -1)
		return len(found) >= times
	})
	return found[len(found)-1]
}

// countLog returns how many lines of the log match.
func (n *instance) countLog(pattern string) int {
	re := regexp.MustCompile("(?m)^.*" + pattern + ".*$")
	return len(re.FindAllString(n.log(), -1))
}
