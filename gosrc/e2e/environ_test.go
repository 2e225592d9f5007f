//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every key that PEP 3333 and the documentation name, with its type.
func TestEnvironKeys(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	host, port, err := net.SplitHostPort(n.Addr)
	require.NoError(t, err)

	e := n.environ(t, "/environ/dump/p%41th?q=%41&r", "X-Own: value")
	for key, want := range map[string]string{
		"REQUEST_METHOD":    "GET",
		"SCRIPT_NAME":       "",
		"PATH_INFO":         "/environ/dump/pAth",
		"QUERY_STRING":      "q=%41&r",
		"REQUEST_URI":       "/environ/dump/p%41th?q=%41&r",
		"RAW_URI":           "/environ/dump/p%41th?q=%41&r",
		"SERVER_NAME":       host,
		"SERVER_PORT":       port,
		"SERVER_PROTOCOL":   "HTTP/1.1",
		"GATEWAY_INTERFACE": "CGI/1.1",
		"REMOTE_ADDR":       "127.0.0.1",
		"HTTP_HOST":         n.Addr,
		"HTTP_X_OWN":        "value",
		"wsgi.url_scheme":   "http",
	} {
		assert.Equal(t, want, e.str(t, key), key)
	}
	assert.Regexp(t, `^nginx/\d`, e.str(t, "SERVER_SOFTWARE"))
	assert.Regexp(t, `^\d+$`, e.str(t, "REMOTE_PORT"))
	assert.Regexp(t, `^[0-9a-f]{32}$`, e.str(t, "nginx.request_id"))

}

func TestEnvironTypes(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	e := n.environ(t, "/environ/dump")
	assert.Equal(t, []any{"tuple", []any{1.0, 0.0}}, e["wsgi.version"])
	for key, want := range map[string]bool{
		"wsgi.multithread":      true,
		"wsgi.multiprocess":     false,
		"wsgi.run_once":         false,
		"wsgi.input_terminated": true,
	} {
		assert.Equal(t, []any{"bool", want}, e[key], key)
	}
	assert.Contains(t, e, "wsgi.input")
	assert.Contains(t, e, "wsgi.errors")
	assert.Equal(t, "float", e["nginx.queue_start"][0])
	for key, value := range e {
		assert.NotEqual(t, "NoneType", value[0], key)
	}
}

func TestEnvironMultiprocess(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, workers(2))
	assert.Equal(t, []any{"bool", true}, n.environ(t, "/environ/dump")["wsgi.multiprocess"])
}

// nginx.queue_start is a time, in seconds, at which the request had arrived.
func TestEnvironQueueStart(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen+`
    server {
        listen {{.Addr2}};
        location / { wsgi_pass queue_start; }
    }`, file("apps/queue_start.py", `
def application(environ, start_response):
    start_response("200 OK", [])
    return [repr(environ["nginx.queue_start"]).encode()]
`))
	before := time.Now()
	w := dialTo(t, "tcp", n.Addr2)
	seconds, err := strconv.ParseFloat(w.get("/").Body, 64)
	require.NoError(t, err)
	after := time.Now()

	at := time.UnixMicro(int64(seconds * 1e6))
	assert.WithinRange(t, at, before.Add(-10*time.Millisecond), after.Add(10*time.Millisecond))
}

