//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needNginx fails unless nginx's own location answers, many times.
func needNginx(t *testing.T, n *instance) {
	t.Helper()
	for range 20 {
		assert.Equal(t, "nginx", n.text(t, "/nginx"))
	}
}

// needWaiting fails if there is an answer already.
func needWaiting(t *testing.T, answer <-chan outcome) {
	t.Helper()
	assert.Zero(t, len(answer), "the other answers have waited for this one")
}

// Every thread of Python is asleep and the queue is not empty.
func TestLoopAnswersWhilePythonSleeps(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 2;"+kitchen+`
    wsgi_pool steering threads=1;
    server { listen {{.Addr2}}; wsgi_use_pool steering; location / { wsgi_pass kitchen; } }`)

	var answers []<-chan outcome
	for range 6 {
		answers = append(answers, n.later("GET", "/timing/occupy/"+name(t)))
	}
	steer := dialTo(t, "tcp", n.Addr2)
	assert.Equal(t, 200, steer.get("/event/notes_of/"+name(t)+"?n=2").Status)
	needNginx(t, n)

	assert.Equal(t, "set", steer.get("/event/set/"+name(t)).Body)
	for _, answer := range answers {
		out := <-answer
		require.NoError(t, out.err)
		assert.Equal(t, "released", out.Body)
	}
}

// An application holds the GIL in a C call, so that Python stands still:
// nginx does not, and requests for Python wait in the queue.
func TestLoopAnswersWhileGilIsHeld(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, "held", n.text(t, "/timing/hold_the_gil/0"))

	held := n.later("GET", "/timing/hold_the_gil/2")
	time.Sleep(200 * time.Millisecond) // until it holds it
	queued := n.later("GET", "/response/plain")
	needNginx(t, n)
	needWaiting(t, held)

	assert.Equal(t, "held", (<-held).Body)
	assert.Equal(t, "plain", (<-queued).Body)
}

// The same with a limit that passes while the GIL cannot be had.
func TestLoopTimesOutWhileGilIsHeld(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_timeout 300ms;"+kitchen)
	assert.Equal(t, "held", n.text(t, "/timing/hold_the_gil/0"))
	need504(t, n, "/timing/hold_the_gil/1.5", 300*time.Millisecond, n.waitPlain)
	needNginx(t, n)
}

// A worker that has nothing to do uses no processor.
func TestLoopIsIdle(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	before := cpuTime(n.worker())
	time.Sleep(time.Second) // what is measured
	assert.Less(t, cpuTime(n.worker())-before, time.Duration(slack())*50*time.Millisecond)
}
