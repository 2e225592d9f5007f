//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Locations of every kind behind one gate, which the header X-Gate opens.
const accessServer = `
    log_format who '$request_uri $status user=$remote_user app=$wsgi_app gate=$wsgi_status';
    access_log {{.Dir}}/who.log who;
    wsgi_python_path {{.Apps}};
    wsgi_access gate:check;
    wsgi_timeout 5s;
    server {
        listen {{.Addr}};
        root {{.Dir}}/www;
        location / { wsgi_pass kitchen; }
        location /static/ { }
        location /indexed/ { index index.txt; }
        location /proxied/ {
            proxy_set_header X-User $remote_user;
            proxy_pass http://{{.Addr2}}/environ/dump/;
        }
        location /open/ { wsgi_access off; wsgi_pass kitchen; }
        location = /login { wsgi_access off; return 200 "log in"; }
        location = /body/unread {
            wsgi_access off;
            limit_except GET { wsgi_access gate:check; }
            wsgi_pass kitchen;
        }
        location /hasty/ { wsgi_timeout 300ms; wsgi_pass kitchen; }
        location /failing/ {
            error_page 500 502 =500 /open/oops;
            wsgi_pass kitchen;
        }
        location /kind/ { error_page 401 /login; }
        location /broken/ { wsgi_access no.such.module; }
        location = /again { wsgi_access off; error_page 500 = @again; wsgi_pass kitchen; }
        location @again { }
        location /missing/ { try_files $uri @kitchen; }
        location @kitchen { wsgi_access off; wsgi_pass kitchen; }
        location /hidden/ {
            wsgi_pass_authorization off;
            rewrite ^/hidden(.*) $1 break;
            wsgi_pass kitchen;
        }
    }
    server {
        listen {{.Addr2}};
        wsgi_access off;
        location / { wsgi_pass kitchen; }
    }`

func startAccess(t *testing.T, opts ...option) *instance {
	t.Helper()
	return start(t, accessServer, append([]option{
		file("www/static/page", "static"),
		file("www/indexed/index.txt", "index"),
		unreadableFor("no.such.module"),
	}, opts...)...)
}

// unreadableFor accepts that an application of the configuration cannot be
// imported.
func unreadableFor(target string) option {
	return allowLog(`application "` + target)
}

// A 2xx lets the request on, to whatever answers it; its body is not used.
func TestAccessAllows(t *testing.T) {
	t.Parallel()
	n := startAccess(t)
	for _, gate := range []string{"allow", "allow max", "body"} {
		for target, want := range map[string]string{
			"/response/plain": "plain", "/static/page": "static", "/indexed/": "index",
		} {
			a := n.get(t, target, "X-Gate: "+gate)
			assert.Equal(t, 200, a.Status, "%s %s", gate, target)
			assert.Equal(t, want, a.Body, "%s %s", gate, target)
			assert.Empty(t, a.Header.Get("X-Lost"))
		}
		assert.Equal(t, 304, n.get(t, "/static/page", "X-Gate: "+gate, "If-None-Match: *").Status)
	}
}

// REMOTE_USER is what the gate says, whatever the client says of itself.
func TestAccessRemoteUser(t *testing.T) {
	t.Parallel()
	n := startAccess(t)
	const claim = "Authorization: Basic YWRtaW46eA==" // admin:x

	for i, headers := range [][]string{nil, {claim}, nil, {claim}} {
		named := append([]string{"X-Gate: " + []string{"allow", "writes"}[i/2] + " J\xf6rg"}, headers...)
		for _, target := range []string{"/environ/dump", "/missing/../environ/dump"} {
			assert.Equal(t, "J\u00f6rg", n.environ(t, target, named...).str(t, "REMOTE_USER"))
		}
		e := n.environ(t, "/proxied/", named...)
		assert.Equal(t, "J\u00f6rg", e.str(t, "HTTP_X_USER"), "$remote_user")
		assert.NotContains(t, e, "REMOTE_USER", "of another server")

		nameless := append([]string{"X-Gate: allow"}, headers...)
		assert.NotContains(t, n.environ(t, "/environ/dump", nameless...), "REMOTE_USER")
		assert.NotContains(t, n.environ(t, "/environ/dump", append(nameless, "Remote-User: x")...),
			"REMOTE_USER", "a header is none")
	}
	assert.Equal(t, "static", n.text(t, "/static/page", "X-Gate: allow max", claim))
	assert.Equal(t, "index", n.text(t, "/indexed/", "X-Gate: allow moritz"))
	assert.Equal(t, 401, n.get(t, "/static/page?refused").Status)

	n.waitAccessLog(`/static/page 200 user=max app=gate:check gate=204`)
	n.waitAccessLog(`/indexed/ 200 user=moritz app=gate:check gate=204`)
	n.waitAccessLog(`/static/page?refused 401 user=- app=gate:check gate=401`)
	n.waitAccessLog(`/environ/dump 200 user=J\xF6rg app=kitchen gate=200`)
}

