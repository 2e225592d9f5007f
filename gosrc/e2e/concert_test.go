//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nginx's own directives around applications, and applications as what those
// directives refer to.

const authorized = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location = /auth/yes {
            rewrite ^ "/accel/answer?status=204%20Yes&X-User=ann&body=" break;
            wsgi_pass kitchen;
        }
        location = /auth/streams {
            rewrite ^ "/accel/generator?status=200%20Yes&body=ignored" break;
            wsgi_pass kitchen;
        }
        location = /auth/who {
            rewrite ^ "/accel/answer?status=401%20Who&WWW-Authenticate=Basic%20realm" break;
            wsgi_pass kitchen;
        }
        location = /auth/no { rewrite ^ "/accel/answer?status=403%20No" break; wsgi_pass kitchen; }
        location = /auth/late { rewrite ^ /failing/late break; wsgi_pass kitchen; }
        location /yes/ {
            auth_request /auth/yes;
            auth_request_set $user $sent_http_x_user;
            rewrite ^/yes(.*) $1 break;
            wsgi_param REMOTE_USER $user if_not_empty;
            wsgi_pass kitchen;
        }
        location /streams/ { auth_request /auth/streams; rewrite ^/streams(.*) $1 break; wsgi_pass kitchen; }
        location /late/ { auth_request /auth/late; rewrite ^/late(.*) $1 break; wsgi_pass kitchen; }
        location /who/ { auth_request /auth/who; wsgi_pass kitchen; }
        location /no/ { auth_request /auth/no; wsgi_pass kitchen; }
        location /broken/ { auth_request /failing/before; wsgi_pass kitchen; }
        location /reads/ { auth_request /rubbish/called/auth; rewrite ^/reads(.*) $1 break; wsgi_pass kitchen; }
    }`

// An application that decides for auth_request, for another application.
func TestAuthRequest(t *testing.T) {
	t.Parallel()
	n := start(t, authorized)
	w := n.dial(t)
	var e environ
	decode(t, w.get("/yes/environ/dump").Body, &e)
	assert.Equal(t, "ann", e.str(t, "REMOTE_USER"))

	for target, status := range map[string]int{
		"/yes/response/plain": 200, "/streams/response/plain": 200, "/late/response/plain": 200,
		"/who/x": 401, "/no/x": 403,
	} {
		assert.Equal(t, status, w.get(target).Status, target)
	}
	assert.Equal(t, "Basic realm", w.get("/who/x").get(t, "WWW-Authenticate"))
	assert.Equal(t, 500, n.get(t, "/broken/x").Status)

	a := n.post(t, "/reads/body/echo", "a body")
	assert.Equal(t, "a body", a.Body, "it is for the application, not for the one that decides")
	assert.Equal(t, []string{"called"}, n.notes(t, "auth", 1))
	a = n.post(t, "/reads/body/echo", strings.Repeat("large", 50000))
	assert.Len(t, a.Body, 250000)
}

const mirrored = `
    wsgi_python_path {{.Apps}};
    wsgi_timeout 500ms;
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_timeout 0; wsgi_pass kitchen; }
        location /a/ { mirror /rubbish/called/a; rewrite ^/a(.*) $1 break; wsgi_pass kitchen; }
        location /late/ { mirror /failing/late; rewrite ^/late(.*) $1 break; wsgi_pass kitchen; }
        location /fails/ { mirror /failing/before; rewrite ^/fails(.*) $1 break; wsgi_pass kitchen; }
        location /hangs/ { mirror /rubbish/waits/never; rewrite ^/hangs(.*) $1 break; wsgi_pass kitchen; }
        location /streams/ { mirror "/response/big?size=100000&count=50"; rewrite ^/streams(.*) $1 break; wsgi_pass kitchen; }
    }`

// An application gets a copy, with the body, and whatever becomes of it does
// not touch the response.
func TestMirror(t *testing.T) {
	t.Parallel()
	n := start(t, mirrored)

	assert.Equal(t, "body", n.post(t, "/a/body/echo", "body").Body)
	assert.Equal(t, "body", n.post(t, "/a/body/echo", "body").Body)
	assert.Equal(t, []string{"called", "called"}, n.notes(t, "a", 2))
	large := strings.Repeat("0123456789", 10000)
	assert.Equal(t, large, n.post(t, "/a/body/echo", large).Body)
	n.notes(t, "a", 3)

	for i, prefix := range []string{"/late", "/fails", "/streams", "/hangs"} {
		w := n.dial(t)
		r := w.get(prefix + "/framing/generator")
		assert.Equal(t, "hello", r.Body, prefix)
		assert.True(t, r.complete(), prefix)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "%d: the connection lives on", i)
	}
	n.waitLog(`made no progress`)
}

const fragments = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /pages/ { ssi on; alias {{.Dir}}/pages/; default_type text/html; }
        location /ssi/ { ssi on; ssi_types text/plain; wsgi_script_name /ssi; wsgi_pass kitchen; }
    }`

