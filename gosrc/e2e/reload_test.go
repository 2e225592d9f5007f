//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowBackend serves Dir/app/slow_app.py, which takes its time to import.
const slowBackend = `
    wsgi_python_path {{.Apps}} {{.Dir}}/app;
    server {
        listen unix:{{.Sock}};
        listen {{.Addr}};
        location / { wsgi_pass slow_app; }
        location = /nginx { return 200 "nginx"; }
    }`

// slowApp sleeps in its import for so long, or has the processor busy.
func slowApp(takes time.Duration, burns bool) string {
	how := "time.sleep(left)"
	if burns {
		how = "sum(range(10000))"
	}
	return fmt.Sprintf(`
import time
from kitchen import application
print("the slow part of the import")
end = time.monotonic() + %v
while (left := end - time.monotonic()) > 0:
    %s
`, takes.Seconds(), how)
}

// dip is what TestReloadWithoutDip measures; its long form is set by the
// environment, see docs/reliability.md.
type dip struct {
	reloads int           // NWSGI_RELOADS
	imports time.Duration // NWSGI_IMPORT
	burns   bool          // NWSGI_BURN: the import has the processor busy
	noise   time.Duration // of a few hundred requests' p99 on a shared machine
}

func newDip(t *testing.T) dip {
	d := dip{3, time.Duration(slack()) * 2 * time.Second, os.Getenv("NWSGI_BURN") != "", 20 * time.Millisecond}
	var err error
	if text := os.Getenv("NWSGI_RELOADS"); text != "" {
		d.noise = 0
		d.reloads, err = strconv.Atoi(text)
		require.NoError(t, err, "NWSGI_RELOADS")
	}
	if text := os.Getenv("NWSGI_IMPORT"); text != "" {
		d.imports, err = time.ParseDuration(text)
		require.NoError(t, err, "NWSGI_IMPORT")
	}
	return d
}

// Reloads under a constant load, through a front that keeps connections alive:
// no request fails, POST included, and none waits for an import.  When new
// workers have started Python and imported what costs time of the processors,
// 99 of 100 requests are as fast as without a reload, but for a factor of 2.
func TestReloadWithoutDip(t *testing.T) {
	d := newDip(t)
	back := start(t, slowBackend, file("app/slow_app.py", slowApp(d.imports, d.burns)),
		workers(2), allowRespawn())
	front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(16))

	l := startPacedLoad(t, front, 8, 20*time.Millisecond)
	l.more(400) // connections are made, names interned
	var usual, during, outside []time.Duration
	for i := range d.reloads { // by turns: the machine may get busy with other things
		begun := len(l.answers())
		l.more(int64(d.imports.Seconds() * 400))
		usual = append(usual, l.answers()[begun:]...)

		begun = len(l.answers())
		started := 0
		back.reloadWhile(func() {
			back.waitLogTimes("the slow part of the import", 2*(i+2))
			started = len(l.answers())
		})
		during = append(during, l.answers()[begun:]...)
		outside = append(outside, l.answers()[started:]...)
	}
	l.stop()
	d.judge(t, usual, during, outside)
	assert.Equal(t, 2*d.reloads, back.countLog("serving on until the new workers are ready"))
}

// judge has what requests took without a reload, during one, and during one
// outside of the import's own cost.
func (d dip) judge(t *testing.T, usual, during, outside []time.Duration) {
	t.Logf("%d reloads, an import of %v, busy: %v", d.reloads, d.imports, d.burns)
	for _, phase := range []struct {
		name string
		took []time.Duration
	}{{"no reload", usual}, {"reloads", during}, {"without start-up", outside}} {
		t.Logf("%-16s %6d requests, 0 failed: p50 %v, p99 %v, slowest %v",
			phase.name, len(phase.took), percentile(phase.took, 50),
			percentile(phase.took, 99), percentile(phase.took, 100))
	}
	assert.Less(t, percentile(during, 100), d.imports/2, "nobody waits for an import")
	if !d.burns && !sanitized { // whose workers start at the expense of those that serve
		assert.Less(t, percentile(outside, 99), 2*percentile(usual, 99)+d.noise, "p99")
	}
}

// "quit" is not held back when there is nobody to wait for.
func TestReloadThenQuit(t *testing.T) {
	t.Parallel()
	n := start(t, slowBackend, file("app/slow_app.py", slowApp(2*time.Second, false)), allowRespawn())
	n.signal(syscall.SIGHUP)
	n.waitLog("serving on until the new workers are ready")
	began := time.Now()
	n.quit()
	assert.Less(t, time.Since(began), 15*time.Second)
}

// Nor by a new worker that learns of it in its first turn: one that has many
// connections to set up takes longer than the master's 100 ms.
func TestReloadThenQuitAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, slowBackend, file("app/slow_app.py", slowApp(time.Second, false)),
		connections(1000000), allowRespawn(), allowLog(`worker_connections exceed`))
	n.signal(syscall.SIGHUP)
	n.waitLog("reconfiguring")
	began := time.Now()
	n.quit()
	assert.Less(t, time.Since(began), 30*time.Second)
}

// An idle connection of an old worker serves one more request, and closes.
func TestReloadIdleConnection(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowRespawn(), allowFDs(1))
	w := n.dial(t)
	assert.Equal(t, "keep-alive", w.get("/response/plain").get(t, "Connection"))
	old := n.worker()

	ready := n.countLog(pythonReady)
	n.signal(syscall.SIGHUP)
	n.waitLogTimes(pythonReady, ready+1)
	n.wait("the old worker to stop listening", func() bool { return !listens(old) })

	r := w.get("/response/plain")
	assert.Equal(t, "plain", r.Body, "the client was about to use it")
	assert.Equal(t, "close", r.get(t, "Connection"))
	w.needClosed()
	n.wait("the old worker to end", func() bool { return !alive(old) })
}

// listens says whether a process has a listening socket.
func listens(pid int) bool {
	sockets := listeningInodes(pid)
	for _, link := range fdLinks(pid) {
		if sockets[link] {
			return true
		}
	}
	return false
}