func (n *instance) waitAccessLog(line string) {
	n.t.Helper()
	n.wait(line, func() bool {
		return strings.Contains(readFile(filepath.Join(n.Dir, "who.log")), line+"\n")
	})
}

// Who the client is outlives a redirect into a location that does not ask.
func TestAccessUserOutlivesRedirects(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_access gate:check; try_files /nothing @app; }
        location @app { wsgi_pass kitchen; }
        location = /environ/dump { internal; wsgi_access gate:check; wsgi_pass kitchen; }
        location = /page {
            wsgi_access gate:check;
            ssi on;
            ssi_types *;
            root {{.Dir}};
        }
    }`, file("page", `<!--# include virtual="/environ/dump" -->`))
	for _, target := range []string{"/environ/dump/x", "/page"} {
		e := n.environ(t, target, "X-Gate: allow max")
		assert.Equal(t, "max", e.str(t, "REMOTE_USER"), target)
		assert.NotContains(t, n.environ(t, target, "X-Gate: allow"), "REMOTE_USER", target)
	}
}

// Any other response is the answer, whole, and the location is not reached.
func TestAccessRefuses(t *testing.T) {
	t.Parallel()
	n := startAccess(t)
	for _, target := range []string{"/event/set/reached", "/static/page", "/proxied/", "/indexed/"} {
		a := n.get(t, target)
		assert.Equal(t, 401, a.Status, target)
		assert.Equal(t, `Bearer realm="gate"`, a.Header.Get("WWW-Authenticate"))
		assert.Equal(t, "closed", a.Header.Get("X-Gate"))
		assert.Equal(t, "who are you?", a.Body)

		a = n.get(t, target, "X-Gate: forbid")
		assert.Equal(t, 403, a.Status, target)
		assert.Equal(t, "not you", a.Body)

		a = n.get(t, target, "X-Gate: login")
		assert.Equal(t, 302, a.Status)
		assert.Equal(t, "/login?"+strings.TrimSuffix(target, "index.txt"), a.Header.Get("Location"))

		a = n.get(t, target, "X-Gate: pieces")
		assert.Equal(t, 429, a.Status)
		assert.Len(t, a.Body, 1000000)

		assert.Empty(t, n.do(t, "HEAD", target, nil).Body)
	}
	w := n.dial(t)
	assert.Equal(t, "Who Are You", w.get("/static/page").Reason)
	assert.Equal(t, "static", w.get("/static/page", "X-Gate: allow").Body, "on the same connection")
	assert.Equal(t, 401, n.get(t, "/kind/").Status, "error_page is for nginx's own answers")

	assert.Equal(t, "log in", n.text(t, "/login"))
	assert.NotContains(t, readFile(filepath.Join(n.Dir, "who.log")), "app=kitchen")
}

// The gate sees the request, but not its body, which goes on as it came.
func TestAccessBody(t *testing.T) {
	t.Parallel()
	n := startAccess(t)
	large := strings.Repeat("0123456789", 100000)

	var seen struct {
		Environ map[string]string
		Body    string
	}
	a := n.post(t, "/hidden/x?q=1", "a body", "X-Gate: show", "Content-Type: text/x", "Authorization: Bearer t")
	require.Equal(t, 403, a.Status)
	require.NoError(t, json.Unmarshal([]byte(a.Body), &seen))
	assert.Empty(t, seen.Body)
	assert.NotContains(t, seen.Environ, "CONTENT_LENGTH")
	assert.Equal(t, "text/x", seen.Environ["CONTENT_TYPE"])
	assert.Equal(t, "POST", seen.Environ["REQUEST_METHOD"])
	assert.Equal(t, "/x", seen.Environ["PATH_INFO"])
	assert.Equal(t, "q=1", seen.Environ["QUERY_STRING"])
	assert.Equal(t, "Bearer t", seen.Environ["HTTP_AUTHORIZATION"], "it is there to check it")

	a = n.post(t, "/again", "a body", "X-Gate: show")
	require.NoError(t, json.Unmarshal([]byte(a.Body), &seen))
	assert.Empty(t, seen.Body, "not even one that another location has read")
	assert.Equal(t, "POST", seen.Environ["REQUEST_METHOD"])

	e := n.environ(t, "/hidden/environ/dump", "X-Gate: allow", "Authorization: Bearer t")
	assert.NotContains(t, e, "HTTP_AUTHORIZATION", "it is hidden from the other")

	for _, text := range []string{"a body", large} {
		for _, chunked := range []bool{false, true} {
			a := n.do(t, "POST", "/body/echo", body(text, chunked), "X-Gate: allow")
			assert.Equal(t, sha256.Sum256([]byte(text)), sha256.Sum256([]byte(a.Body)))
			assert.Equal(t, 401, n.do(t, "POST", "/body/echo", body(text, chunked)).Status)
		}
	}
	w := n.dial(t)
	w.send("POST /body/echo HTTP/1.1\nHost: x\nContent-Length: 10\n\n01234")
	assert.Equal(t, 401, w.reply("POST").Status, "before the body is here")
	w.sendRaw("56789")
	assert.Equal(t, "plain", w.get("/response/plain", "X-Gate: allow").Body)

	w = n.dial(t)
	w.send("POST /body/echo HTTP/1.1\nHost: x\nContent-Length: 10\nExpect: 100-continue\n\n")
	assert.Equal(t, 401, w.reply("POST").Status, "a body that is not wanted is not asked for")
}

