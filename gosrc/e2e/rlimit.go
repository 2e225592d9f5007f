//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A resource is what prlimit calls it: "as", "fsize", "nofile", "nproc".
type resource string

// limit sets the soft limit of a running process, until the test or the
// function that is returned sets it back.
func limit(t *testing.T, pid int, what resource, soft string) (restore func()) {
	t.Helper()
	old := strings.TrimSpace(prlimit(t, pid, "--noheadings", "--output=SOFT", "--"+string(what)))
	prlimit(t, pid, "--"+string(what)+"="+soft+":")
	restore = func() { prlimit(t, pid, "--"+string(what)+"="+old+":") }
	t.Cleanup(func() { // nginx is stopped after this
		if alive(pid) {
			restore()
		}
	})
	return restore
}

// prlimit runs the program as the user whose process it is: even root may need
// a capability for those of others.
func prlimit(t *testing.T, pid int, args ...string) string {
	t.Helper()
	cmd := exec.Command("prlimit", append([]string{"--pid", strconv.Itoa(pid)}, args...)...)
	if uid, gid := ids(pid); uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", cmd, out)
	return string(out)
}

// ids are the real ids of a process.
func ids(pid int) (uid, gid int) {
	for _, line := range strings.Split(procFile(pid, "status"), "\n") {
		if f := strings.Fields(line); len(f) == 5 && f[0] == "Uid:" {
			uid, _ = strconv.Atoi(f[1])
		} else if len(f) == 5 && f[0] == "Gid:" {
			gid, _ = strconv.Atoi(f[1])
		}
	}
	return uid, gid
}

// needRoot skips what only root can do: another user's limits, mounts.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can do this")
	}
}

// leaveDescriptors leaves the worker, whose requests are over, no more than
// "free" descriptors.
func (n *instance) leaveDescriptors(t *testing.T, free int) (restore func()) {
	t.Helper()
	n.wait("the temporary files to be closed", func() bool { return n.spools() == 0 })
	open, fd := fdLinks(n.worker()), 0
	for ; ; fd++ {
		if _, used := open[fd]; used {
			continue
		}
		if free == 0 {
			return limit(t, n.worker(), "nofile", strconv.Itoa(fd))
		}
		free--
	}
}
