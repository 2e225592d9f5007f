//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
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

// Length and age of a queue are in pools_test.go; a response that its file
// cannot take, in output_test.go.

// median is how long a plain request takes.
func (n *instance) median(t *testing.T) time.Duration {
	t.Helper()
	times := make([]time.Duration, 51)
	for i := range times {
		began := time.Now()
		require.Equal(t, "plain", n.text(t, "/response/plain"))
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// 2 000 connections that are kept alive and 200 clients that send their heads
// slowly hold no Python thread: beside them two requests need both threads, and
// others are as fast as ever.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	const idle, slow = 2000, 200
	n := start(t, "keepalive_timeout 300s; client_header_timeout 300s; wsgi_threads 2;"+kitchen,
		connections(4096), mainContext("worker_rlimit_nofile 8192;"))
	before, count := n.median(t), threads(n.worker())

	for i := range idle + slow {
		w := n.dial(t)
		require.NoError(t, w.SetDeadline(time.Now().Add(5*time.Minute)))
		if i < idle {
			require.Equal(t, "plain", w.get("/response/plain").Body)
		} else {
			w.sendRaw(fmt.Sprintf("POST /body/echo HTTP/1.1\r\nHost: a\r\nX-Slow-%d", i))
		}
	}
	n.wait("the connections", func() bool { return len(fdLinks(n.worker())) > idle+slow })

	during := n.median(t)
	for range 5 { // the machine may be busy with other things
		during = min(during, n.median(t))
	}
	assert.Less(t, during, 3*before+2*time.Millisecond, "before: %v", before)
	assert.Equal(t, count, threads(n.worker()))
	waits := n.later("GET", "/event/wait/"+name(t))
	n.setEvent(t, name(t))
	require.Equal(t, "came", (<-waits).Body)
}

// smallDisk puts the temporary files of an instance onto a disk of 1 MB, which
// only nginx sees.
func smallDisk() option {
	return launcher("unshare", "-m", "sh", "-c",
		`for dir; do case $dir in */nginx.conf) dir=${dir%/nginx.conf}/temp; break ;; esac; done
		mount -t tmpfs -o size=1m,mode=755 tmpfs "$dir" && exec "$@"`, "sh")
}

// A disk that is full: uploads that need it are refused, in words, a response
// waits for its client and is complete, and all is well when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := start(t, "wsgi_temp_path {{.Dir}}/temp/wsgi; client_max_body_size 0;"+outputServer,
		smallDisk(), allowLog(`\[crit\].*(No space left|has written only).*request: "`))
	temp := fmt.Sprintf("/proc/%d/root%s/temp", n.cmd.Process.Pid, n.Dir)
	upload := strings.Repeat("x", 100<<10)
	room := freeBlocks(t, temp)
	require.Equal(t, upload, n.post(t, "/body/echo", upload).Body)

	// The file has its blocks for a moment after it was closed.
	n.wait("the file's room", func() bool { return freeBlocks(t, temp) == room })
	filler := filepath.Join(temp, "filler")
	require.ErrorIs(t, os.WriteFile(filler, make([]byte, 2<<20), 0o600), syscall.ENOSPC)
	assert.Equal(t, 500, n.post(t, "/body/echo", upload).Status)
	n.waitLog(`temp/body.*No space left on device.*request: "POST /body/echo`)
	assert.Equal(t, "small", n.post(t, "/body/echo", "small").Body)
	needWaitingResponse(t, n)

	require.NoError(t, os.Remove(filler))
	assert.Equal(t, upload, n.post(t, "/body/echo", upload).Body)
	assert.Empty(t, regularFiles(temp))
}

func freeBlocks(t *testing.T, dir string) uint64 {
	t.Helper()
	var fs syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &fs))
	return fs.Bfree
}

// needWaitingResponse asks for a response that its file cannot take.
func needWaitingResponse(t *testing.T, n *instance) {
	t.Helper()
	const size, count = 16 << 10, 500
	_, body := askBlocks(t, n, "", size, count, "")
	assert.Less(t, made(t, n), 300, "the application has to wait")
	assert.Equal(t, 1, n.countLog(
		`\[error\].*response of application "kitchen" cannot be buffered.*request: "GET`))
	needBlocks(t, body, size, 0, count)
	needEnd(t, body)
}

