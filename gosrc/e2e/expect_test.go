//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A body that is wrong, or too large, and was read because the application had
// asked for it ends its request and its connection.  (That no descriptor is left
// is looked at when the test ends.)
func TestExpectWrongBody(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		body   string
		status int
	}{
		// more framing than data: nginx's buffer is read twice at once, and
		// what is wrong is in the second
		"wrong chunk": {strings.Repeat("1\r\na\r\n", 1800) + "zz\r\n", 400},
		"too large":   {strings.Repeat("1\r\na\r\n", 2000), 413},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := start(t, "client_body_buffer_size 8k;"+strings.Replace(streaming,
				"client_max_body_size 0;", "client_max_body_size 1900;", 1))
			w := n.dial(t)
			w.request("POST", "/streaming/digest", "Expect: 100-continue",
				"Transfer-Encoding: chunked")
			w.sendRaw(c.body)
			r := w.head()
			if r.Status == 100 {
				r = w.head()
			}
			w.body(r, "POST")
			assert.Equal(t, c.status, r.Status)
			w.needClosed()
		})
	}
}

// What is sent goes on although a body is read, for the first time, meanwhile.
func TestExpectWhileSending(t *testing.T) {
	t.Parallel()
	for _, buffering := range []string{"on", "off"} {
		t.Run(buffering, func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_buffering "+buffering+";"+streaming)
			const size, count = 1 << 16, 400
			w := n.dialSlow(t)
			w.request("POST", "/streaming/late/400",
				"Expect: 100-continue", "Content-Length: 5")
			r := w.head()
			require.Equal(t, 200, r.Status)
			body := w.content(r)
			first := make([]byte, 5)
			_, err := io.ReadFull(body, first)
			require.NoError(t, err)
			assert.Equal(t, "first", string(first))
			w.sendRaw("hello")
			needBlocks(t, body, size, 0, count)
			needEnd(t, body)
		})
	}
}
