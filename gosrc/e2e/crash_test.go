//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crashing serves the kitchen with two threads and three places in the queue;
// another pool steers it.
const crashing = `
    wsgi_pool default threads=2 queue=3;
    wsgi_pool steering threads=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location /process/ { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`

// lost returns the lines of the log that report a request in flight of a
// worker that has died, by path, when there are "count" of them; but for what
// the test has steered by, which may have been on its way to the client.
func (n *instance) lost(t *testing.T, pid, count int) (found map[string]string) {
	t.Helper()
	re := regexp.MustCompile(fmt.Sprintf(`(?m)^.*wsgi: worker process %d died with a request`+
		` in flight, .* request: "[A-Z]+ ([^"]*)"`, pid))
	n.wait("the report", func() bool {
		found = map[string]string{}
		for _, m := range re.FindAllStringSubmatch(n.log(), -1) {
			if !strings.HasPrefix(m[1], "/event/") {
				require.NotContains(t, found, m[1], "reported twice")
				found[m[1]] = m[0]
			}
		}
		return len(found) >= count
	})
	require.Len(t, found, count)
	return found
}

// A worker that dies leaves a line for each of its requests in flight, those
// that ran and those that waited, and for no other.
func TestCrashReport(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "wsgi_zone mine 1m;"} {
		t.Run("zone "+zone, func(t *testing.T) {
			t.Parallel()
			n := start(t, zone+crashing, allowRespawn(),
				allowLog(`worker process \d+ exited on signal 9`))
			for range 50 {
				n.text(t, "/response/plain") // has its answer
			}
			running := n.occupy(t, 2)
			queued := n.fillQueue(t, 3)
			pid := n.worker()
			n.kill(pid)
			lost := n.lost(t, pid, len(running)+len(queued))
			for _, target := range running {
				assert.Regexp(t, `\[error\] \d+#\d+: \*\d+ wsgi: .* id [0-9a-f]{32},`+
					` application "kitchen", pool "default": ran for \d+ ms in thread`+
					` 0x[0-9a-f]{16},.* client: 127\.0\.0\.1, request: "POST `, lost[target])
			}
			for _, target := range queued {
				assert.Regexp(t, `: in the queue for \d+ ms, client: 127\.0\.0\.1, request: "POST `,
					lost[target])
			}
			assert.NotContains(t, n.log(), "secret")
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// occupy has "count" threads run something that lasts, and returns the paths.
func (n *instance) occupy(t *testing.T, count int) (targets []string) {
	t.Helper()
	for i := range count {
		target := fmt.Sprintf("/timing/nap/20/%s-%d", name(t), i)
		n.later("POST", target+"?secret=1") // which a client does not send again
		n.notes(t, fmt.Sprintf("%s-%d", name(t), i), 1)
		targets = append(targets, target)
	}
	return targets
}

// fillQueue fills "count" places of a queue, which one more request tells, and
// returns the paths of those that wait.
func (n *instance) fillQueue(t *testing.T, count int) (targets []string) {
	t.Helper()
	refused := make(chan string, count+1)
	for i := range count + 1 {
		target := fmt.Sprint("/response/plain/", i)
		targets = append(targets, target)
		go func() {
			out := <-n.later("POST", target)
			if out.err == nil && out.Status == 503 {
				refused <- target
			}
		}()
	}
	select {
	case target := <-refused:
		n.settle(t)
		i := slices.Index(targets, target)
		return slices.Delete(targets, i, i+1)
	case <-time.After(patience):
		require.Fail(t, "the queue is not full")
		return nil
	}
}

// settle returns when both loop and threads have had time to let go of requests
// that have their answers.
func (n *instance) settle(t *testing.T) {
	t.Helper()
	for range 3 {
		n.notes(t, name(t), 0)
	}
}

// A fault in one worker is told with the signal and the place, and so are those
// whom it takes along; the other worker does not notice.  The worker dies at
// once and of that signal, whatever handlers there are.
func TestCrashFaults(t *testing.T) {
	t.Parallel()
	for target, c := range map[string]struct {
		signal int
		where  string
	}{
		"/process/fault":         {11, `File ".*/ctypes/__init__\.py", line \d+ in string_at`},
		"/process/watched_fault": {11, `File ".*/ctypes/__init__\.py", line \d+ in string_at`},
		"/process/abort":         {6, `File ".*/kitchen/process\.py", line \d+ in abort`},
		"/process/bus":           {7, `File ".*/kitchen/process\.py", line \d+ in bus`},
	} {
		t.Run(target[9:], func(t *testing.T) {
			t.Parallel()
			n := start(t, crashing, workers(2), allowRespawn(),
				allowLog(fmt.Sprintf(`worker process \d+ exited on signal %d`, c.signal)))
			one, other, pid := n.twoWorkers(t)
			other.request("GET", "/timing/sleep/1")
			beside := dialToWorker(t, n, pid)
			beside.request("POST", "/timing/nap/20/"+name(t))
			assert.Equal(t, 200, one.get("/event/notes_of/"+name(t)+"?n=1").Status)
			one.request("POST", target)
			began := time.Now()
			one.needClosed()
			assert.Less(t, time.Since(began), 5*time.Second)

			lost := n.lost(t, pid, 2)
			assert.Regexp(t, fmt.Sprintf(`: ran for \d+ ms in thread 0x[0-9a-f]{16},`+
				` signal %d at %s, client`, c.signal, c.where), lost[target])
			assert.Regexp(t, `, at File ".*/timing\.py", line \d+ in nap, client`,
				lost["/timing/nap/20/"+name(t)])
			n.waitLog(fmt.Sprintf(`^wsgi: process %d got signal %d; Python's threads:$`, pid, c.signal))
			n.waitLog(`^Current thread 0x[0-9a-f]{16}.* \(most recent call first\):$`)
			assert.Equal(t, "slept", other.reply("GET").Body)
		})
	}
}

// twoWorkers returns a connection to each of two workers, and the process that
// the first is with.
func (n *instance) twoWorkers(t *testing.T) (one, other *wire, pid int) {
	t.Helper()
	one = n.dial(t)
	pid = one.pid()
	for range 1000 {
		if other = n.dial(t); other.pid() != pid {
			return one, other, pid
		}
		_ = other.Close()
	}
	require.Fail(t, "all connections are one worker's")
	return nil, nil, 0
}

func dialToWorker(t *testing.T, n *instance, pid int) *wire {
	t.Helper()
	for range 1000 {
		w := n.dial(t)
		if w.pid() == pid {
			return w
		}
		_ = w.Close()
	}
	require.Fail(t, "no connection is that worker's")
	return nil
}

// pid asks who the worker is.
func (w *wire) pid() int {
	w.t.Helper()
	var pids []int
	decode(w.t, w.get("/process/pid").Body, &pids)
	return pids[0]
}

// Who is killed cannot say where it was; it has said so before.
func TestCrashKilledLater(t *testing.T) {
	t.Parallel()
	n := start(t, crashing, allowRespawn(), allowLog(`worker process \d+ exited on signal 9`))
	pid := n.worker()
	running := n.occupy(t, 1)
	time.Sleep(7 * time.Second) // it is looked at every two seconds
	n.kill(pid)
	assert.Regexp(t, `, last seen at File ".*/kitchen/timing\.py", line \d+ in nap, client`,
		n.lost(t, pid, 1)[running[0]])
}

// An old worker of a reload is reported by the new one, and workers that end as
// they should are not.
func TestCrashAfterReload(t *testing.T) {
	t.Parallel()
	n := start(t, crashing, allowRespawn(), allowLog(`worker process \d+ exited on signal 9`))
	n.reload()
	old := n.worker()
	running := n.occupy(t, 1)
	n.signal(syscall.SIGHUP)
	n.wait("the new worker", func() bool { return len(n.workers()) == 2 })
	n.waitLogTimes(pythonReady, 3)
	n.kill(old)
	assert.Contains(t, n.lost(t, old, 1), running[0])
	n.wait("one worker", func() bool { return len(n.workers()) == 1 })
	n.reload()
	assert.Equal(t, 1, n.countLog(`died with`))
}

// A worker that gives requests up because its time is over has not crashed.
func TestCrashNotByTimeLimit(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_shutdown_timeout 200ms;"+crashing, allowRespawn(),
		mainContext("worker_shutdown_timeout 500ms;"))
	old := n.worker()
	n.occupy(t, 1)
	n.signal(syscall.SIGHUP)
	n.wait("the end of the old worker", func() bool { return !alive(old) })
	n.waitLogTimes(pythonReady, 2)
	time.Sleep(1500 * time.Millisecond) // the others look once a second
	assert.Zero(t, n.countLog(`died with`))
}

// What an application has ended and nginx has not is told as such, and so is
// what a client does not wait for any more.
func TestCrashStages(t *testing.T) {
	t.Parallel()
	limited := strings.Replace(crashing, "location /event/",
		"location /timing/ { wsgi_timeout 300ms; wsgi_pass kitchen; } location /event/", 1)
	n := start(t, limited, allowRespawn(), allowLog(`worker process \d+ exited on signal 9`))
	pid := n.worker()
	assert.Equal(t, 504, n.get(t, "/timing/sleep/15").Status)
	slow := n.dial(t)
	target := "/output/blocks/" + name(t)
	slow.request("GET", target+"?size=65536&count=400")
	slow.head()
	n.notes(t, name(t), 2)
	n.text(t, "/response/plain") // by the same thread
	n.settle(t)
	n.kill(pid)
	lost := n.lost(t, pid, 2)
	assert.Regexp(t, `: ran for \d+ ms in thread .*, though its client was done with it`,
		lost["/timing/sleep/15"])
	assert.Regexp(t, `: its response was being sent, came \d+ ms ago, client`, lost[target])
}

// What the zone has no place for is counted.
func TestCrashUnlisted(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_zone small 48k;"+strings.Replace(crashing, "queue=3", "queue=10", 1),
		allowRespawn(),
		allowLog(`worker process \d+ exited on signal 9`))
	pid := n.worker()
	n.occupy(t, 2)
	n.fillQueue(t, 10)
	n.kill(pid)
	n.waitLog(fmt.Sprintf(`wsgi: worker process %d died with [1-9] more requests in flight`, pid))
}

// marksApp leaves a file for each request that it has begun to serve.
const marksApp = `import os, time

def application(environ, start_response):
    name = environ["PATH_INFO"].rpartition("/")[2]
    os.close(os.open(os.environ["MARKS"] + "/" + name, os.O_CREAT | os.O_WRONLY))
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"marked"]
`

// Clients of a front on keep-alive connections lose what a killed worker had in
// flight, which is in the log, and what it had not read yet, and nothing else.
func TestCrashThroughFront(t *testing.T) {
	t.Parallel()
	const clients, kills = 6, 3
	back := start(t, "wsgi_env MARKS {{.Var}};"+strings.Replace(backend, "kitchen", "marks", 1),
		file("apps/marks.py", marksApp), workers(2), allowRespawn(),
		allowLog(`worker process \d+ exited on signal 9`))
	front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(clients+2))

	var done atomic.Bool
	var count atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan string, 1000)
	for client := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; !done.Load(); i++ {
				target := fmt.Sprintf("/marks/%d-%d", client, i)
				if a, err := front.try("POST", target, nil); err != nil || a.Status != 200 {
					failed <- target
				}
				count.Add(1)
			}
		}()
	}
	answers := func(n int64) {
		target := count.Load() + n
		front.wait("answers", func() bool { return count.Load() >= target })
	}
	for i := range kills {
		answers(100)
		back.kill(back.workers()[i%2])
		back.waitLogTimes(pythonReady, 2+i+1)
	}
	answers(100)
	done.Store(true)
	wg.Wait()
	close(failed)
	back.pids = back.workers()

	log := back.log()
	lost, unread := 0, 0
	for target := range failed {
		if strings.Contains(log, `died with a request in flight`) &&
			strings.Contains(log, `request: "POST `+target+`"`) {
			lost++
		} else {
			unread++ // what the worker had not read yet, it could not note
			assert.NoFileExists(t, filepath.Join(back.Var, filepath.Base(target)),
				"begun, lost and not told")
		}
	}
	assert.Positive(t, lost)
	assert.LessOrEqual(t, lost+unread, clients*kills)
	t.Logf("%d requests, %d lost, %d of them not read yet", count.Load(), lost+unread, unread)
}
