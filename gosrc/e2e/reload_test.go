//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// An application that takes its time to import.
const slowImport = 2 * time.Second

const slowApp = `
import time
from kitchen import application
time.sleep(2)
`

const slowBackend = `
    wsgi_python_path {{.Apps}} {{.Dir}}/app;
    server {
        listen unix:{{.Sock}};
        listen {{.Addr}};
        location / { wsgi_pass slow_app; }
        location = /nginx { return 200 "nginx"; }
    }`

// Reloads under load, through a front that keeps connections alive: no request
// fails, POST included, and none waits for an import.
func TestReloadWithoutDip(t *testing.T) {
	t.Parallel()
	back := start(t, slowBackend, file("app/slow_app.py", slowApp), workers(2), allowRespawn())
	front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(16))

	l := startLoad(t, front, 8)
	l.more(200)
	for range 3 {
		back.reload()
		l.more(200)
	}
	l.stop()
	t.Logf("%d requests, the slowest took %v", l.count.Load(), l.worst)
	assert.Less(t, l.worst, slowImport/2, "nobody waits for an import")
	assert.Equal(t, 6, back.countLog("serving on until the new workers are ready"))
}

// "quit" is not held back when there is nobody to wait for.
func TestReloadThenQuit(t *testing.T) {
	t.Parallel()
	n := start(t, slowBackend, file("app/slow_app.py", slowApp), allowRespawn())
	n.signal(syscall.SIGHUP)
	n.waitLog("serving on until the new workers are ready")
	began := time.Now()
	n.quit()
	assert.Less(t, time.Since(began), 15*time.Second)
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
