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

// A request that nginx cannot parse has no method, no URI or no protocol, and
// comes to the application all the same: by error_page to a path or to a named
// location, and by wsgi_access, if only a static page is the answer.  Each
// entry that PEP 3333 asks for is there.

const unparsedServer = `
    wsgi_python_path {{.Apps}};
    client_header_buffer_size 1k;
    large_client_header_buffers 2 2k;
    keepalive_timeout 0;
    lingering_timeout 50ms;
    server {
        server_name path;
        listen {{.Addr}};
        LISTEN2
        error_page 400 404 405 413 414 494 497 501 505 =200 /environ/dump;
        location / { return 404; }
        location /environ/ { wsgi_pass kitchen; }
    }
    server {
        listen unix:{{.Dir}}/named.sock;
        error_page 400 404 405 413 414 494 497 501 505 =200 @named;
        location / { return 404; }
        location @named { wsgi_pass kitchen.environ:dump; }
    }
    server {
        listen unix:{{.Dir}}/access.sock;
        wsgi_access layers;
        error_page 400 404 405 413 414 494 497 501 505 =200 /page;
        location / { return 404; }
        location = /page { root {{.Dir}}; }
    }
    server {
        listen unix:{{.Dir}}/both.sock;
        wsgi_access gate:check;
        error_page 400 401 404 405 413 414 494 497 501 505 =200 /environ/dump;
        location / { return 404; }
        location /environ/ { wsgi_access layers; wsgi_pass kitchen; }
    }`

// unparsed are requests of HTTP/1 that go wrong at each step of nginx's
// parser, and what becomes of their line.
var unparsed = map[string]struct{ method, uri, protocol string }{
	"x\r\n\r\n": {"GET", "", "HTTP/1.0"},
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": {"GET", "", "HTTP/1.0"},
	"GET\r\n\r\n":                                                                {"GET", "", "HTTP/1.0"},
	"GET  /\r\n":                                                                 {"GET", "/", "HTTP/0.9"},
	"GET /x\r\n":                                                                 {"GET", "/x", "HTTP/0.9"},
	"get / HTTP/1.1\r\n\r\n":                                                     {"GET", "", "HTTP/1.0"},
	"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n":                                      {"GET", "", "HTTP/1.1"},
	"POST /../x HTTP/1.1\r\nHost: a\r\n\r\n":                                     {"GET", "", "HTTP/1.1"},
	"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n":                                       {"GET", "", "HTTP/1.1"},
	"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n":                                       {"GET", "", "HTTP/1.1"},
	"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n":                                      {"GET", "", "HTTP/1.0"},
	"GET / HTTP/9.1\r\nHost: a\r\n\r\n":                                          {"GET", "", "HTTP/1.0"},
	"GET / HTTP/1.1x\r\nHost: a\r\n\r\n":                                         {"GET", "", "HTTP/1.0"},
	"GET / HTTX/1.1\r\nHost: a\r\n\r\n":                                          {"GET", "", "HTTP/1.0"},
	"GET http://b/../x HTTP/1.1\r\nHost: a\r\n\r\n":                              {"GET", "", "HTTP/1.1"},
	"GET http://b:x/ HTTP/1.1\r\nHost: a\r\n\r\n":                                {"GET", "", "HTTP/1.0"},
	"GET http://b HTTP/9.1\r\nHost: a\r\n\r\n":                                   {"GET", "", "HTTP/1.0"},
	"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n":                                    {},
	"GET * HTTP/1.1\r\nHost: a\r\n\r\n":                                          {"GET", "", "HTTP/1.0"},
	"CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n":                                   {},
	"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n":                                        {"GET", "/", "HTTP/1.1"},
	"GET / HTTP/1.1\r\n\r\n":                                                     {"GET", "/", "HTTP/1.1"},
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                               {"GET", "/", "HTTP/1.1"},
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                                        {"GET", "/", "HTTP/1.1"},
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n":                               {"GET", "/", "HTTP/1.1"},
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n":                 {"GET", "/", "HTTP/1.1"},
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n":                    {"GET", "/", "HTTP/1.1"},
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n":              {"GET", "/", "HTTP/1.1"},
	"GET /" + strings.Repeat("x", 3000) + " HTTP/1.1\r\n\r\n":                    {"GET", "", "HTTP/1.0"},
	"GET http://b/" + strings.Repeat("x", 3000) + " HTTP/1.1\r\n\r\n":            {"GET", "", "HTTP/1.0"},
	"GET /y HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 3000) + "\r\n\r\n": {"GET", "/y", "HTTP/1.1"},
	strings.Repeat("X", 3000) + " / HTTP/1.1\r\n\r\n":                            {"GET", "", "HTTP/1.0"},
	"HEAD /../x HTTP/1.1\r\nHost: a\r\n\r\n":                                     {"HEAD", "", "HTTP/1.1"},
}