// Where it applies.
func TestAccessScope(t *testing.T) {
	t.Parallel()
	n := startAccess(t)
	assert.Equal(t, 500, n.get(t, "/open/x").Status, "off: the kitchen itself, which has no such page")
	assert.Equal(t, "unread", n.text(t, "/body/unread"))
	assert.Equal(t, 401, n.post(t, "/body/unread", "x").Status, "limit_except")
	assert.Equal(t, "unread", n.post(t, "/body/unread", "x", "X-Gate: allow").Body)
}

// Nobody is let in because the gate does not work.
func TestAccessFails(t *testing.T) {
	t.Parallel()
	n := startAccess(t)

	for _, target := range []string{"/static/page", "/response/plain"} {
		assert.Equal(t, 500, n.get(t, target, "X-Gate: fail").Status, target)
		for _, name := range []string{`7`, `null`, `"\u017d"`, `"a\r\nb"`} {
			assert.Equal(t, 500, n.get(t, target, "X-Gate: name "+name).Status, "%s %s", target, name)
		}
	}
	n.waitLog(`application "gate:check" raised ValueError: the gate is stuck in call`)
	n.waitLog(`REMOTE_USER must be str, not int`)

	assert.Equal(t, 500, n.get(t, "/broken/").Status)
	n.waitLog(`application "no.such.module" cannot be loaded: No module named 'no'`)

	needTime(t, 300*time.Millisecond, func() {
		assert.Equal(t, 504, n.get(t, "/hasty/response/plain", "X-Gate: sleep 1").Status)
	}, func() { n.text(t, "/response/plain", "X-Gate: allow") })
	assert.Equal(t, "plain", n.text(t, "/response/plain", "X-Gate: allow"), "afterwards")
}

// While a gate thinks, the loop and other requests go on; a client that goes
// is noticed, and takes its request out of the queue.
func TestAccessOffTheLoop(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_threads 1;
    wsgi_pool gates threads=1 queue=1;
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
        location /guarded {
            wsgi_access gate:check;
            wsgi_use_pool gates;
            root {{.Dir}};
        }
    }`)
	sign := filepath.Join(n.Var, "sign")

	held := n.dial(t)
	held.request("GET", "/guarded/held", "X-Gate: hold "+sign)
	n.wait("the gate", func() bool { return exists(sign + ".held") })
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))

	queued := n.dial(t)
	assert.Equal(t, "nginx", queued.get("/nginx").Body, "accepted, so that it is the first")
	queued.request("GET", "/guarded/queued", "X-Gate: fail")
	needRetryAfter(t, n.get(t, "/guarded", "X-Gate: fail"))
	queued.abort()
	n.waitLog(`client prematurely closed connection.*GET /guarded/queued`)
	held.abort()
	n.waitLog(`client prematurely closed connection.*GET /guarded/held`)

	require.NoError(t, os.WriteFile(sign, nil, 0o644))
	n.wait("the end", func() bool { return exists(sign + ".done") })
	assert.Contains(t, n.get(t, "/guarded", "X-Gate: show").Body, `"thread": "gates`)
	assert.NotContains(t, n.log(), "the gate is stuck", "it has left the queue")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// nginx's checks come first, and "satisfy" means what it says.
