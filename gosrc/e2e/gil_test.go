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

// holding has a place for those who hold the GIL, which is never their time,
// and one for a sleeper, whose time is over meanwhile.
const holding = `
    wsgi_pool sleepers threads=1;
    wsgi_pool steering threads=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/hold { wsgi_timeout 0; wsgi_pass kitchen; }
        location /timing/nap/ { wsgi_use_pool sleepers; wsgi_timeout 1s; wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`

// sleeper starts a request that will be given up after a second, and returns
// when it sleeps.
func sleeper(t *testing.T, n *instance) <-chan outcome {
	t.Helper()
	late := n.later("GET", "/timing/nap/4/"+name(t)+"-sleeper")
	n.notes(t, name(t)+"-sleeper", 1)
	return late
}

// need504s fails unless this is the answer to all.
func need504s(t *testing.T, answers ...<-chan outcome) {
	t.Helper()
	for _, answer := range answers {
		out := <-answer
		require.NoError(t, out.err)
		assert.Equal(t, 504, out.Status)
	}
}

// inRecord is the context of what is logged of a request by its number.
const (
	inRecord = `, client: 127\.0\.0\.1, request: "GET `
	withID   = `, id: [0-9a-f]{32}$`
)

// Who holds the GIL is told by thread, request, file and line, and so is what
// the request does that is to be interrupted; then all goes on.
func TestGilStack(t *testing.T) {
	t.Parallel()
	n := start(t, holding)
	late := sleeper(t, n)
	held := n.later("GET", "/timing/hold_the_gil/6")
	need504s(t, late)
	needNginx(t, n)

	line := n.waitLog(`the GIL could not be had for 2s: thread "default-\d" holds it, which` +
		` runs a request of application "kitchen" for \d\.\d s` + inRecord + `/timing/hold_the_gil/6"` + withID)
	assert.Contains(t, line, "[error]")
	n.waitLog(`wsgi:   File ".*/kitchen/timing\.py", line \d+, in hold_the_gil` + inRecord +
		`/timing/hold_the_gil/6"` + withID)
	n.waitLog(`wsgi:   File ".*/kitchen/timing\.py", line \d+, in nap` + inRecord +
		`/timing/nap/4/[^"]*" \(ended\)` + withID)
	assert.Zero(t, n.countLog("the GIL could be had"), "it was told while it was away")

	assert.Equal(t, "held", (<-held).Body)
	n.waitLog(`\[notice\].* the GIL could be had after`)
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// Of more threads than faulthandler tells.
func TestGilStackOfMany(t *testing.T) {
	t.Parallel()
	const threads = 110
	n := start(t, fmt.Sprintf("wsgi_threads %d;", threads)+holding)
	var answers []<-chan outcome
	for range threads {
		answers = append(answers, n.later("GET", "/timing/hold_as/6/default-1/"+name(t)))
	}
	n.notes(t, name(t), threads-1)
	late := sleeper(t, n)
	n.setEvent(t, name(t)+"-begin")
	need504s(t, late)
	n.waitLog(`thread "default-1" holds it`)
	n.waitLog(`stack of thread "default-1"|its Python stack cannot be had`)
	n.waitLog(`line \d+, in hold_as` + inRecord + `/timing/hold_as/6/default-1`)
	assert.Zero(t, n.countLog(`cannot be had`))
	n.setEvent(t, name(t))
	for _, answer := range answers {
		out := <-answer
		require.NoError(t, out.err)
		assert.Equal(t, 200, out.Status)
	}
}

// What an application does with faulthandler remains its own.
func TestGilStackLeavesFaulthandlerAlone(t *testing.T) {
	t.Parallel()
	n := start(t, holding)
	late := sleeper(t, n)
	held := n.later("GET", "/timing/hold_beside_theirs/6")
	need504s(t, late)
	n.waitLog(`line \d+, in hold_beside_theirs` + inRecord)
	out := <-held
	require.NoError(t, out.err)
	require.Equal(t, 200, out.Status)
	assert.Contains(t, out.Body, "Timeout (0:00:05)!\n", "dump_traceback_later()")
	assert.Equal(t, 2, strings.Count(out.Body, "in hold_beside_theirs\n"), out.Body)
}

// A thread of the application holds it, of which nginx knows nothing.
func TestGilHeldByAnotherThread(t *testing.T) {
	t.Parallel()
	n := start(t, holding)
	late := sleeper(t, n)
	held := n.later("GET", "/timing/hold_in_a_thread/6")
	need504s(t, late)
	n.waitLog(`the GIL could not be had for 2s: a thread that runs no request holds it`)
	n.waitLog(`line \d+, in usleep_with_the_gil$`)
	assert.Equal(t, "held", (<-held).Body)
}

// Nobody's time is over, and there is no limit to be over: who holds it is told
// all the same, and is left alone.
func TestGilStackWithoutLimits(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_timeout 0;"+kitchen)
	held := n.later("GET", "/timing/hold_the_gil/12")
	n.waitLog(`the GIL could not be had for 5s: thread "default-\d" holds it.*` + inRecord)
	n.waitLog(`line \d+, in hold_the_gil` + inRecord)
	needNginx(t, n)
	out := <-held
	require.NoError(t, out.err)
	assert.Equal(t, "held", out.Body)
	n.waitLog(`\[notice\].* the GIL could be had after`)
	assert.Equal(t, 1, n.countLog("holds it"))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// It does not come back.  Who runs has a 504 in time, and nginx answers; who
// waits in the queue has a 503 when the worker is given up, which is replaced
// and does not take long to end.
func TestGilThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers %d", count), func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_timeout 1s; wsgi_shutdown_timeout 30s; wsgi_threads 2;"+kitchen,
				workers(count), allowRespawn())
			before := n.workers()
			began := time.Now()
			require.Equal(t, 504, n.get(t, "/timing/backtrack/x").Status)
			took := time.Since(began)
			assert.GreaterOrEqual(t, took, 990*time.Millisecond)
			assert.Less(t, took, 5*time.Second, "not when the worker is given up")
			var queued []<-chan outcome
			for range 5 {
				queued = append(queued, n.later("GET", "/response/plain"))
			}
			n.waitLog(`line \d+, in backtrack` + inRecord)
			needNginx(t, n)

			n.waitLog(`\[notice\].* replaced: the GIL could not be had for 10s`)
			for _, answer := range queued {
				out := <-answer
				require.NoError(t, out.err)
				assert.Contains(t, []int{200, 503}, out.Status)
			}
			n.waitLog(`Python cannot end without the GIL`)
			n.waitLogTimes(pythonReady, count+1)
			assert.NotEqual(t, before, n.workers())
			assert.Less(t, time.Since(began), 35*time.Second, "Limit is 10 s, nobody waits for 30 s more")
			n.wait("a worker that answers", func() bool {
				a, err := n.try("GET", "/response/plain", nil)
				return err == nil && a.Status == 200
			})
		})
	}
}

