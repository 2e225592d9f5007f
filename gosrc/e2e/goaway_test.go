//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients of HTTP/2 learn at the beginning of a drain that they have to connect
// anew, and not after the 10 s in which idle connections are left to them.
// The request that is under way gets its answer.
func TestDrainGoAway(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_request_buffering off;
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { wsgi_pass kitchen; }
    }`)
	busy, idle := n.dialH2(t, 1<<20), n.dialH2(t, 1<<20)
	id := busy.headers(requestFields("POST", "/streaming/digest"), false)
	busy.data(id, "hello", false, 0)
	assert.Equal(t, "plain", idle.response(idle.request("GET", "/response/plain")).Body)

	n.reloadWhile(func() {
		n.waitLog(`wsgi: draining`)
		began := time.Now()
		busy.readUntil("GOAWAY", func() bool { return busy.goAway != nil })
		for idle.read() {
		}
		assert.NotNil(t, idle.goAway)
		assert.Less(t, time.Since(began), 4*time.Second)

		busy.data(id, "", true, 0)
		r := busy.response(id)
		assert.Equal(t, []any{200, h2done}, []any{r.Status, r.End})
		assert.Regexp(t, `^5 `, r.Body)
		for busy.read() {
		}
	})
}

// A client of HTTP/3 whose request is under way gets its answer, from the old
// worker, and the next one from the new.
func TestDrainGoAwayHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t, "wsgi_request_buffering off;")
	client := http3Client(t, n, 0)
	body, upload := io.Pipe()
	type result struct {
		*answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := http3Do(n, client, "POST", "/streaming/digest", body)
		done <- result{a, err}
	}()
	_, err := io.WriteString(upload, "hello")
	require.NoError(t, err)
	n.wait("the application", func() bool { return n.threadsIn(t, "digest") })

	n.reloadWhile(func() {
		n.waitLog(`wsgi: draining`)
		n.waitLogTimes(pythonReady, 2)
		a, err := http3Do(n, http3Client(t, n, 0), "GET", "/response/plain", nil)
		require.NoError(t, err)
		assert.Equal(t, "plain", a.Body)
		require.NoError(t, upload.Close())
		got := <-done
		require.NoError(t, got.err)
		assert.True(t, strings.HasPrefix(got.Body, "5 "), got.Body)
		client.CloseIdleConnections()
	})
}
