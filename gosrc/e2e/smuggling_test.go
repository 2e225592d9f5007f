//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smuggled is what an attacker wants to be taken for a request of its own.
const smuggled = "GET /rubbish/called/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// What must be refused, whatever follows it.
var refusedFraming = []string{
	"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
	"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
	"Content-Length: +5\r\n\r\n",
	"Content-Length: -5\r\n\r\n",
	"Content-Length: 5 5\r\n\r\n",
	"Content-Length: 0, 5\r\n\r\n",
	"Content-Length: 0x5\r\n\r\n",
	"Content-Length: 5.0\r\n\r\n",
	"Content-Length: \xb2\r\n\r\n",
	"Content-Length:\r\n\r\n",
	"Content-Length: 9223372036854775808\r\n\r\n",
	"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
	"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"X: a\x00b\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nhello\r\n0\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
}

// Since 1.21.1; older ones ignore such a line as a whole.
var refusedSince21 = []string{
	"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"X: a\r\n\tContent-Length: 5\r\n\r\n",
	"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"Content-Length : 5\r\n\r\n",
	" Content-Length: 5\r\n\r\n",
	"Transfer\x01-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

// What is odd, but can be read in one way only, and the body that it has.
var oddFraming = map[string]string{
	"Content-Length: 5\n\nhello":                                                    "hello",
	"Content-Length:   5  \r\n\r\nhello":                                            "hello",
	"Content-Length: 005\r\n\r\nhello":                                              "hello",
	"content-length: 5\r\n\r\nhello":                                                "hello",
	"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":                     "hello",
	"Transfer-Encoding: chunked\r\n\r\n0005;a=\"b\r\nhello\r\n0;x\r\n\r\n":          "hello",
	"Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\n":                   "hello",
	"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n":             "hello",
	"X_Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello":                "hello",
	"Content_Length: 9\r\nContent-Length: 5\r\n\r\nhello":                           "hello",
	"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n":              "0\r\n\r\n",
	"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello":                  "hello",
	fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled):            smuggled,
	fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n", chunkOf(smuggled)): smuggled,
}

// smugglers are ways to the application: itself, through a front whose
// connections are kept alive, and with a body that is not waited for.
const smugglers = `
    wsgi_python_path {{.Apps}};
    upstream wsgi { server unix:{{.Sock}}; keepalive 1; }
    server {
        listen {{.Addr}};
        listen unix:{{.Sock}};
        location / { wsgi_pass kitchen; }
        location /stream/ { wsgi_request_buffering off; wsgi_script_name /stream; wsgi_pass kitchen; }
    }
    server {
        listen {{.Addr2}};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / { proxy_pass http://wsgi; }
        location /front/ { proxy_request_buffering off; proxy_pass http://wsgi/stream/; }
    }`

// eachWay runs a test for each of the ways.
func eachWay(t *testing.T, n *instance, test func(t *testing.T, addr, prefix string)) {
	for way, at := range map[string][2]string{
		"direct": {n.Addr, ""}, "streamed": {n.Addr, "/stream"},
		"front": {n.Addr2, ""}, "streamed through front": {n.Addr2, "/front"},
	} {
		t.Run(way, func(t *testing.T) { test(t, at[0], at[1]) })
	}
}

// The framing of a request is what nginx says it is, or there is no request:
// one answer, nothing behind it, and the application has not been called.
func TestSmugglingRefused(t *testing.T) {
	t.Parallel()
	n := start(t, smugglers, allowFDs(2))
	attacks := refusedFraming
	if nginxMinor(t) > 21 {
		attacks = append(attacks, refusedSince21...)
	}
	eachWay(t, n, func(t *testing.T, addr, prefix string) {
		for _, text := range attacks {
			w := dialTo(t, "tcp", addr)
			w.sendRaw("POST " + prefix + "/rubbish/called/refused HTTP/1.1\r\nHost: a\r\n" + text + smuggled)
			all, err := io.ReadAll(w.r)
			if len(all) == 0 {
				require.NoError(t, err, "%q", text)
			}
			assert.Regexp(t, `^HTTP/1.1 (400|413|501) `, string(all), "%q", text)
			assert.Equal(t, 1, strings.Count(string(all), "HTTP/1.1 "), "%q", text)
		}
	})
	var smuggled []any
	n.json(t, &smuggled, "/event/notes_of/smuggled")
	assert.Empty(t, smuggled)
}

// What is odd and clear is read to its end, and the next request is the next.
func TestSmugglingNot(t *testing.T) {
	t.Parallel()
	n := start(t, smugglers, allowFDs(2))
	eachWay(t, n, func(t *testing.T, addr, prefix string) {
		for text, body := range oddFraming {
			w := dialTo(t, "tcp", addr)
			w.sendRaw("POST " + prefix + "/rubbish/called/odd HTTP/1.1\r\nHost: a\r\n" + text)
			r := w.reply("POST")
			assert.Equal(t, 200, r.Status, "%q", text)
			assert.Equal(t, body, r.Body, "%q", text)
			assert.Equal(t, "plain", w.get(prefix+"/response/plain").Body, "%q", text)
		}
	})
	var smuggled []any
	n.json(t, &smuggled, "/event/notes_of/smuggled")
	assert.Empty(t, smuggled)
}
