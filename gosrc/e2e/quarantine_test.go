//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const quarantine = `
    wsgi_timeout 500ms;
    wsgi_threads 4;
    wsgi_pool measured threads=8;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /timing/together { wsgi_timeout 10s; wsgi_pass kitchen; }
        location = /timing/sleep/2 { wsgi_use_pool measured; wsgi_pass kitchen; }
    }`

// The limit is what it says, whatever the worker does besides, by the clock of
// the loop, which answers at that moment: none before its time, half of them
// within 50 ms on a machine that is busy with other things.  (What the client
// sees is in TestQuarantine.)
func TestTimeoutIsExact(t *testing.T) {
	t.Parallel()
	for what, others := range map[string][]string{
		"nothing else":         nil,
		"threads that compute": {"spin/60", "spin/60", "spin/60", "spin/60"},
		"all threads stuck":    {"lock/1", "lock/1", "lock/1", "lock/1"},
		"the GIL held in C":    {"hold_the_gil/1"},
		"one after another":    {"hold_the_gil/0.3", "hold_the_gil/0.4", "hold_the_gil/0.3"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := start(t, quarantine, allowRespawn())
			for range 5 {
				answers := []<-chan outcome{
					n.later("GET", "/timing/sleep/2"), n.later("GET", "/timing/sleep/2"),
				}
				for _, other := range others {
					answers = append(answers, n.later("GET", "/timing/"+other))
				}
				need504s(t, answers[:2]...)
				for _, answer := range answers[2:] {
					<-answer
				}
				n.waitPlain()
			}
			took := n.limits(t)
			t.Logf("504 after %v", took)
			assert.GreaterOrEqual(t, took[0], 500, "early")
			assert.Less(t, took[len(took)/2], 550, "late")
		})
	}
}

// limits returns after how many milliseconds requests were given up, the
// smallest first.
func (n *instance) limits(t *testing.T) (took []int) {
	re := regexp.MustCompile(`within "wsgi_timeout", (\d+) ms after its call`)
	for _, m := range re.FindAllStringSubmatch(n.log(), -1) {
		ms, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		took = append(took, ms)
	}
	require.GreaterOrEqual(t, len(took), 10)
	slices.Sort(took)
	return took
}

// stick has a thread stick, and returns the worker whose it was when that has
// given it up.
func (n *instance) stick(t *testing.T) int {
	t.Helper()
	const message = `\[warn\].*" does not come back from a request`
	before := n.countLog(message)
	require.Equal(t, 504, n.get(t, "/timing/lock/1").Status)
	line := n.waitLogTimes(message, before+1)
	pid, err := strconv.Atoi(regexp.MustCompile(`\] (\d+)#`).FindStringSubmatch(line)[1])
	require.NoError(t, err)
	return pid
}

// waitPlain waits until there is an answer, by this worker or its successor.
func (n *instance) waitPlain() {
	n.t.Helper()
	n.wait("an answer", func() bool {
		a, err := n.try("GET", "/response/plain", nil)
		return err == nil && a.Status == 200
	})
}

// What becomes of a thread: the exception ends it, or, in C or in a loop that
// goes on whatever happens, it is replaced.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	for endpoint, replaced := range map[string]bool{
		"spin/60":    false,
		"lock/1":     true,
		"sleep/60":   true,
		"recv/1":     true,
		"stubborn/x": true,
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			n := start(t, quarantine, allowFDs(2)) // those of "recv"
			require.Equal(t, 504, n.get(t, "/timing/"+endpoint).Status)
			n.waitLog(`wsgi:   File ".*/kitchen/timing\.py", line \d+, in \w+` + inRecord + `/timing/` + endpoint)
			if replaced {
				n.waitLog(`\[warn\].*thread "default-\d" does not come back`)
			} else {
				time.Sleep(1500 * time.Millisecond) // the second that it has, and more
			}
			needTogether(t, n, 4)
			assert.Equal(t, replaced, n.countLog("does not come back") > 0)
			assert.Zero(t, n.countLog("to be replaced"), "one of four is no half")
		})
	}
}

// Half of a pool's threads do not come back: another worker takes over, without
// a request that fails, and the old one does not wait for them.
func TestQuarantineOfHalfAPool(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers %d", count), func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_shutdown_timeout 60s;"+quarantine, workers(count), allowRespawn())
			began := time.Now()
			stuck := map[int]int{}
			for n.countLog("is to be replaced") == 0 {
				pid := n.stick(t)
				stuck[pid]++
				if stuck[pid] == 2 {
					n.waitLog(fmt.Sprintf(`\[notice\] %d#.* this worker is to be replaced:`+
						` 2 threads do not come back to pool "default", which has 4`, pid))
				}
				require.LessOrEqual(t, stuck[pid], 2)
			}
			n.client.CloseIdleConnections() // or the old one waits for them
			n.waitLogTimes(pythonReady, count+1)
			n.waitLog(`worker process \d+ exited with code 0`)
			assert.Less(t, time.Since(began), 40*time.Second, "it is not waited for")
			for range 20 {
				assert.Equal(t, "plain", n.text(t, "/response/plain"))
			}
		})
	}
}