// Fragments of applications in a static page: in their order, whichever is
// ready first, and whatever becomes of one of them.
func TestSSI(t *testing.T) {
	t.Parallel()
	include := func(target string) string { return `<!--# include virtual="` + target + `" -->` }
	n := start(t, fragments,
		file("pages/order", "["+include("/rubbish/waits/first")+"|"+include("/response/plain")+"]"),
		file("pages/large", "["+include("/response/big?size=1000000&count=4")+"|"+include("/response/write")+"]"),
		file("pages/fails", "["+include("/failing/before")+"|"+include("/response/plain")+"]"),
		file("pages/cut", "["+include("/failing/late")+"|"+include("/response/plain")+"]"),
		file("pages/redirects", "["+include("/accel/answer?X-Accel-Redirect=/response/plain")+"]"),
		file("pages/set", `<!--# include virtual="/response/plain" set="x" -->[<!--# echo var="x" -->]`),
		file("pages/app", "["+include("/ssi/accel/generator?Content-Type=text/html&body=")+"]"))

	w := n.dial(t)
	w.request("GET", "/pages/order")
	n.setEvent(t, "first")
	assert.Equal(t, "[waited|plain]", w.reply("GET").Body)
	assert.Equal(t, "["+strings.Repeat("x", 4000000)+"|one,two,three]", w.get("/pages/large").Body)
	assert.Equal(t, "[plain]", w.get("/pages/redirects").Body)
	assert.Equal(t, "[plain]", w.get("/pages/set").Body)
	assert.Equal(t, "[ and more]", w.get("/pages/app").Body)
	assert.Regexp(t, `(?s)^\[.*500 Internal Server Error.*\|plain\]$`, w.get("/pages/fails").Body)
	assert.True(t, n.dial(t).get("/pages/cut").cut())

	// the page itself is an application's, and made piece by piece
	page := "/ssi/accel/generator?" + query("Content-Type: text/html",
		"body: ["+include("/rubbish/waits/second")+"|"+include("/environ/dump?q=1")+"]")
	w.request("GET", page)
	n.setEvent(t, "second")
	r := w.reply("GET")
	assert.Regexp(t, `(?s)^\[waited\|.*"q=1".*\] and more$`, r.Body)
	assert.Equal(t, "plain", w.get("/response/plain").Body)
}

