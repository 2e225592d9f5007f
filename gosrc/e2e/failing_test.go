//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inContext is what nginx adds to the log lines of a request.
const inContext = `.*client: 127\.0\.0\.1, server: .*, request: "`

// Applications that break the rules before anything was sent: a 500 that says
// nothing to the client, and a line that says what was wrong.
func TestFailsBeforeHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for endpoint, reason := range map[string]string{
		"before":             "ValueError: before the headers, žluť",
		"after_start":        "ValueError: after start_response",
		"at_first":           "ValueError: before the first chunk",
		"no_start":           "start_response",
		"no_start_empty":     "start_response",
		"returns_none":       "None",
		"returns_int":        "int",
		"returns_str":        "str",
		"str_chunk":          "str",
		"none_chunk":         "None",
		"int_chunk":          "int",
		"system_exit":        "SystemExit: an application that exits",
		"keyboard_interrupt": "KeyboardInterrupt",
		"unprintable":        "Unprintable",
		"recursion":          "RecursionError",
		"no_arguments":       "TypeError",
		"exc_not_tuple":      "TypeError",
	} {
		t.Run(endpoint, func(t *testing.T) {
			a := n.get(t, "/failing/"+endpoint)
			assert.Equal(t, 500, a.Status)
			assert.NotContains(t, a.Body, "Traceback")
			n.waitLog(`\[error\].*` + reason)
			n.waitLog(`\[error\]` + inContext + `GET /failing/` + endpoint + ` HTTP`)
		})
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"), "afterwards")
}

// A traceback is logged line by line, with file, line and function.
func TestTracebackInLog(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 500, n.get(t, "/failing/before").Status)
	n.waitLog(`Traceback \(most recent call last\)`)
	n.waitLog(`File ".*/apps/kitchen/failing\.py", line \d+, in before`)
	n.waitLog(`raise ValueError\("before the headers`)
}

// A failure after the headers: the client can tell, whatever the framing.
func TestFailsAfterHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for endpoint, framing := range map[string]framing{
		"late": byChunks, "late_length": byLength, "str_chunk_late": byChunks,
	} {
		t.Run(endpoint, func(t *testing.T) {
			w := n.dial(t)
			r := w.get("/failing/" + endpoint)
			assert.Equal(t, 200, r.Status)
			assert.Equal(t, framing, r.Framing)
			assert.Equal(t, "a part", r.Body)
			assert.True(t, r.cut(), "the response looks complete")
			n.waitLog(`\[error\]` + inContext + `GET /failing/` + endpoint + ` HTTP`)
		})
	}
}

// With a Content-Length that is not met HTTP/1.0 can tell, too.  Without one it
// cannot (RFC 9112, 8): then the client has all that the application gave, as
// a reset would throw away what is still on its way.
func TestFailsAfterHeadersHTTP10(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	w.send("GET /failing/late_length HTTP/1.0\n\n")
	r := w.reply("GET")
	assert.Equal(t, byLength, r.Framing)
	assert.True(t, r.cut())

	w = n.dial(t)
	require.NoError(t, w.Conn.(*net.TCPConn).SetReadBuffer(65536))
	w.send("GET /failing/late_big HTTP/1.0\n\n")
	r = w.head()
	n.waitLog(`after a megabyte`)
	w.body(r, "GET")
	assert.Equal(t, byClose, r.Framing)
	assert.NoError(t, r.Err)
	assert.Len(t, r.Body, 1<<20)
}

// The same behind a front that asks as HTTP/1.0, nginx's default for long.
func TestFailsAfterHeadersHTTP10Front(t *testing.T) {
	t.Parallel()
	back := start(t, backend)
	front := start(t, `
    server {
        listen {{.Addr}};
        location / { proxy_http_version 1.0; proxy_pass http://unix:`+back.Sock+`; }
        location /tcp/ { proxy_http_version 1.0; proxy_pass http://`+back.Addr+`/; }
    }`, withoutModule())
	for _, prefix := range []string{"", "/tcp"} {
		assert.Len(t, front.text(t, prefix+"/failing/late_big"), 1<<20)
	}
}

// askTLS prints how many bytes of a response came, and how it ended.  Clients
// may take a missing close_notify for an end all the same; this one does not.
const askTLS = `
import socket, ssl, sys
context = ssl._create_unverified_context()
context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
host, port, target = sys.argv[1:]
client = context.wrap_socket(socket.create_connection((host, port)), suppress_ragged_eofs=False)
client.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
body = b""
try:
    while data := client.recv(65536):
        body += data
    end = "end"
except ssl.SSLError:
    end = "cut"
print(len(body.partition(b"\r\n\r\n")[2]), end)
`

