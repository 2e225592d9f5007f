//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func cancelServer(directives string) string {
	return `
    wsgi_pool steering threads=2;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        ` + directives + `
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`
}

// leaves starts a request, waits until the application notes that it runs, and
// goes away.
func leaves(t *testing.T, n *instance, endpoint string) {
	t.Helper()
	w := n.dial(t)
	w.request("GET", "/streaming/"+endpoint+"/"+name(t))
	n.notes(t, name(t), 1)
	_ = w.Close()
}

// raise: a loop of pure Python that survives "except Exception" ends, and soon.
func TestCancelRaise(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+cancelServer("wsgi_cancel raise;"))
	leaves(t, n, "computing")
	began := time.Now()
	assert.Equal(t, []string{"computes", "RequestCancelled"}, n.notes(t, name(t), 2))
	assert.Less(t, time.Since(began), time.Duration(slack())*time.Second)

	assert.Equal(t, "plain", n.text(t, "/response/plain"), "the next request is not hit")
	n.waitLog(`\[info\].*client.*closed.*` + inContext)
	assert.Zero(t, n.countLog("Traceback"))
	assert.Zero(t, n.countLog(`\[error\]`))
}

// notify, the default: nginx.disconnected() says so, nothing else happens.
func TestCancelNotify(t *testing.T) {
	t.Parallel()
	n := start(t, cancelServer(""))
	leaves(t, n, "watching")
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"false", "true"}, n.notes(t, name(t), 2))
}

// off: the application is told nothing, and is asked for all it has.
func TestCancelOff(t *testing.T) {
	t.Parallel()
	n := start(t, cancelServer("wsgi_cancel off;"))
	leaves(t, n, "watching")
	n.waitLog(`client.*closed`)
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"false", "false"}, n.notes(t, name(t), 2))

	other := name(t) + "-generator"
	w := n.dial(t)
	w.request("GET", "/streaming/finishing/"+other)
	w.head()
	w.needChunk("first")
	w.abort()
	n.waitLogTimes(`client`, 2)
	n.setEvent(t, other)
	assert.Equal(t, []string{"finished"}, n.notes(t, other, 1))
}

// wsgi_ignore_client_abort: nginx does not look whether the client is there.
func TestIgnoreClientAbort(t *testing.T) {
	t.Parallel()
	n := start(t, cancelServer("wsgi_cancel raise; wsgi_ignore_client_abort on;"))
	leaves(t, n, "watching")
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"false", "false"}, n.notes(t, name(t), 2))
}

// The stream of HTTP/2 that its client resets is a client that has gone.
func TestCancelHTTP2(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET",
		"https://"+n.Addr2+"/streaming/watching/"+name(t), nil)
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		_, err := exchange(client, req)
		failed <- err
	}()
	n.notes(t, name(t), 1)
	cancel()
	assert.Error(t, <-failed)
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"false", "true"}, n.notes(t, name(t), 2))
}

// 200 clients of server-sent events on a pool of their own leave the default
// pool alone.
func TestStarvation(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_pool events threads=200;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /streaming/ { wsgi_use_pool events; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`)
	alone := slowest(t, n)
	for range 200 {
		w := n.dial(t)
		w.request("GET", "/streaming/finishing/"+name(t))
		w.head()
		w.needChunk("first")
	}
	together := slowest(t, n)
	t.Logf("the slowest of 200: %v alone, %v beside 200 streams", alone, together)
	assert.Less(t, together, max(10*alone, 100*time.Millisecond))
	n.setEvent(t, name(t))
	n.notes(t, name(t), 200)
}

// slowest is the longest of 200 answers of the default pool.
func slowest(t *testing.T, n *instance) time.Duration {
	t.Helper()
	var worst time.Duration
	for range 200 {
		began := time.Now()
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		worst = max(worst, time.Since(began))
	}
	return worst
}
