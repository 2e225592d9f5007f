//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A client that reads nothing is given up after send_timeout, also when the
// application goes on, and what it gives goes to a file: as long as the client
// reads a little it is not.
func TestSendTimeout(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}} sndbuf=64k;
        `+http2Listen(t)+`
        send_timeout 1s;
        location / { wsgi_pass kitchen; }
    }`)
	w := n.dial(t)
	require.NoError(t, w.Conn.(*net.TCPConn).SetReadBuffer(16384))
	w.request("GET", "/response/drips/reads-nothing")
	h2 := n.dialH2(t, 1000)
	h2.request("GET", "/response/drips/opens-nothing")
	reader := n.dial(t)
	require.NoError(t, reader.Conn.(*net.TCPConn).SetReadBuffer(16384))
	reader.request("GET", "/response/drips/reads")
	for began := time.Now(); time.Since(began) < 3*time.Second; { // thrice the timeout
		_, err := io.CopyN(io.Discard, reader.r, 100000)
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
	}
	assert.Equal(t, []string{"closed"}, n.notes(t, "reads-nothing", 1))
	assert.Equal(t, []string{"closed"}, n.notes(t, "opens-nothing", 1))
	assert.Empty(t, n.text(t, "/event/notes_of/reads")[2:], "the one that reads goes on")
	_ = reader.Close()
	n.notes(t, "reads", 1)
	n.waitLogTimes(`client timed out`, 2)
}