// It is held by a request without a limit, beside another worker: the one that
// has it is replaced all the same.
func TestGilThatDoesNotComeBackToAWorker(t *testing.T) {
	t.Parallel()
	n := start(t, `wsgi_shutdown_timeout 1s; wsgi_threads 3; wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_timeout 500ms; wsgi_pass kitchen; }
        location /timing/backtrack { wsgi_timeout 0; wsgi_pass kitchen; }
        location = /who { return 200 $pid; }
    }`, workers(2), allowRespawn())
	to := map[string]*wire{}
	late, pid := n.dial(t), ""
	for {
		pid = late.get("/who").Body
		if to[pid] != nil {
			break
		}
		to[pid], late = late, n.dial(t)
	}
	late.request("GET", "/timing/nap/10/"+name(t))
	assert.Equal(t, 200, to[pid].get("/event/notes_of/"+name(t)+"?n=1").Status)
	to[pid].request("GET", "/timing/backtrack/x")

	assert.Equal(t, 504, late.reply("GET").Status)
	n.waitLog(`line \d+, in backtrack` + inRecord)
	n.waitLog(`\[notice\].* replaced: the GIL could not be had for 10s`)
	n.waitLog(`worker process ` + pid + ` exited`)
	n.waitLogTimes(pythonReady, 3)
}