// RLIMIT_FSIZE is an error of whoever writes, and does not end the worker.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_temp_path {{.Dir}}/temp/wsgi; client_max_body_size 0;"+outputServer,
		allowLog(`\[crit\].*(File too large|has written only).*request: "`))
	upload := strings.Repeat("x", 1<<20)

	restore := limit(t, n.worker(), "fsize", "262144")
	assert.Equal(t, 500, n.post(t, "/body/echo", upload).Status)
	n.waitLog(`temp/body.*request: "POST /body/echo`)
	assert.Equal(t, "EFBIG", n.text(t, "/limits/file/1000000"))
	needWaitingResponse(t, n)

	restore()
	assert.Equal(t, upload, n.post(t, "/body/echo", upload).Body)
	assert.Equal(t, "written", n.text(t, "/limits/file/1000000"))
}

// A directory for request bodies that cannot be written.
func TestBodyDirectoryDenied(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowLog(`\[crit\].*temp/body.*Permission denied`))
	dir := filepath.Join(n.Dir, "temp", "body")
	upload := strings.Repeat("x", 100<<10)
	require.NoError(t, os.Chmod(dir, 0))
	assert.Equal(t, 500, n.post(t, "/body/echo", upload).Status)
	n.waitLog(`Permission denied.*request: "POST /body/echo`)
	assert.Equal(t, "small", n.post(t, "/body/echo", "small").Body)

	require.NoError(t, os.Chmod(dir, 0o700))
	assert.Equal(t, upload, n.post(t, "/body/echo", upload).Body)
}

// No descriptors left: whoever needs one is told, those that need none are
// served, a timeout is one as ever, and later all is well.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_preload off;
    wsgi_threads 3;
    wsgi_pool steering threads=2;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/ { wsgi_timeout 400ms; wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`,
		allowLog(`\[crit\].*Too many open files`), allowUnready(), allowFDs(1)) // Python's, from after the start
	upload := strings.Repeat("x", 100<<10)
	require.Equal(t, "plain", n.text(t, "/response/plain"))
	require.Equal(t, upload, n.post(t, "/body/echo", upload).Body)

	restore := n.leaveDescriptors(t, 0)
	assert.Equal(t, "plain", n.text(t, "/response/plain"), "on a connection that there is")
	assert.Equal(t, "EMFILE", n.text(t, "/limits/descriptor"))
	assert.Equal(t, 504, n.get(t, "/timing/stubborn/"+name(t)).Status)
	n.waitLog(`in stubborn`)
	n.waitLog("another takes its place")
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Equal(t, 500, n.get(t, "/failing/before").Status)
	n.waitLog(`ValueError: before the headers`)

	var clients []*wire
	n.wait("accept() to fail", func() bool {
		w := n.dial(t)
		w.request("GET", "/response/plain")
		clients = append(clients, w)
		return n.countLog(`accept4?\(\) failed \(24: Too many open files\)`) > 0
	})
	restore()
	for _, w := range clients {
		assert.Equal(t, "plain", w.reply("GET").Body, "none is lost")
	}
	n.setEvent(t, name(t))
	assert.Equal(t, upload, n.post(t, "/body/echo", upload).Body)
}

// The body of a request is in a file, and there is no descriptor for ours.
func TestDescriptorsForBody(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowLog(`\[crit\].*Too many open files`))
	upload := strings.Repeat("x", 100<<10)
	require.Equal(t, upload, n.post(t, "/body/echo", upload).Body)

	before := n.fds[n.worker()]
	for free, reason := range map[int]string{
		0: `\[crit\].*temp/body.*Too many open files.*request: "POST /body/echo`,
		1: `\[error\].*wsgi: the request body of application "kitchen" cannot be kept.*request: "POST`,
	} {
		n.client.CloseIdleConnections() // so that none is left but one
		n.wait("connections to be closed", func() bool {
			return len(before.grown(openFDs(n.worker()))) == 0
		})
		require.Equal(t, "nginx", n.text(t, "/nginx"))
		restore := n.leaveDescriptors(t, free)
		assert.Equal(t, 500, n.post(t, "/body/echo", upload).Status)
		n.waitLog(reason)
		restore()
		assert.Equal(t, upload, n.post(t, "/body/echo", upload).Body)
	}
}

