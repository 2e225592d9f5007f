//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Workers are replaced, or start, when that is not all that happens: beside
// imports, checks, and masters that are killed.

// gatedApp imports when the test has opened its gate.
const gatedApp = `
import os, time
from kitchen import application
while not os.path.exists(os.environ["TMPDIR"] + "/open"):
    time.sleep(0.01)
`

// A worker serves while it imports: it may have had enough when it is ready.
func TestRecycleBeforeReady(t *testing.T) {
	t.Parallel()
	n := start(t, recycling(`wsgi_python_path {{.Dir}}/app; wsgi_max_requests 5;
    server { listen {{.Addr2}}; location / { wsgi_pass gated; } }`),
		file("app/gated.py", gatedApp), allowRespawn(), allowUnready())
	for range 8 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	assert.Zero(t, n.countLog(pythonReady))
	n.openGate()
	n.waitLog(wanted + `: it has served [78] requests`)
	n.client.CloseIdleConnections()
	n.waitLogTimes(pythonReady, 2)
}

// Nobody replaces workers when the master was killed: they serve on.
func TestRecycleOrphans(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2} {
		t.Run(strconv.Itoa(count), func(t *testing.T) {
			t.Parallel()
			n := start(t, recycling("wsgi_max_requests 5;"), workers(count), allowRespawn())
			require.NoError(t, n.cmd.Process.Kill())
			n.waitExit()
			for n.countLog("should be replaced, but there is no master") < count && n.countLog(drains) == 0 {
				assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
			}
			for range 50 {
				assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
			}
			assert.Zero(t, n.countLog(drains))
			for _, pid := range n.pids {
				assert.True(t, alive(pid))
				require.NoError(t, syscall.Kill(pid, syscall.SIGQUIT))
			}
		})
	}
}

// More clients than its queue holds connect to the only worker while it starts:
// they wait, and none is refused.
func TestRecycleQueueAtStart(t *testing.T) {
	t.Parallel()
	n := start(t, `wsgi_python_path {{.Apps}} {{.Dir}}/app; wsgi_pool default queue=20;
    server { listen {{.Addr}}; location / { wsgi_pass gated; } }`,
		file("app/gated.py", gatedApp), allowUnready(), allowFDs(1))
	clients := make([]*wire, 100)
	for i := range clients {
		clients[i] = n.dial(t)
		clients[i].request("GET", "/response/plain", "Connection: close")
	}
	n.waitLog(`wsgi: Python .*, started in`)
	n.openGate()
	for _, w := range clients {
		assert.Equal(t, 200, w.reply("GET").Status)
	}
}

// brokenGatedApp imports at once, or, while there is a file "broken", fails when
// the test has opened its gate.
const brokenGatedApp = `
import os, time
from kitchen import application
var = os.environ["TMPDIR"]
if os.path.exists(var + "/broken"):
    print("at the gate")
    while not os.path.exists(var + "/open"):
        time.sleep(0.01)
    raise ValueError
`

// While the master has a reload checked it starts no workers: one that is to be
// replaced serves on, and goes when the reload has been refused.
func TestRecycleWhileChecking(t *testing.T) {
	t.Parallel()
	for _, drainsBefore := range []bool{false, true} {
		t.Run(fmt.Sprintf("drains before %v", drainsBefore), func(t *testing.T) {
			t.Parallel()
			n := start(t, recycling(`wsgi_check import; wsgi_python_path {{.Dir}}/app; wsgi_max_requests 10;
    server { listen {{.Addr2}}; location / { wsgi_pass gated; } }`),
				file("app/gated.py", brokenGatedApp), allowRespawn(), allowLog(`\[emerg\].*wsgi_check`))
			long := n.dial(t)
			if drainsBefore {
				long.request("GET", "/timing/occupy/"+name(t))
				for n.countLog(drains) == 0 {
					n.text(t, "/response/plain")
				}
			}
			writeFile(t, n.Var, "broken", "")
			n.signal(syscall.SIGHUP)
			n.waitLog("at the gate")
			if drainsBefore {
				n.setEvent(t, name(t))
				assert.Equal(t, 200, long.reply("GET").Status)
			}
			for range 100 {
				assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
			}
			n.waitLog(wanted)

			require.NoError(t, os.Remove(filepath.Join(n.Var, "broken")))
			n.openGate()
			n.waitLog(refused)
			require.NoError(t, long.Close())
			n.client.CloseIdleConnections()
			n.waitLogTimes(pythonReady, 2)
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}