// PATH_INFO holds the bytes of the decoded path as latin-1.
func TestEnvironPath(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for target, want := range map[string]string{
		"/%FF":            "/\u00ff",
		"/a%2Fb":          "/a/b",
		"/%C5%BElu%C5%A5": "/\u00c5\u00belu\u00c5\u00a5",
		"/\xc5\xbe":       "/\u00c5\u00be",
		"/%E2%98%83":      "/\u00e2\u0098\u0083",
		"/%80%A0":         "/\u0080\u00a0",
		"/a%20b":          "/a b",
		"/a+b":            "/a+b",
		"/%3Fa%23b%25":    "/?a#b%",
		"/%7F%01":         "/\u007f\u0001",
		"/a/../b/./c//d":  "/b/c/d",
	} {
		w := n.dial(t)
		w.sendRaw("GET /environ/dump" + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		r := w.reply("GET")
		require.Equal(t, 200, r.Status, target)
		var e environ
		decode(t, r.Body, &e)
		assert.Equal(t, "/environ/dump"+want, e.str(t, "PATH_INFO"), target)
	}
}

func TestEnvironPathNul(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	w.request("GET", "/environ/dump/%00")
	assert.Equal(t, 400, w.reply("GET").Status)
}

// The query string and the request's URI are as the client sent them.
func TestEnvironRaw(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct{ target, query string }{
		{"/environ/dump?", ""},
		{"/environ/dump", ""},
		{"/environ/dump?a=%2F&b=+%20&&c", "a=%2F&b=+%20&&c"},
		{"/environ/dump?a?b?c", "a?b?c"},
		{"/environ/%64ump?\xc5\xbe=%C5%BE", "\u00c5\u00be=%C5%BE"},
		{"/environ/./dump?x", "x"},
	} {
		w := n.dial(t)
		w.request("GET", c.target)
		var e environ
		decode(t, w.reply("GET").Body, &e)
		assert.Equal(t, c.query, e.str(t, "QUERY_STRING"), c.target)
		assert.Equal(t, latin1(c.target), e.str(t, "REQUEST_URI"))
		assert.Equal(t, latin1(c.target), e.str(t, "RAW_URI"))
	}
}

// latin1 decodes bytes as Python's latin-1 does.
func latin1(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}

// A rewrite changes PATH_INFO and QUERY_STRING, not REQUEST_URI.
func TestEnvironRewritten(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / {
            rewrite ^/old/(.*)$ /environ/dump/$1?added=1 break;
            wsgi_pass kitchen;
        }
    }`)
	e := n.environ(t, "/old/way%2F?a=b")
	assert.Equal(t, "/environ/dump/way/", e.str(t, "PATH_INFO"))
	assert.Equal(t, "added=1&a=b", e.str(t, "QUERY_STRING"))
	assert.Equal(t, "/old/way%2F?a=b", e.str(t, "REQUEST_URI"))
}

// Headers that clients send, and what becomes of them.
var headerCases = []struct {
	name    string
	headers []string
	want    map[string]string
	not     []string
}{
	{"joined", []string{"X-List: a", "X-List: b", "x-list: c"},
		map[string]string{"HTTP_X_LIST": "a, b, c"}, nil},
	{"known ones joined", []string{"Accept: a", "Accept: b",
		"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2"},
		map[string]string{"HTTP_ACCEPT": "a, b",
			"HTTP_X_FORWARDED_FOR": "1.1.1.1, 2.2.2.2"}, nil},
	{"cookies", []string{"Cookie: a=1", "Cookie: b=2; c=3"},
		map[string]string{"HTTP_COOKIE": "a=1; b=2; c=3"}, nil},
	{"httpoxy", []string{"Proxy: http://evil/", "proxy: x"}, nil, []string{"HTTP_PROXY"}},
	{"underscore first", []string{"X_Foo: forged", "X-Foo: real"},
		map[string]string{"HTTP_X_FOO": "real"}, nil},
	{"underscore last", []string{"X-Foo: real", "X_Foo: forged"},
		map[string]string{"HTTP_X_FOO": "real"}, nil},
	{"underscore alone", []string{"X_Foo: forged"}, nil, []string{"HTTP_X_FOO"}},
	{"underscore of a known one", []string{"X_Forwarded_For: forged", "Content_Length: 7"},
		nil, []string{"HTTP_CONTENT_LENGTH", "HTTP_X_FORWARDED_FOR"}},
	{"content", []string{"Content-Type: text/x", "Content-Length: 0"},
		map[string]string{"CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "0"},
		[]string{"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}},
	{"content with underscores", []string{"Content_Type: text/forged", "Content-Type: text/x"},
		map[string]string{"CONTENT_TYPE": "text/x"}, []string{"HTTP_CONTENT_TYPE"}},
	{"latin", []string{"X-Latin: caf\xe9 \xc5\xbe"},
		map[string]string{"HTTP_X_LATIN": "caf\u00e9 \u00c5\u00be"}, nil},
	{"empty", []string{"X-Empty:"}, map[string]string{"HTTP_X_EMPTY": ""}, nil},
	{"case and digits", []string{"x-MiXed-2: v"}, map[string]string{"HTTP_X_MIXED_2": "v"}, nil},
	{"authorization", []string{"Authorization: Basic eDp5"},
		map[string]string{"HTTP_AUTHORIZATION": "Basic eDp5"}, nil},
}

// In this server nginx's own filter for underscores is off.
func TestEnvironHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, `
    underscores_in_headers on;
    ignore_invalid_headers off;`+kitchen)

	for _, c := range headerCases {
		t.Run(c.name, func(t *testing.T) {
			w := n.dial(t)
			r := w.get("/environ/dump", c.headers...)
			require.Equal(t, 200, r.Status)
			var e environ
			decode(t, r.Body, &e)
			for key, want := range c.want {
				assert.Equal(t, want, e.str(t, key))
			}
			for _, key := range c.not {
				assert.NotContains(t, e, key)
			}
		})
	}
}

func TestEnvironNoContentHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	e := n.environ(t, "/environ/dump")
	for _, key := range []string{"CONTENT_TYPE", "CONTENT_LENGTH"} {
		if value, found := e[key]; found {
			assert.Equal(t, []any{"str", ""}, value, key)
		}
	}
}

func TestEnvironMethods(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "CUSTOM"} {
		var e environ
		decode(t, n.do(t, method, "/environ/dump", nil).Body, &e)
		assert.Equal(t, method, e.str(t, "REQUEST_METHOD"))
	}
}

func TestEnvironServerName(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; server_name a.example *.b.example; location / { wsgi_pass kitchen; } }
    server { listen {{.Addr}}; server_name c.example; location / { wsgi_pass kitchen; } }`)
	for host, want := range map[string]string{
		"a.example": "a.example", "c.example:8000": "c.example", "unknown": "a.example",
	} {
		e := n.environ(t, "/environ/dump", "Host: "+host)
		assert.Equal(t, host, e.str(t, "HTTP_HOST"))
		assert.Equal(t, want, e.str(t, "SERVER_NAME"))
	}
}

