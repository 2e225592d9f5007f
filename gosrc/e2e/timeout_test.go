//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const timeoutServer = `
    wsgi_timeout 400ms;
    wsgi_shutdown_timeout 1s;
    wsgi_threads 1;
    wsgi_python_path {{.Apps}};
    wsgi_pool steering threads=2;
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_timeout 0; wsgi_use_pool steering; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`

// need504 fails unless the answer is a 504 that came "after" the request.
func need504(t *testing.T, n *instance, target string, after time.Duration, rest ...func()) {
	t.Helper()
	needTime(t, after, func() {
		require.Equal(t, 504, n.get(t, target).Status, target)
	}, rest...)
}

// needTime fails unless something takes as long as it has to.  It may never be
// over too early; on a machine that is busy with other things, one of a few
// times has to be in time.  Between two of them it calls "rest", which waits
// until what the last one has left behind is over.
func needTime(t *testing.T, want time.Duration, something func(), rest ...func()) {
	t.Helper()
	var took time.Duration
	for i := range 6 {
		if i > 0 {
			for _, wait := range rest {
				wait()
			}
		}
		began := time.Now()
		something()
		took = time.Since(began)
		require.GreaterOrEqual(t, took, want-10*time.Millisecond)
		if took < want+100*time.Millisecond {
			return
		}
	}
	assert.Fail(t, "late", "it took %v instead of %v", took, want)
}

// successors returns what waits for the end of a worker whose only thread is
// stuck, and for the next one.  It is for one worker after the other.
func (n *instance) successors() func() {
	const ended = `worker process \d+ exited with code 0`
	gone, ready := n.countLog(ended), n.countLog(pythonReady)
	return func() {
		n.t.Helper()
		n.client.CloseIdleConnections() // or the old one waits for them
		gone++
		ready++
		n.waitLogTimes(ended, gone)
		n.waitLogTimes(pythonReady, ready)
	}
}

// 504 at that moment whatever the thread does, its stack in the log, and the
// only thread of the pool is there again for the next request, of this worker
// or of the next: one thread that is stuck is more than half of this pool.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for endpoint, function := range map[string]string{
		"sleep/60":   "in sleep",
		"spin/60":    "in spin",
		"lock/1":     "in lock",
		"stubborn/x": "in stubborn",
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			n := start(t, timeoutServer, allowRespawn())
			successor := n.successors()
			rest := successor
			if endpoint == "spin/60" {
				rest = n.waitPlain // it can be interrupted
			}
			need504(t, n, "/timing/"+endpoint, 400*time.Millisecond, rest)
			n.waitLog(`\[error\].*` + inContext + `GET /timing/` + endpoint)
			n.waitLog(`File ".*/kitchen/timing\.py", line \d+, ` + function)

			n.waitPlain()
			rest()
			need504(t, n, "/timing/sleep/60", 400*time.Millisecond, successor)
			n.waitPlain()
		})
	}
}

// The exception is RequestTimeout, raised in the thread itself.
func TestTimeoutRaises(t *testing.T) {
	t.Parallel()
	n := start(t, timeoutServer)
	need504(t, n, "/timing/note_exception/"+name(t), 400*time.Millisecond)
	for _, note := range n.notes(t, name(t), 1) {
		assert.Contains(t, note, "RequestTimeout")
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// An exception that came too late for its request does not hit the next one.
func TestTimeoutLeavesNextRequestAlone(t *testing.T) {
	t.Parallel()
	n := start(t, timeoutServer)
	for i := range 5 {
		late := n.later("GET", "/timing/sleeps_in_c/"+name(t))
		n.notes(t, name(t), i+1)
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		out := <-late
		require.NoError(t, out.err)
		assert.Equal(t, 504, out.Status)
	}
}

// Time between chunks counts afresh for each of them.
func TestTimeoutBetweenChunks(t *testing.T) {
	t.Parallel()
	n := start(t, timeoutServer, allowRespawn())
	assert.Equal(t, "0,1,2,3,4,5,", n.text(t, "/timing/gaps?count=6&gap=0.15"),
		"0.9 s in all, none of them without progress")

	needTime(t, 400*time.Millisecond, func() {
		w := n.dial(t)
		w.request("GET", "/timing/stalls/60")
		w.head()
		w.needChunk("first")
		_, err := w.chunk()
		assert.Error(t, err, "a clean end after a timeout")
	}, n.successors())
	n.waitLog(`File ".*/kitchen/timing\.py", line \d+, in stalls`)
	n.waitPlain()
}

// Waiting for a thread and for a slow client is not the application's time.
func TestTimeoutDoesNotCountWaiting(t *testing.T) {
	t.Parallel()
	n := start(t, strings.Replace(timeoutServer, "400ms", "1s", 1))

	first := n.later("GET", "/timing/sleep/0.5")
	second := n.later("GET", "/timing/sleep/0.5")
	third := n.later("GET", "/timing/sleep/0.5")
	for _, answer := range []<-chan outcome{first, second, third} {
		out := <-answer
		require.NoError(t, out.err)
		assert.Equal(t, "slept", out.Body)
	}

	w := n.dial(t)
	w.request("POST", "/body/echo", "Content-Length: 4")
	for _, b := range "body" {
		time.Sleep(300 * time.Millisecond) // a client that is slow
		w.sendRaw(string(b))
	}
	assert.Equal(t, "body", w.reply("POST").Body)
}

// A client that takes its time to read is not the application's fault.
func TestTimeoutDoesNotCountBackPressure(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_buffering off;"+timeoutServer)
	w := n.dial(t)
	w.request("GET", fmt.Sprintf("/response/big?size=%d&count=64", 1<<20))
	w.head()
	_, err := w.chunk()
	require.NoError(t, err)
	time.Sleep(time.Second) // a client that is slow
	require.NoError(t, w.SetDeadline(time.Now().Add(5*patience)))
	total := 0
	for data := "more"; data != ""; {
		data, err = w.chunk()
		require.NoError(t, err)
		total += len(data)
	}
	assert.GreaterOrEqual(t, total, 63<<20)
}

// 0 is off; the innermost level counts.
func TestTimeoutOff(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_timeout 100ms;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/sleep/0.5 { wsgi_timeout 0; wsgi_pass kitchen; }
        location /timing/sleep/0.50 { wsgi_timeout 2s; wsgi_pass kitchen; }
    }`)
	assert.Equal(t, "slept", n.text(t, "/timing/sleep/0.5"))
	assert.Equal(t, "slept", n.text(t, "/timing/sleep/0.50"))
	need504(t, n, "/timing/sleep/0.6", 100*time.Millisecond)
}

// Many at once, but not half: the pool has its size again afterwards.
func TestTimeoutOfWholePool(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_timeout 300ms;
    wsgi_shutdown_timeout 1s;
    wsgi_threads 17;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/together { wsgi_timeout 10s; wsgi_pass kitchen; }
    }`)
	for range 2 {
		var answers []<-chan outcome
		for range 4 {
			answers = append(answers, n.later("GET", "/timing/lock/1"))
		}
		for _, answer := range answers {
			out := <-answer
			require.NoError(t, out.err)
			assert.Equal(t, 504, out.Status)
		}
	}
	needTogether(t, n, 17)
}

// The answer is an nginx error page, so that error_page can replace it.
func TestTimeoutErrorPage(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_timeout 100ms;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        error_page 504 /late;
        location / { wsgi_pass kitchen; }
        location = /late { return 504 "late"; }
    }`)
	assert.Equal(t, "late", n.get(t, "/timing/sleep/1").Body)
}