// An application makes the pages for nginx's own errors.
func TestErrorPageByApplication(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    client_max_body_size 10;
    server {
        listen {{.Addr}};
        error_page 403 /accel/answer?body=forbidden;
        error_page 404 = /accel/answer?body=found&status=210%20Found;
        error_page 413 /environ/dump;
        error_page 418 = @method;
        location / { wsgi_pass kitchen; }
        location /static/ { alias {{.Dir}}/static/; }
        location = /denied { deny all; }
        location = /tea { return 418; }
        location @method { wsgi_param PATH_INFO /environ/dump; wsgi_pass kitchen; }
    }`)
	a := n.get(t, "/denied")
	assert.Equal(t, []any{403, "forbidden"}, []any{a.Status, a.Body})
	a = n.get(t, "/static/none")
	assert.Equal(t, []any{210, "found"}, []any{a.Status, a.Body})

	var e environ
	a = n.post(t, "/body/echo", "more than ten bytes")
	assert.Equal(t, 413, a.Status)
	decode(t, a.Body, &e)
	assert.Equal(t, "GET", e.str(t, "REQUEST_METHOD"))
	assert.Equal(t, "0", e.str(t, "CONTENT_LENGTH"), "nobody has read that body")

	decode(t, n.post(t, "/tea", "12345").Body, &e)
	assert.Equal(t, "POST", e.str(t, "REQUEST_METHOD"))
}

// What nginx refuses, Python does not see.
func TestRefusedBeforePython(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    limit_req_zone $binary_remote_addr zone=req:1m rate=1r/m;
    limit_conn_zone $binary_remote_addr zone=conn:1m;
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /small/ { client_max_body_size 10; rewrite ^/small(.*) $1 break; wsgi_pass kitchen; }
        location /inside/ { internal; rewrite ^/inside(.*) $1 break; wsgi_pass kitchen; }
        location /rated/ { limit_req zone=req; limit_req_status 429; rewrite ^/rated(.*) $1 break; wsgi_pass kitchen; }
        location /one/ { limit_conn conn 1; rewrite ^/one(.*) $1 break; wsgi_pass kitchen; }
        location /any/ {
            satisfy any;
            deny all;
            auth_basic "any";
            auth_basic_user_file {{.Dir}}/htpasswd;
            rewrite ^/any(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /files/ { root {{.Dir}}; try_files $uri @app; }
        location @app { rewrite ^/files(.*) $1 break; wsgi_pass kitchen; }
    }`, file("htpasswd", "ann:{PLAIN}secret\n"), file("files/there", "static"))

	assert.Equal(t, 413, n.post(t, "/small/rubbish/called/x", "more than ten bytes").Status)
	assert.Equal(t, 413, n.do(t, "POST", "/small/rubbish/called/x", body("more than ten bytes", true)).Status)
	assert.Equal(t, "fits", n.post(t, "/small/rubbish/called/x", "fits").Body)
	assert.Equal(t, 404, n.get(t, "/inside/rubbish/called/x").Status)
	assert.Equal(t, 200, n.get(t, "/rated/rubbish/called/x").Status)
	assert.Equal(t, 429, n.get(t, "/rated/rubbish/called/x").Status)
	assert.Equal(t, 401, n.get(t, "/any/rubbish/called/x").Status)
	assert.Equal(t, 200, n.get(t, "/any/rubbish/called/x", "Authorization: Basic YW5uOnNlY3JldA==").Status)
	assert.Equal(t, []string{"called", "called", "called"}, n.notes(t, "x", 3))

	w := n.dial(t)
	w.request("GET", "/one/response/chunks/"+name(t))
	w.head()
	assert.Equal(t, 503, n.get(t, "/one/rubbish/called/x").Status)
	w.abort()
	n.wait("the connection's end", func() bool { return n.get(t, "/one/response/plain").Status == 200 })
	assert.Len(t, n.notes(t, "x", 3), 3)

	assert.Equal(t, "static", n.text(t, "/files/there"))
	assert.Equal(t, "plain", n.text(t, "/files/response/plain"))
	n.setEvent(t, name(t)+"-2")
}