func startUnparsed(t *testing.T) *instance {
	t.Helper()
	return start(t, strings.Replace(unparsedServer, "LISTEN2", http2Listen(t), 1),
		file("page", "static"))
}

// required fails unless environ has what PEP 3333 asks for.
func (e environ) required(t *testing.T, what string) {
	t.Helper()
	for _, key := range []string{
		"REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme",
	} {
		assert.NotEmpty(t, e.str(t, key), "%s: %s", what, key)
	}
	for _, key := range []string{
		"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI", "REMOTE_ADDR",
	} {
		assert.Contains(t, e, key, what)
	}
	if host, found := e["HTTP_HOST"]; found {
		assert.NotEqual(t, "", host[1], what)
	}
}

// bodyOf is what follows the head of a response, if it has one.
func bodyOf(all []byte) string {
	text := string(all)
	if !strings.HasPrefix(text, "HTTP/") {
		return text
	}
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	return body
}

func TestUnparsed(t *testing.T) {
	t.Parallel()
	n := startUnparsed(t)
	ask := func(t *testing.T, network, addr, text string) string {
		t.Helper()
		w := dialTo(t, network, addr)
		w.sendRaw(text)
		all, err := io.ReadAll(w.r)
		require.NoError(t, err, "%.40q", text)
		return bodyOf(all)
	}
	for text, want := range unparsed {
		body := ask(t, "tcp", n.Addr, text)
		if want.method == "HEAD" {
			assert.Empty(t, body)
			continue
		}
		var e environ
		decode(t, body, &e)
		e.required(t, text)
		if want.method == "" { // nginx's releases differ
			continue
		}
		assert.Equal(t, want.method, e.str(t, "REQUEST_METHOD"), "%.40q", text)
		assert.Equal(t, want.uri, e.str(t, "REQUEST_URI"), "%.40q", text)
		assert.Equal(t, want.protocol, e.str(t, "SERVER_PROTOCOL"), "%.40q", text)

		for _, sock := range []string{"named", "both", "access"} {
			body = ask(t, "unix", n.Dir+"/"+sock+".sock", text)
			assert.NotEmpty(t, body, "%s %.40q", sock, text)
		}
	}
}

// unparsedFields are requests of HTTP/2 and HTTP/3, which are lists of fields.
func unparsedFields() [][]field {
	const method, scheme, path, host = ":method", ":scheme", ":path", ":authority"
	return [][]field{
		{{scheme, "http"}, {path, "/"}, {host, "a"}},
		{{method, ""}, {scheme, "http"}, {path, "/"}, {host, "a"}},
		{{method, "get"}, {scheme, "http"}, {path, "/"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, ""}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "x"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/../x"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/%zz"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/\x00"}, {host, "a"}},
		{{method, "GET"}, {path, "/"}, {host, "a"}},
		{{method, "GET"}, {scheme, ""}, {path, "/"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {host, "a/b"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {host, "b"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {path, "/"}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {":x", "y"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {"UPPER", "x"}},
		{{method, "POST"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {"content-length", "x"}},
		{{method, "POST"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {"content-length", "9999999"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/" + strings.Repeat("x", 9000)}, {host, "a"}},
		{{method, "GET"}, {scheme, "http"}, {path, "/"}, {host, "a"}, {"x", strings.Repeat("x", 9000)}},
		{{"x", "y"}},
	}
}

func TestUnparsedHTTP2(t *testing.T) {
	t.Parallel()
	n := startUnparsed(t)
	for _, fields := range unparsedFields() {
		w := n.dialH2(t, 1<<20)
		r := w.response(w.headers(fields, true))
		if r.End != h2done { // nginx has ended the stream, or the connection
			assert.NotEqual(t, h2open, r.End, "%.80q", fields)
			continue
		}
		if r.Status == 200 {
			var e environ
			decode(t, r.Body, &e)
			e.required(t, "HTTP/2")
			assert.Equal(t, "HTTP/2.0", e.str(t, "SERVER_PROTOCOL"))
		}
	}
	assert.Contains(t, n.get(t, "/environ/dump").Body, "REQUEST_METHOD", "it serves")
}

func TestUnparsedHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t, `
        error_page 400 404 405 413 414 494 501 505 =200 /environ/dump;
        wsgi_access layers;
        client_max_body_size 10;`)
	for _, fields := range unparsedFields() {
		c := n.dialH3(t, 0)
		r, err := c.response(c.request(fields, "", true))
		if err != nil || r.Status != 200 {
			continue // nginx has ended the stream, or the connection
		}
		var e environ
		decode(t, r.Body, &e)
		e.required(t, "HTTP/3")
		assert.Equal(t, "HTTP/3.0", e.str(t, "SERVER_PROTOCOL"))
	}
	c := n.dialH3(t, 0)
	r, err := c.response(c.request(requestFields("GET", "/environ/dump"), "", true))
	require.NoError(t, err)
	assert.Contains(t, r.Body, "REQUEST_METHOD", "it serves")
}