// TLS has a way to say that no more is to come: it is left out.
func TestFailsAfterHeadersTLS(t *testing.T) {
	t.Parallel()
	n, _ := startHTTP2(t)
	for target, want := range map[string]string{
		"/failing/late_big": "1048576 cut", "/failing/late": "6 cut", "/response/write": "13 end",
	} {
		host, port, err := net.SplitHostPort(n.Addr2)
		require.NoError(t, err)
		out, err := exec.Command(the.python, "-c", askTLS, host, port, target).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, want+"\n", string(out), target)
	}
}

// The error pages of nginx are to be had for what the application fails at,
// and are not put in the place of what it says itself.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        error_page 404 500 502 503 504 /sorry;
        location / { wsgi_pass kitchen; }
        location = /sorry { return 500 "sorry"; }
    }`)
	for _, endpoint := range []string{"before", "after_start", "returns_none", "status?status=oops"} {
		a := n.get(t, "/failing/"+endpoint)
		assert.Equal(t, 500, a.Status, endpoint)
		assert.Equal(t, "sorry", a.Body, endpoint)
	}
	for _, status := range []string{"404", "500", "503"} {
		a := n.get(t, "/failing/status?status="+status+"%20Mine")
		assert.Equal(t, status, fmt.Sprint(a.Status))
		assert.Equal(t, "body", a.Body, status)
	}
}

// Wrong statuses: 500, and none of it on the wire.
func TestBadStatus(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, status := range []string{
		"", "200", "OK", "2000 OK", "20 OK", "abc OK", " 200 OK", "200OK", "-20 OK",
		"200 OK\r\nX-Injected: yes", "200 OK\nX-Injected: yes", "200 OK\r", "200 O\x00K",
		"099 Low", "000 Zero", "100 Continue", "101 Switching Protocols",
	} {
		w := n.dial(t)
		r := w.get("/failing/status?status=" + url.QueryEscape(status))
		assert.Equal(t, 500, r.Status, "%q", status)
		assert.Empty(t, r.values("X-Injected"), "%q", status)
		assert.NotContains(t, r.Body, "Injected")
		require.True(t, r.complete())
		w.needClosed() // as nginx does after every 500
	}
	n.waitLog(`\[error\].*status.*` + inContext + `GET /failing/status`)
}

// Wrong header names and values: the same.
func TestBadHeader(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, query := range []string{
		"value=a%0d%0aX-Injected:%20yes", "value=a%0aX-Injected:%20yes", "value=a%0d",
		"value=a%00b", "value=%00", "value=a%00%0d%0aX-Injected:%20yes",
		"name=X%0d%0aX-Injected", "name=X-Test%3a", "name=", "name=X%20Test",
		"name=X%00Test", "name=X-Test%0a", "name=Caf%e9", "name=X(Test)",
		"wide=name", "wide=value",
		"name=Content-Length&value=abc", "name=Content-Length&value=-1",
		"name=Content-Length&value=%2b4", "name=Content-Length&value=",
		"name=Content-Length&value=4,4", "name=Content-Length&value=0x4",
		"name=Content-Length&value=99999999999999999999",
	} {
		w := n.dial(t)
		r := w.get("/failing/header?" + query)
		assert.Equal(t, 500, r.Status, query)
		assert.Empty(t, r.values("X-Injected"), query)
		assert.NotContains(t, r.Body, "Injected")
		require.True(t, r.complete())
		w.needClosed()
	}
	n.waitLog(`\[error\].*header.*` + inContext + `GET /failing/header`)
}

// A message of its own for each wrong argument of start_response.
func TestBadStartResponse(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for call, reason := range map[string]string{
		"status_bytes":       "status must be str, not bytes",
		"status_none":        "status must be str, not NoneType",
		"status_int":         "status must be str, not int",
		"status_wide":        `status.*U\+00FF`,
		"headers_none":       "headers must be a list, not NoneType",
		"headers_dict":       "headers must be a list, not dict",
		"header_str":         "tuple",
		"header_one":         "tuple",
		"header_three":       "tuple",
		"header_bytes_name":  "header name must be str, not bytes",
		"header_bytes_value": "X-Test must be str, not bytes",
		"header_int":         "X-Test must be str, not int",
		"header_none":        "X-Test must be str, not NoneType",
		"two_lengths":        "Content-Length",
	} {
		a := n.get(t, "/failing/call/"+call)
		assert.Equal(t, 500, a.Status, call)
		n.waitLog(`\[error\].*` + reason)
	}
}