// Filters that change bodies, and the pace of clients.
func TestFilters(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Real;
        location / { wsgi_pass kitchen; }
        location /sub/ {
            sub_filter plain replaced;
            sub_filter_once off;
            sub_filter_types text/plain;
            rewrite ^/sub(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /gzip/ { gzip on; gzip_types text/plain; gzip_vary on; rewrite ^/gzip(.*) $1 break; wsgi_pass kitchen; }
        location /slow/ { limit_rate 20k; rewrite ^/slow(.*) $1 break; wsgi_pass kitchen; }
    }`)
	assert.Equal(t, "replaced", n.text(t, "/sub/response/plain"))
	a := n.get(t, "/gzip/response/big?size=100000&count=20", "Accept-Encoding: gzip")
	assert.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	assert.Equal(t, "Accept-Encoding", a.Header.Get("Vary"))
	assert.Less(t, len(a.Body), 20000)

	begun := time.Now()
	for _, shape := range []string{"size=80000&count=1", "size=800&count=100"} {
		assert.Len(t, n.text(t, "/slow/response/big?"+shape), 80000)
	}
	assert.Greater(t, time.Since(begun), 2*900*time.Millisecond)

	var e environ
	n.json(t, &e, "/environ/dump", "X-Real: 192.0.2.7")
	assert.Equal(t, "192.0.2.7", e.str(t, "REMOTE_ADDR"))
}

// A cache in the front does what the application says.
func TestCacheInFront(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    proxy_cache_path {{.Dir}}/cache keys_zone=front:1m;
    server {
        listen {{.Addr}};
        location / {
            proxy_pass http://unix:{{.Sock}};
            proxy_cache front;
            add_header X-Cache $upstream_cache_status;
        }
    }
    server {
        listen unix:{{.Sock}};
        wsgi_pass_header X-Accel-Expires;
        location / { wsgi_pass kitchen; }
    }`, allowFDs(8))

	for i, c := range []struct {
		headers []string
		second  string
	}{
		{nil, "MISS"},
		{[]string{"Cache-Control: max-age=60"}, "HIT"},
		{[]string{"Cache-Control: private, max-age=60"}, "MISS"},
		{[]string{"Cache-Control: max-age=60", "Set-Cookie: a=1"}, "MISS"},
		{[]string{"Expires: Thu, 01 Dec 2094 16:00:00 GMT"}, "HIT"},
		{[]string{"X-Accel-Expires: 60"}, "HIT"},
		{[]string{"X-Accel-Expires: 0", "Cache-Control: max-age=60"}, "MISS"},
		{[]string{"Cache-Control: max-age=60", "Vary: *"}, "MISS"},
	} {
		target := described(append(c.headers, fmt.Sprint("body: ", i))...)
		assert.Equal(t, "MISS", n.get(t, target).Header.Get("X-Cache"))
		a := n.get(t, target)
		assert.Equal(t, c.second, a.Header.Get("X-Cache"), c.headers)
		assert.Equal(t, fmt.Sprint(i), a.Body)
		assert.Empty(t, a.Header.Get("X-Accel-Expires"))
	}
}

// The same over HTTP/2 and TLS.
func TestConcertHTTP2(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	n := start(t, `
    ssl_certificate {{.Dir}}/cert.pem;
    ssl_certificate_key {{.Dir}}/key.pem;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        listen {{.Addr2}} ssl http2;
        error_page 404 /response/plain;
        location / { wsgi_pass kitchen; wsgi_intercept_errors on; client_max_body_size 100; }
        location /again/ { internal; wsgi_script_name /again; wsgi_pass kitchen; }
        location /gzip/ { gzip on; gzip_types text/plain; rewrite ^/gzip(.*) $1 break; wsgi_pass kitchen; }
        location /auth/ { auth_request /response/plain; rewrite ^/auth(.*) $1 break; wsgi_pass kitchen; }
        location /pages/ { ssi on; alias {{.Dir}}/pages/; default_type text/html; }
    }`, cert, key, file("pages/a", `[<!--# include virtual="/response/plain" -->|<!--# include virtual="/response/write" -->]`))
	client := newClient()
	client.Transport = &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}
	t.Cleanup(client.CloseIdleConnections)

	for target, want := range map[string]string{
		described("X-Accel-Redirect: /again/response/write"): "one,two,three",
		described("status: 404 No"):                          "plain",
		"/auth/response/write":                               "one,two,three",
		"/pages/a":                                           "[plain|one,two,three]",
		described(`ETag: "a"`, "Cache-Control: private"):     "body",
	} {
		a, err := http2Do(t, n, client, "GET", target, nil)
		require.NoError(t, err, target)
		assert.Equal(t, want, a.Body, target)
	}
	a, err := http2Do(t, n, client, "POST", "/rubbish/called/x", strings.NewReader(strings.Repeat("x", 101)))
	require.NoError(t, err)
	assert.Equal(t, 413, a.Status)
	a, err = http2Do(t, n, client, "GET", "/rubbish/headers?count=1000&size=100", nil)
	require.NoError(t, err)
	assert.Len(t, a.Header.Get("X-Number-999"), 100)
}