// Memory that the application cannot have is its MemoryError, and nobody else's.
func TestMemoryExhausted(t *testing.T) {
	t.Parallel()
	if sanitized {
		t.Skip("a sanitizer needs the address space")
	}
	n := start(t, kitchen)
	const size = "/limits/memory/300000000"
	require.Equal(t, "300000000", n.text(t, size))

	restore := limit(t, n.worker(), "as",
		strconv.Itoa(virtual(n.worker())+(100<<20)))
	for range 3 {
		assert.Equal(t, 500, n.get(t, size).Status)
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		assert.Equal(t, "1000000", n.text(t, "/limits/memory/1000000"))
	}
	n.waitLogTimes(`\[error\].*application "kitchen" raised MemoryError in call.*request: "GET `+size, 3)
	restore()
	assert.Equal(t, "300000000", n.text(t, size))
}

// An application that may not start threads: its exception.
func TestThreadOfApplicationDenied(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := start(t, kitchen)
	restore := limit(t, n.worker(), "nproc", "1")
	assert.Equal(t, "can't start new thread", n.text(t, "/limits/thread"))
	restore()
	assert.Equal(t, "started", n.text(t, "/limits/thread"))
}

// A thread that does not come back when no other can be started: the pool says
// so, goes on with those that it has, and is whole again when it can be.
func TestThreadsExhausted(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := start(t, `
    wsgi_threads 4;
    wsgi_pool steering threads=2;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/ { wsgi_timeout 400ms; wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`, allowLog(`\[crit\].*has 3 of its 4 threads left`))
	restore := limit(t, n.worker(), "nproc", "1")
	assert.Equal(t, 504, n.get(t, "/timing/stubborn/"+name(t)).Status)
	n.waitLog(`pool "default" has 3 of its 4 threads left: another cannot be started: ` +
		`resource temporarily unavailable`)
	for range 10 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	restore()
	n.waitLog(`pool "default" has all its threads again`)
	n.setEvent(t, name(t))
	n.waitLog("has come back and left")
}

// needNoPython fails unless nginx serves what is not Python, and says of the
// rest why it does not.
func needNoPython(t *testing.T, n *instance, why string) {
	t.Helper()
	n.waitLog(`\[emerg\].*` + why)
	n.waitLog(`\[emerg\].*this worker cannot run Python`)
	n.markFDs() // it may have listened before it had all
	assert.Equal(t, 1, n.countLog(`\[emerg\].*this worker cannot run Python`))
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
	assert.Equal(t, 500, n.get(t, "/response/plain").Status)
	n.waitLog(`\[error\].*cannot run application "kitchen".*request: "GET /response/plain`)
}

// A worker whose threads or descriptors do not suffice says so and serves what
// is not Python; with the limit gone, a reload is all it takes.
func TestLimitsAtStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what resource
		soft string
		why  string
	}{
		{"nproc", "1", `no more than \d+ of the 24 threads that Python needs.*Resource temporarily`},
		{"nofile", "20", `no more than \d+ of the 16 descriptors.*Too many open files`},
	} {
		t.Run(string(c.what), func(t *testing.T) {
			t.Parallel()
			if c.what == "nproc" {
				needRoot(t) // whose own processes are not counted
				if sanitized {
					t.Skip("a sanitizer needs a thread when the process ends")
				}
			}
			n := start(t, kitchen, launcher("prlimit", "--"+string(c.what)+"="+c.soft+":"),
				allowUnready(), connections(14), allowLog(`\[emerg\]`))
			needNoPython(t, n, c.why)

			prlimit(t, n.cmd.Process.Pid, "--"+string(c.what)+"=10000:")
			n.reload()
			n.waitLog(pythonReady)
			n.markFDs()
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// virtual is the size of a process's address space in bytes.
func virtual(pid int) int {
	var pages int
	_, _ = fmt.Sscan(procFile(pid, "statm"), &pages)
	return pages * os.Getpagesize()
}
