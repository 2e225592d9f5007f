//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The harness itself, on an nginx without the module.

const plainServer = `
    server {
        listen {{.Addr}};
        location / { return 200 "plain"; }
    }`

func TestHarnessServes(t *testing.T) {
	t.Parallel()
	n := start(t, plainServer, withoutModule(), workers(2))

	assert.Len(t, n.pids, 2)
	assert.Equal(t, "plain", n.text(t, "/"))

	w := n.dial(t)
	r := w.get("/")
	assert.Equal(t, byLength, r.Framing)
	assert.True(t, r.complete())
	assert.True(t, w.silent())
	assert.Equal(t, "plain", w.get("/", "Connection: close").Body)
	w.needClosed()
}

func TestHarnessReloads(t *testing.T) {
	t.Parallel()
	n := start(t, plainServer, withoutModule())

	old := n.worker()
	n.reload()
	assert.NotEqual(t, old, n.worker())
	assert.Equal(t, "plain", n.text(t, "/"))
}

func TestHarnessSeesOpenConnections(t *testing.T) {
	t.Parallel()
	n := start(t, plainServer, withoutModule())

	first := n.dial(t)
	first.get("/", "Connection: close")
	first.needClosed()
	before := openFDs(n.worker()) // when it surely works
	w := n.dial(t)
	require.Equal(t, 200, w.get("/").Status)
	assert.Equal(t, []string{"socket:"}, before.grown(openFDs(n.worker())))
}

func TestHarnessReadsLogs(t *testing.T) {
	t.Parallel()
	log := "1 [alert] 1#1: bad\n2 [info] fine\npanic: worse\n3 [emerg] wanted\n"
	assert.Equal(t, []string{"1 [alert] 1#1: bad", "panic: worse"},
		suspicious(log, []string{"wanted"}))
}

func TestHarnessSeesProcesses(t *testing.T) {
	t.Parallel()
	n := start(t, plainServer, withoutModule())

	assert.Len(t, sessionMembers(n.cmd.Process.Pid), 2)
	assert.Positive(t, rss(n.worker()))
	assert.Equal(t, 1, threads(n.worker()))
	n.quit()
	assert.Empty(t, sessionMembers(n.cmd.Process.Pid))
}