// environ is a plain dict, the application's own, new for each request.
func TestEnvironIsOwn(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen)
	for range 3 {
		assert.Equal(t, "true", n.text(t, "/environ/is_dict"))
		assert.Equal(t, "[false, false]", n.text(t, "/environ/fresh"))
	}
	e := n.environ(t, "/environ/dump")
	assert.Contains(t, e, "SERVER_NAME")
	assert.NotContains(t, e, "test.own")
}

func TestEnvironStreams(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	var streams map[string][]string
	n.json(t, &streams, "/environ/methods")
	assert.Equal(t, []string{"read", "readline", "readlines", "__iter__"}, streams["input"])
	assert.Equal(t, []string{"flush", "write", "writelines"}, streams["errors"])
}

// Each request has an id of its own, which nginx's log can have too.
func TestEnvironRequestID(t *testing.T) {
	t.Parallel()
	n := start(t, `log_format id $request_id; access_log {{.Dir}}/ids id;`+kitchen)
	seen := map[string]bool{}
	for range 5 {
		seen[n.environ(t, "/environ/dump").str(t, "nginx.request_id")] = true
	}
	assert.Len(t, seen, 5)
	n.wait("the access log", func() bool {
		ids := readFile(n.Dir + "/ids")
		for id := range seen {
			if !strings.Contains(ids, id) {
				return false
			}
		}
		return true
	})
}

// Many headers, some of them long: more than any first buffer.
func TestEnvironManyHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, "large_client_header_buffers 16 32k;"+kitchen)
	var headers []string
	for i := range 300 {
		headers = append(headers, fmt.Sprintf("X-Header-%d: %s", i, strings.Repeat("v", i)))
	}
	e := n.environ(t, "/environ/dump?"+strings.Repeat("q", 20000), headers...)
	for i := range 300 {
		assert.Equal(t, strings.Repeat("v", i), e.str(t, fmt.Sprintf("HTTP_X_HEADER_%d", i)))
	}
	assert.Len(t, e.str(t, "QUERY_STRING"), 20000)
}
