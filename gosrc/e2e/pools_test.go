//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wsgi_threads n: n requests run at once.
func TestThreadsRunTogether(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3, 8} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			n := start(t, fmt.Sprintf("wsgi_threads %d;", count)+kitchen)
			needTogether(t, n, count)
		})
	}
}

// needTogether fails unless "count" requests run at once.
func needTogether(t *testing.T, n *instance, count int) {
	t.Helper()
	var answers []<-chan outcome
	for range count {
		answers = append(answers,
			n.later("GET", fmt.Sprintf("/timing/together/%d/%s", count, name(t))))
	}
	for _, answer := range answers {
		out := <-answer
		require.NoError(t, out.err)
		require.Equal(t, "together", out.Body)
	}
}

// The default is 8 threads.
func TestThreadsDefault(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	needTogether(t, n, 8)
}

// With one thread, requests run one after the other, on the same thread.
func TestThreadsOne(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen)
	var first, second []int
	n.json(t, &first, "/embed/thread_local")
	n.json(t, &second, "/embed/thread_local")
	assert.Equal(t, first[0], second[0])
	assert.Equal(t, []int{1, 2}, []int{first[1], second[1]})
	assert.Contains(t, n.text(t, "/environ/dump"), `"wsgi.multithread": ["bool", false]`)
}

const poolsServer = `
    wsgi_threads 2;
    wsgi_pool slow threads=1 queue=2 queue_timeout=5s;
    wsgi_pool impatient threads=1 queue=10 queue_timeout=300ms;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
        location /slow/ {
            wsgi_use_pool slow;
            rewrite ^/slow(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /impatient/ {
            wsgi_use_pool impatient;
            rewrite ^/impatient(.*) $1 break;
            wsgi_pass kitchen;
        }
    }`

// A pool whose threads are all busy and whose queue is full refuses, and the
// other pools do not notice.
func TestPoolQueueFull(t *testing.T) {
	t.Parallel()
	n := start(t, poolsServer)
	event := name(t)

	running := n.later("GET", "/slow/timing/occupy/"+event)
	n.notes(t, event, 1)
	outcomes := make(chan outcome, 3)
	for range 3 {
		go func() { outcomes <- <-n.later("GET", "/slow/response/plain") }()
	}

	refused := <-outcomes
	require.NoError(t, refused.err)
	needRetryAfter(t, refused.answer)
	n.waitLog(`\[error\].*queue.*client: 127\.0\.0\.1`)
	assert.Equal(t, "plain", n.text(t, "/response/plain"), "the default pool")
	assert.Equal(t, "nginx", n.text(t, "/nginx"))

	n.setEvent(t, event)
	assert.Equal(t, 200, (<-running).Status)
	for range 2 {
		assert.Equal(t, "plain", (<-outcomes).Body)
	}
	assert.Equal(t, "plain", n.text(t, "/slow/response/plain"), "afterwards")
}

func needRetryAfter(t *testing.T, a *answer) {
	t.Helper()
	assert.Equal(t, 503, a.Status)
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	assert.NoError(t, err, "Retry-After")
	assert.Positive(t, seconds)
}

// A request that waited too long for a thread is refused, and never runs.
func TestPoolQueueTimeout(t *testing.T) {
	t.Parallel()
	n := start(t, poolsServer)
	event := name(t)

	running := n.later("GET", "/impatient/timing/occupy/"+event)
	n.notes(t, event, 1)

	needTime(t, 300*time.Millisecond, func() {
		needRetryAfter(t, n.get(t, "/impatient/timing/occupy/"+event))
	})
	n.waitLog(`\[error\].*impatient.*client: 127\.0\.0\.1`)

	n.setEvent(t, event)
	assert.Equal(t, 200, (<-running).Status)
	assert.Equal(t, "plain", n.text(t, "/impatient/response/plain"))
	assert.Len(t, n.notes(t, event, 1), 1, "the refused request ran")
}

// Starvation in one pool is nobody else's; wsgi_use_pool is inherited.
func TestPoolIsolation(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_pool other threads=1;
    wsgi_pool default threads=2 queue=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        wsgi_use_pool other;
        location / { wsgi_pass kitchen; }
        location /timing/ { wsgi_use_pool default; wsgi_pass kitchen; }
    }`)
	event := name(t)

	var running []<-chan outcome
	for range 2 {
		running = append(running, n.later("GET", "/timing/occupy/"+event))
	}
	n.notes(t, event, 2)
	for range 20 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	n.setEvent(t, event)
	for _, answer := range running {
		assert.Equal(t, 200, (<-answer).Status)
	}
}

// The threads are named for their pool.
func TestPoolThreadNames(t *testing.T) {
	t.Parallel()
	n := start(t, poolsServer)
	var info struct {
		Name       string
		Main       bool
		Alive      bool
		Dummy      bool
		Enumerated bool
	}
	for path, want := range map[string]string{"": `^default-[12]$`, "/slow": `^slow-1$`} {
		n.json(t, &info, path+"/embed/thread_info")
		assert.Regexp(t, want, info.Name)
		assert.False(t, info.Main, "a pool's thread is the main thread")
		assert.True(t, info.Alive, "threading.main_thread() is not alive")
		assert.True(t, info.Enumerated)
	}
}

// A client that goes while its request waits takes it out of the queue: more
// of them go than the queue has places.
func TestPoolClientLeavesQueue(t *testing.T) {
	t.Parallel()
	n := start(t, poolsServer)
	event := name(t)

	running := n.later("GET", "/slow/timing/occupy/"+event)
	n.notes(t, event, 1)
	for i := range 5 {
		w := n.dial(t)
		w.request("GET", "/slow/timing/occupy/"+event)
		w.abort()
		n.waitLogTimes(`client prematurely closed connection`+inContext+
			`GET /slow/timing/occupy`, i+1)
	}
	w := n.dial(t)
	w.request("GET", "/slow/response/plain")

	n.setEvent(t, event)
	assert.Equal(t, 200, (<-running).Status)
	assert.Equal(t, "plain", w.reply("GET").Body)
	assert.Len(t, n.notes(t, event, 1), 1, "a request ran whose client had gone in the queue")
}
