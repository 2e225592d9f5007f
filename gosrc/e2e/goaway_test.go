//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"syscall"
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

// A client of HTTP/3 is told before nginx's own shutdown begins, 2 s later, and
// the request that is under way gets its answer.  There is no reload here: old
// and new workers would read from one socket, whose packets are then a matter of
// luck.
func TestDrainGoAwayHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t, "wsgi_request_buffering off;")
	c := n.dialH3(t, 0)
	s := c.request(requestFields("POST", "/streaming/digest"), "hello", false)
	n.wait("the application", func() bool { return n.threadsIn(t, "digest") })

	n.client.CloseIdleConnections()
	n.signal(syscall.SIGQUIT)
	n.over = true
	c.needGoAway()
	assert.NotContains(t, n.log(), "gracefully shutting down")

	require.NoError(t, s.Close())
	r, err := c.response(s)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(r.Body, "5 "), r.Body)
	require.NoError(t, c.CloseWithError(0x100, "")) // H3_NO_ERROR
	assert.Equal(t, 0, n.waitExit())
}