func TestAccessSatisfy(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        wsgi_access gate:check;
        location = /all/denied { deny all; }
        location = /all/basic { `+basic+` try_files /www/in =404; }
        location = /any/denied { satisfy any; deny all; try_files /www/in =404; }
        location = /any/allowed { satisfy any; allow all; try_files /www/in =404; }
        location = /any/basic { satisfy any; `+basic+` try_files /www/in =404; }
        location = /any/asked { satisfy any; auth_request /denied; try_files /www/in =404; }
        location = /denied { return 403; }
        root {{.Dir}};
    }`, file("www/in", "in"), file("passwords", "max:{PLAIN}secret\n"))
	const password = "Authorization: Basic bWF4OnNlY3JldA==" // max:secret

	for _, c := range []struct {
		target, headers string
		status          int
		body            string
	}{
		{"/all/denied", "X-Gate: fail", 403, "<html>"},
		{"/all/basic", "X-Gate: fail", 401, "<html>"},
		{"/all/basic", password, 401, "who are you?"},
		{"/all/basic", password + "|X-Gate: allow", 200, "in"},
		{"/any/allowed", "X-Gate: fail", 200, "in"},
		{"/any/denied", "X-Gate: allow", 200, "in"},
		{"/any/denied", "", 401, "who are you?"},
		{"/any/denied", "X-Gate: forbid", 403, "not you"},
		{"/any/denied", "X-Gate: login", 302, ""},
		{"/any/denied", "X-Gate: fail", 500, "<html>"},
		{"/any/basic", password + "|X-Gate: fail", 200, "in"},
		{"/any/basic", "X-Gate: allow", 200, "in"},
		{"/any/basic", "X-Gate: forbid", 401, "<html>"},
		{"/any/basic", "", 401, "who are you?"},
		{"/any/asked", "X-Gate: allow", 200, "in"},
		{"/any/asked", "X-Gate: forbid", 403, "not you"},
	} {
		var headers []string
		if c.headers != "" {
			headers = strings.Split(c.headers, "|")
		}
		a := n.get(t, c.target, headers...)
		assert.Equal(t, c.status, a.Status, "%s %s", c.target, c.headers)
		assert.True(t, strings.HasPrefix(a.Body, c.body), "%s %s: %s", c.target, c.headers, a.Body)
	}
	assert.Len(t, n.get(t, "/any/basic").Header.Values("WWW-Authenticate"), 2, "one of each")
	assert.Empty(t, n.get(t, "/any/basic", "X-Gate: allow").Header.Values("WWW-Authenticate"))
	assert.Equal(t, 1, n.countLog("the gate is stuck in call"), "others have not asked it")
}

const basic = `auth_basic here; auth_basic_user_file {{.Dir}}/passwords;`

// The same over HTTP/2, many at once.
func TestAccessHTTP2(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t, "wsgi_access gate:check;")
	errs := make(chan error, 40)
	for i := range 40 {
		go func() { errs <- accessHTTP2(n, client, i) }()
	}
	for range 40 {
		assert.NoError(t, <-errs)
	}
}

func accessHTTP2(n *instance, client *http.Client, i int) error {
	text := strings.Repeat(fmt.Sprint(i), 20000)
	gate, status, want := "allow max", 200, text
	if i%2 == 1 {
		gate, status, want = "forbid", 403, "not you"
	}
	req, err := http.NewRequest("POST", "https://"+n.Addr2+"/body/echo", strings.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-Gate", gate)
	a, err := exchange(client, req)
	if err == nil && (a.Status != status || a.Body != want) {
		err = fmt.Errorf("stream %d: %d, %d bytes", i, a.Status, len(a.Body))
	}
	return err
}

func TestAccessConfig(t *testing.T) {
	t.Parallel()
	for conf, says := range map[string]string{
		"wsgi_access a:b; wsgi_access c:d;":            `"wsgi_access" directive is duplicate`,
		"wsgi_access off; wsgi_access c:d;":            `"wsgi_access" directive is duplicate`,
		"wsgi_access;":                                 `invalid number of arguments in "wsgi_access"`,
		"wsgi_access a b;":                             `a callable can follow the path of a script only`,
		"wsgi_access a-b;":                             `invalid application "a-b"`,
		"wsgi_access $arg_a;":                          `cannot be named by variables`,
		inLocation("if ($arg_a) { wsgi_access a:b; }"): `is not allowed here`,
		"server { location ~ x { wsgi_script_name auto; wsgi_access a:b; } }": `"wsgi_script_name auto" has no prefix`,
	} {
		out, ok := check(t, conf)
		assert.False(t, ok, conf)
		assert.Contains(t, out, says, conf)
	}
	out, ok := check(t, "wsgi_access {{.Apps}}/gate.py check;"+inLocation("wsgi_access off;"))
	assert.True(t, ok, out)
}
