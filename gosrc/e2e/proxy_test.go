//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// backend is the dedicated WSGI instance on a UNIX socket.
const backend = `
    wsgi_python_path {{.Apps}};
    set_real_ip_from unix:;
    real_ip_header X-Forwarded-For;
    server {
        listen unix:{{.Sock}};
        listen {{.Addr}};
        server_name www.example;
        location / {
            wsgi_param wsgi.url_scheme $http_x_forwarded_proto if_not_empty;
            wsgi_pass kitchen;
        }
        location = /nginx { return 200 "nginx"; }
    }`

func frontOf(sock string) string {
	return `
    upstream wsgi { server unix:` + sock + `; keepalive 8; }
    server {
        listen {{.Addr}};
        location / {
            proxy_pass http://wsgi;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_buffering off;
        }
        location = /static { return 200 "static"; }
    }`
}

// twoInstances starts the recommended deployment.
func twoInstances(t *testing.T) (front, back *instance) {
	t.Helper()
	back = start(t, backend)
	front = start(t, frontOf(back.Sock), withoutModule(), allowFDs(8))
	return front, back
}

// The application sees the client and its URL, not the proxy.
func TestTwoInstancesEnviron(t *testing.T) {
	t.Parallel()
	front, _ := twoInstances(t)

	e := front.environ(t, "/environ/dump/a%2Fb?q=%20", "Host: www.example:8443",
		"X-Forwarded-For: 192.0.2.7")
	assert.Equal(t, "www.example:8443", e.str(t, "HTTP_HOST"))
	assert.Equal(t, "www.example", e.str(t, "SERVER_NAME"))
	assert.Regexp(t, `^\d+$`, e.str(t, "SERVER_PORT"))
	assert.Equal(t, "127.0.0.1", e.str(t, "REMOTE_ADDR"), "the front's own client")
	assert.Equal(t, "192.0.2.7, 127.0.0.1", e.str(t, "HTTP_X_FORWARDED_FOR"))
	assert.Equal(t, "https", e.str(t, "wsgi.url_scheme"))
	assert.Equal(t, "/environ/dump/a/b", e.str(t, "PATH_INFO"))
	assert.Equal(t, "/environ/dump/a%2Fb?q=%20", e.str(t, "REQUEST_URI"))
}

// Without realip a client at a UNIX socket has an address that is none, and
// the server has a name and a port all the same.
func TestUnixSocketEnviron(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen unix:{{.Sock}}; listen {{.Addr}}; location / { wsgi_pass kitchen; } }`)
	w := dialTo(t, "unix", n.Sock)
	var e environ
	decode(t, w.get("/environ/dump").Body, &e)
	assert.Equal(t, "unix:", e.str(t, "REMOTE_ADDR"))
	assert.NotEmpty(t, e.str(t, "SERVER_NAME"))
	assert.Regexp(t, `^\d+$`, e.str(t, "SERVER_PORT"), "wsgiref and others take int() of it")
	if port, found := e["REMOTE_PORT"]; found {
		assert.Contains(t, []any{"", "0"}, port[1])
	}
}

// Everything that matters works through the front: bodies both ways, streams,
// failures, and one connection for many requests.
func TestTwoInstancesServe(t *testing.T) {
	t.Parallel()
	front, back := twoInstances(t)

	before := openFDs(back.worker())
	for range 50 {
		assert.Equal(t, "plain", front.text(t, "/response/plain"))
	}
	assert.LessOrEqual(t, len(before.grown(openFDs(back.worker()))), 2,
		"the front's connections are kept alive")

	large := strings.Repeat("0123456789", 100000)
	assert.Equal(t, 200, front.post(t, "/body/echo", large[:900000]).Status)
	assert.Equal(t, 500, front.get(t, "/failing/before").Status)
	assert.Equal(t, 204, front.get(t, "/framing/no_body/204").Status)
	assert.Equal(t, []string{"a=1; Path=/", "b=2", "c=3"},
		front.get(t, "/headers/cookies").Header.Values("Set-Cookie"))
	assert.Equal(t, "static", front.text(t, "/static"))

	w := front.dial(t)
	r := w.get("/failing/late")
	assert.True(t, r.cut(), "a cut response has to stay one behind the front")
}

// Chunks pass the front as they are made.
func TestTwoInstancesStream(t *testing.T) {
	t.Parallel()
	front, back := twoInstances(t)
	w := front.dial(t)
	w.request("GET", "/response/chunks/"+name(t))
	w.head()
	w.needChunk("one")
	back.setEvent(t, name(t)+"-2")
	w.needChunk("two")
	back.setEvent(t, name(t)+"-3")
	w.needChunk("three")
}

// A client that leaves the front leaves the application too.
func TestTwoInstancesClientVanishes(t *testing.T) {
	t.Parallel()
	front, back := twoInstances(t)
	w := front.dial(t)
	w.request("GET", "/closing/vanishes/"+name(t))
	w.head()
	w.needChunk("first")
	w.abort()
	back.setEvent(t, name(t))
	assert.Equal(t, []string{"closed"}, back.notes(t, name(t), 1))
}

// One nginx that does both works too.
func TestOneInstance(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    upstream wsgi { server unix:{{.Sock}}; keepalive 8; }
    server {
        listen {{.Addr}};
        location / {
            proxy_pass http://wsgi;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
        location /direct/ { rewrite ^/direct(.*) $1 break; wsgi_pass kitchen; }
        location /apps/ { alias {{.Apps}}/; }
    }
    server { listen unix:{{.Sock}}; location / { wsgi_pass kitchen; } }`, workers(2))
	for range 20 {
		require.Equal(t, "plain", n.text(t, "/response/plain"))
		require.Equal(t, "plain", n.text(t, "/direct/response/plain"))
	}
	assert.Contains(t, n.text(t, "/apps/kitchen/common.py"), "SPDX")
	n.client.CloseIdleConnections()
	n.reload() // closes what the upstreams keep
}
