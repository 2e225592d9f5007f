//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// environ is what /environ/dump tells: [type, value] by key.
type environ map[string][]any

// str returns an entry that has to be a str.
func (e environ) str(t *testing.T, key string) string {
	t.Helper()
	require.Contains(t, e, key)
	require.Equal(t, "str", e[key][0], key)
	return e[key][1].(string)
}

func (n *instance) environ(t *testing.T, target string, headers ...string) environ {
	t.Helper()
	var e environ
	n.json(t, &e, target, headers...)
	return e
}

const dumper = `import json

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({
        key: [type(value).__name__,
              value if isinstance(value, (str, bool, int)) else None]
        for key, value in environ.items()}).encode()]
`

const paramServer = `
    wsgi_python_path {{.Apps}};
    wsgi_param FROM_HTTP http;
    server {
        listen {{.Addr}};
        location /inherited { wsgi_pass dumper; }
        location /own {
            set $own "of nginx";
            wsgi_param PLAIN text;
            wsgi_param VARIABLE "$own, $request_method and $remote_addr";
            wsgi_param ARGUMENT $arg_a;
            wsgi_param EMPTY "";
            wsgi_param EMPTY_VARIABLE $arg_nothing;
            wsgi_param ABSENT $arg_nothing if_not_empty;
            wsgi_param PRESENT $arg_a if_not_empty;
            wsgi_param SERVER_NAME overridden;
            wsgi_param HTTP_X_OWN changed;
            wsgi_param PATH_INFO /elsewhere;
            wsgi_param nginx.custom dotted;
            wsgi_param TWICE first;
            wsgi_param TWICE second;
            wsgi_pass dumper;
        }
    }`

// Each location has its own wsgi_param directives.
func TestParam(t *testing.T) {
	t.Parallel()
	n := start(t, paramServer, file("apps/dumper.py", dumper))

	assert.Equal(t, "http", n.environ(t, "/inherited").str(t, "FROM_HTTP"))

	e := n.environ(t, "/own?a=%C5%BE", "X-Own: client")
	for key, want := range map[string]string{
		"PLAIN":          "text",
		"VARIABLE":       "of nginx, GET and 127.0.0.1",
		"ARGUMENT":       "%C5%BE",
		"EMPTY":          "",
		"EMPTY_VARIABLE": "",
		"PRESENT":        "%C5%BE",
		"SERVER_NAME":    "overridden",
		"HTTP_X_OWN":     "changed",
		"PATH_INFO":      "/elsewhere",
		"nginx.custom":   "dotted",
		"TWICE":          "second",
	} {
		assert.Equal(t, want, e.str(t, key), key)
	}
	assert.NotContains(t, e, "ABSENT")
	assert.NotContains(t, e, "FROM_HTTP", "as proxy_set_header, a level of its own replaces")
}

const scriptNameServer = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass dumper; }
        location /off { wsgi_script_name off; wsgi_pass dumper; }
        location /auto { wsgi_script_name auto; wsgi_pass dumper; }
        location /slash/ { wsgi_script_name auto; wsgi_pass dumper; }
        location /deep/er/ { wsgi_script_name auto; wsgi_pass dumper; }
        location = /exact { wsgi_script_name auto; wsgi_pass dumper; }
        location /fixed { wsgi_script_name /fixed; wsgi_pass dumper; }
        location /fix/ed { wsgi_script_name /fix; wsgi_pass dumper; }
        location /other { wsgi_script_name /mounted; wsgi_pass dumper; }
    }
    server {
        listen {{.Addr2}};
        wsgi_script_name auto;
        location / { wsgi_pass dumper; }
    }`

// The three forms of wsgi_script_name.
func TestScriptName(t *testing.T) {
	t.Parallel()
	n := start(t, scriptNameServer, file("apps/dumper.py", dumper))

	for _, c := range []struct{ target, script, path string }{
		{"/", "", "/"},
		{"/a/b", "", "/a/b"},
		{"/off", "", "/off"},
		{"/off/a", "", "/off/a"},
		{"/auto", "/auto", ""},
		{"/auto/", "/auto", "/"},
		{"/auto/a%2Fb", "/auto", "/a/b"},
		{"/slash/", "/slash", "/"},
		{"/slash/a", "/slash", "/a"},
		{"/deep/er/a", "/deep/er", "/a"},
		{"/exact", "/exact", ""},
		{"/fixed", "/fixed", ""},
		{"/fixed/a", "/fixed", "/a"},
		{"/fix/ed/a", "/fix", "/ed/a"},
	} {
		e := n.environ(t, c.target)
		assert.Equal(t, c.script, e.str(t, "SCRIPT_NAME"), "SCRIPT_NAME of %s", c.target)
		assert.Equal(t, c.path, e.str(t, "PATH_INFO"), "PATH_INFO of %s", c.target)
	}

	w := dialTo(t, "tcp", n.Addr2)
	var e environ
	decode(t, w.get("/a").Body, &e)
	assert.Equal(t, "", e.str(t, "SCRIPT_NAME"), "auto in location /")
	assert.Equal(t, "/a", e.str(t, "PATH_INFO"))
}

// An auto prefix of /auto is not one of /automatic: then it is as if off.
func TestScriptNameOnlyAtSegment(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location /auto { wsgi_script_name auto; wsgi_pass dumper; }
        location /fixed { wsgi_script_name /fixed; wsgi_pass dumper; }
    }`, file("apps/dumper.py", dumper))

	for _, target := range []string{"/automatic/a", "/fixedly"} {
		e := n.environ(t, target)
		assert.Equal(t, target, e.str(t, "SCRIPT_NAME")+e.str(t, "PATH_INFO"))
		assert.Empty(t, e.str(t, "SCRIPT_NAME"), target)
	}
}

const passServer = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /environ/dump/headers { wsgi_pass_request_headers off; wsgi_pass kitchen; }
        location /environ/dump/auth { wsgi_pass_authorization off; wsgi_pass kitchen; }
        location /environ/dump/body { wsgi_pass_request_body off; wsgi_pass kitchen; }
        location /body/echo/off { wsgi_pass_request_body off; wsgi_pass kitchen; }
    }`

func TestPassRequestHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, passServer)
	headers := []string{"X-Own: 1", "Cookie: a=b", "Authorization: Basic eDp5",
		"Content-Type: text/x"}

	e := n.environ(t, "/environ/dump", headers...)
	assert.Equal(t, "1", e.str(t, "HTTP_X_OWN"))
	assert.Equal(t, "Basic eDp5", e.str(t, "HTTP_AUTHORIZATION"))

	e = n.environ(t, "/environ/dump/headers", headers...)
	for key := range e {
		assert.NotContains(t, key, "HTTP_")
	}
	assert.Equal(t, "/environ/dump/headers", e.str(t, "PATH_INFO"))

	e = n.environ(t, "/environ/dump/auth", headers...)
	assert.NotContains(t, e, "HTTP_AUTHORIZATION")
	assert.Equal(t, "1", e.str(t, "HTTP_X_OWN"))
}

func TestPassRequestBody(t *testing.T) {
	t.Parallel()
	n := start(t, passServer)

	assert.Equal(t, "a body", n.post(t, "/body/echo", "a body").Body)
	assert.Equal(t, "", n.post(t, "/body/echo/off", "a body").Body)

	var e environ
	decode(t, n.post(t, "/environ/dump/body", "a body").Body, &e)
	if length, found := e["CONTENT_LENGTH"]; found {
		assert.Contains(t, []any{"", "0"}, length[1])
	}
}
