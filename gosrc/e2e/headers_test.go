//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// described makes the target of a response with these "Name: value" headers;
// "status" and "body" are names, too.
func described(headers ...string) string {
	return "/accel/answer?" + query(headers...)
}

func query(headers ...string) string {
	pairs := make([]string, len(headers))
	for i, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		pairs[i] = url.QueryEscape(name) + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	return strings.Join(pairs, "&")
}

const redirects = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /inside/ { internal; alias {{.Dir}}/inside/; }
        location /again/ { internal; wsgi_pass kitchen; wsgi_script_name /again; }
        location /ignored/ {
            rewrite ^/ignored(.*) $1 break;
            wsgi_ignore_headers X-Accel-Redirect;
            wsgi_pass kitchen;
        }
        location /hides/ {
            rewrite ^/hides(.*) $1 break;
            wsgi_hide_header Set-Cookie;
            wsgi_pass kitchen;
        }
        location @named { return 200 "named $request_method $uri"; }
        location @app { wsgi_pass kitchen; }
    }`

// X-Accel-Redirect: the response of another location instead, with the headers
// that a proxy would keep, and not the others.
func TestAccelRedirect(t *testing.T) {
	t.Parallel()
	n := start(t, redirects, file("inside/file.txt", "from the file"))

	a := n.get(t, described("X-Accel-Redirect: /inside/file.txt", "Set-Cookie: a=1", "Set-Cookie: b=2",
		"Content-Type: text/x-own", "Content-Disposition: attachment", "Cache-Control: private",
		"Expires: Thu, 01 Dec 1994 16:00:00 GMT", "X-Other: dropped", "ETag: dropped", "status: 404 No"))
	assert.Equal(t, 200, a.Status)
	assert.Equal(t, "from the file", a.Body)
	assert.Equal(t, []string{"a=1", "b=2"}, a.Header.Values("Set-Cookie"))
	assert.Equal(t, "text/x-own", a.Header.Get("Content-Type"))
	assert.Equal(t, "attachment", a.Header.Get("Content-Disposition"))
	assert.Equal(t, "private", a.Header.Get("Cache-Control"))
	assert.Equal(t, []string{"Thu, 01 Dec 1994 16:00:00 GMT"}, a.Header.Values("Expires"))
	assert.Empty(t, a.Header.Get("X-Other"))
	assert.Empty(t, a.Header.Get("X-Accel-Redirect"))
	assert.NotEqual(t, "dropped", a.Header.Get("ETag"))

	assert.Equal(t, 404, n.get(t, "/inside/file.txt").Status, "it is internal")
	assert.Equal(t, 206, n.get(t, described("X-Accel-Redirect: /inside/file.txt"), "Range: bytes=0-3").Status)
	assert.Equal(t, 404, n.get(t, described("X-Accel-Redirect: /inside/none")).Status)
	assert.Empty(t, n.get(t, "/hides"+described("X-Accel-Redirect: /inside/file.txt", "Set-Cookie: a=1")).
		Header.Values("Set-Cookie"))

	a = n.get(t, "/ignored"+described("X-Accel-Redirect: /inside/file.txt"))
	assert.Equal(t, "body", a.Body)
	assert.Empty(t, a.Header.Get("X-Accel-Redirect"), "it is hidden all the same")
}

// The targets: named locations, applications, and those that are no targets.
func TestAccelRedirectTargets(t *testing.T) {
	t.Parallel()
	n := start(t, redirects, file("inside/file.txt", "from the file"), allowLog("unsafe URI"))

	w := n.dial(t)
	for to, want := range map[string]string{
		"@named":                  "named GET /accel/answer",
		"/again/response/plain":   "plain",
		"/again/environ/dump?a=b": `"a=b"`,
		"/inside/file.txt":        "from the file",
	} {
		assert.Contains(t, w.get(described("X-Accel-Redirect: "+to)).Body, want, to)
	}

	w.request("HEAD", described("X-Accel-Redirect: /inside/file.txt"))
	assert.Equal(t, "13", w.reply("HEAD").get(t, "Content-Length"))

	w.send("POST " + described("X-Accel-Redirect: /again/body/echo") + " HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello")
	r := w.reply("POST")
	assert.Equal(t, "hello", r.Body, "the body is still there, the method is GET")
	w.send("POST " + described("X-Accel-Redirect: @named") + " HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello")
	assert.Equal(t, "named POST /accel/answer", w.reply("POST").Body)

	assert.Equal(t, 404, w.get(described("X-Accel-Redirect: /inside/../../nginx.conf")).Status)
	assert.Equal(t, 404, w.get(described("X-Accel-Redirect: ")).Status)
	n.waitLog("unsafe URI")
	assert.Equal(t, 500, n.get(t, described("X-Accel-Redirect: @nowhere")).Status)
	assert.Equal(t, 500, n.get(t, described("X-Accel-Redirect: @app")).Status, "a cycle ends")
	n.waitLog("rewrite or internal redirection cycle")
}

// The body that nginx does not want is not asked for, and closed at once.
func TestAccelRedirectDropsBody(t *testing.T) {
	t.Parallel()
	n := start(t, redirects, file("inside/file.txt", "from the file"))

	assert.Equal(t, "from the file", n.text(t, "/accel/redirected/"+name(t)+"?to=/inside/file.txt"))
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
	assert.Zero(t, n.countLog("Traceback"))
}

const acted = `
    wsgi_python_path {{.Apps}};
    gzip_min_length 1;
    gzip_types text/plain;
    charset_map koi8-r utf-8 { C1 D0B0; }
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /gzip/ { gzip on; rewrite ^/gzip(.*) $1 break; wsgi_pass kitchen; }
        location /charset/ {
            charset utf-8;
            override_charset on;
            charset_types text/html text/plain;
            rewrite ^/charset(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /expires/ { expires 1h; rewrite ^/expires(.*) $1 break; wsgi_pass kitchen; }
        location /addition/ {
            add_after_body /response/plain;
            addition_types text/x-add;
            rewrite ^/addition(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /quiet/ {
            rewrite ^/quiet(.*) $1 break;
            wsgi_ignore_headers X-Accel-Limit-Rate X-Accel-Charset X-Accel-Buffering;
            wsgi_pass kitchen;
        }
    }`

// What nginx's filters read of a response is what the application said.
func TestHeadersForFilters(t *testing.T) {
	t.Parallel()
	n := start(t, acted)
	get := func(prefix string, headers ...string) *answer {
		return n.get(t, prefix+described(headers...), "Accept-Encoding: gzip")
	}

	assert.Equal(t, "gzip", get("/gzip", "Content-Type: text/plain").Header.Get("Content-Encoding"))
	assert.Empty(t, get("/gzip", "Content-Type: image/png").Header.Get("Content-Encoding"))
	a := get("/gzip", "Content-Type: text/plain", "Content-Encoding: br")
	assert.Equal(t, []string{"br"}, a.Header.Values("Content-Encoding"))
	assert.Equal(t, "body", a.Body, "it is not compressed twice")
	a = get("/gzip", "Content-Type: text/plain", `ETag: "strong"`, "Accept-Ranges: bytes")
	assert.Equal(t, `W/"strong"`, a.Header.Get("ETag"))
	assert.Empty(t, a.Header.Get("Accept-Ranges"), "ranges of what?")

	a = get("/charset", "Content-Type: text/plain; charset=koi8-r", "body: small \xc1")
	assert.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	assert.Equal(t, "small \u0430", a.Body, "nginx has read the charset and recoded the body")
	a = get("/expires", "Expires: Thu, 01 Dec 1994 16:00:00 GMT", "Cache-Control: private")
	assert.Len(t, a.Header.Values("Expires"), 1)
	assert.Contains(t, a.Header.Values("Cache-Control"), "max-age=3600")
	assert.NotContains(t, a.Header.Values("Cache-Control"), "private")
	assert.Equal(t, "bodyplain", get("/addition", "Content-Type: text/x-add").Body)
	assert.Equal(t, "body", get("/addition", "Content-Type: text/x-other").Body)

	a = get("", "Date: Thu, 01 Dec 1994 16:00:00 GMT", "Server: own/1", "Refresh: 5; url=/x",
		"Link: </a>; rel=next", "Link: </b>; rel=prev", "Vary: Cookie", "Location: http://other.example/a")
	assert.Equal(t, []string{"Thu, 01 Dec 1994 16:00:00 GMT"}, a.Header.Values("Date"))
	assert.Equal(t, []string{"own/1"}, a.Header.Values("Server"))
	assert.Equal(t, []string{"5; url=/x"}, a.Header.Values("Refresh"))
	assert.Equal(t, []string{"</a>; rel=next", "</b>; rel=prev"}, a.Header.Values("Link"))
	assert.Equal(t, []string{"Cookie"}, a.Header.Values("Vary"))
	assert.Equal(t, []string{"http://other.example/a"}, a.Header.Values("Location"))
}

// Conditional requests are answered by nginx when it knows enough.
func TestConditional(t *testing.T) {
	t.Parallel()
	n := start(t, acted)
	const date, later = "Thu, 01 Dec 1994 16:00:00 GMT", "Fri, 02 Dec 1994 16:00:00 GMT"
	target := described(`ETag: "tag"`, "Last-Modified: "+date)

	for _, c := range []struct {
		header string
		status int
	}{
		{`If-None-Match: "tag"`, 304},
		{`If-None-Match: "other"`, 200},
		{"If-Modified-Since: " + date, 304},
		{"If-Modified-Since: Wed, 30 Nov 1994 16:00:00 GMT", 200},
		{"If-Unmodified-Since: Wed, 30 Nov 1994 16:00:00 GMT", 412},
		{"If-Unmodified-Since: " + later, 200},
		{`If-Match: "other"`, 412},
	} {
		w := n.dial(t)
		r := w.get(target, c.header)
		assert.Equal(t, c.status, r.Status, c.header)
		if c.status == 304 {
			assert.Empty(t, r.Body)
			assert.Equal(t, `"tag"`, r.get(t, "ETag"))
		}
		if c.status != 412 { // after which nginx closes the connection
			assert.Equal(t, "plain", w.get("/response/plain").Body)
		}
	}

	w := n.dial(t)
	r := w.get("/accel/generator?"+query(`ETag: "tag"`), `If-None-Match: "tag"`)
	assert.Equal(t, 304, r.Status)
	assert.Equal(t, "plain", w.get("/response/plain").Body, "a body was made for nobody")
	w.send("POST " + target + " HTTP/1.1\nHost: a\nIf-None-Match: \"tag\"\nContent-Length: 0\n\n")
	assert.Equal(t, 200, w.reply("POST").Status, "only GET and HEAD choose among representations")
}

// What a second field of a name would contradict is sent once.
func TestRepeatedHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, acted)
	for _, name := range []string{"Content-Type", "ETag", "Date", "Server", "Expires", "Location", "Last-Modified"} {
		a := n.get(t, described(name+": http://one", strings.ToUpper(name)+": http://two"))
		assert.Equal(t, []string{"http://one"}, a.Header.Values(name))
		n.waitLog(`\[warn\].*second "` + strings.ToUpper(name) + `"` + inContext)
	}
	for _, name := range []string{"Set-Cookie", "Cache-Control", "Link", "Vary", "WWW-Authenticate", "X-Own"} {
		a := n.get(t, described(name+": one", name+": two", name+": three"))
		assert.Equal(t, []string{"one", "two", "three"}, a.Header.Values(name))
	}
}

// X-Accel-Limit-Rate, -Charset, -Expires: what they do, and that clients do
// not see them.
func TestAccelHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, acted)

	// nginx lets a first portion through, and bounds what follows, by its clock of
	// whole seconds: two of them may have begun before it sends anything
	slow := described("X-Accel-Limit-Rate: 2000", "body: "+strings.Repeat("x", 6000))
	begun := time.Now()
	a := n.get(t, slow)
	assert.Len(t, a.Body, 6000)
	assert.GreaterOrEqual(t, time.Since(begun), 1900*time.Millisecond)
	assert.Empty(t, a.Header.Get("X-Accel-Limit-Rate"))

	const type1 = "Content-Type: text/plain"
	assert.Equal(t, "text/plain; charset=koi8-r",
		n.get(t, described(type1, "X-Accel-Charset: koi8-r")).Header.Get("Content-Type"))
	assert.Equal(t, "text/plain",
		n.get(t, "/quiet"+described(type1, "X-Accel-Charset: koi8-r")).Header.Get("Content-Type"))
	begun = time.Now()
	assert.Len(t, n.text(t, "/quiet"+slow), 6000)
	assert.Less(t, time.Since(begun), 1900*time.Millisecond)

	for _, name := range []string{"Expires", "Redirect-Not", "Buffering", "Limit-Rate", "Charset"} {
		a := n.get(t, described("X-Accel-"+name+": 0"))
		assert.Equal(t, name == "Redirect-Not", a.Header.Get("X-Accel-"+name) != "", name)
	}
}

// X-Accel-Buffering: the application waits for its client, or does not.
func TestAccelBuffering(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_buffer_size 4k;
    server {
        listen {{.Addr}} sndbuf=16k;
        location / { wsgi_pass kitchen; }
        location /off/ { rewrite ^/off(.*) $1 break; wsgi_buffering off; wsgi_pass kitchen; }
        location /ignored/ {
            rewrite ^/ignored(.*) $1 break;
            wsgi_ignore_headers X-Accel-Buffering;
            wsgi_pass kitchen;
        }
    }`)
	for _, c := range []struct {
		prefix, value string
		waits         bool
	}{
		{"", "", false}, {"", "no", true}, {"", "YES", false}, {"", "nonsense", false},
		{"/off", "", true}, {"/off", "yes", false}, {"/ignored", "no", false},
	} {
		event := strings.ReplaceAll("buffering"+c.prefix+c.value, "/", "-")
		w := n.dial(t)
		w.request("GET", c.prefix+"/rubbish/flood/"+event+"?buffering="+c.value)
		w.head()
		if c.waits {
			assert.Equal(t, []string{"begun"}, n.notes(t, event, 1), c)
			w.abort()
			assert.Equal(t, []string{"begun", "closed early"}, n.notes(t, event, 2), c)
		} else {
			assert.Equal(t, []string{"begun", "made"}, n.notes(t, event, 2), c)
		}
	}
}

// wsgi_hide_header and wsgi_pass_header, and how they are inherited.
func TestHideHeader(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_hide_header X-Http;
    server {
        listen {{.Addr}};
        wsgi_pass_header x-accel-expires;
        location / { wsgi_pass kitchen; }
        location /other/ {
            wsgi_hide_header X-Other;
            wsgi_hide_header content-type;
            rewrite ^/other(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /shown/ {
            wsgi_pass_header X-Http;
            rewrite ^/shown(.*) $1 break;
            wsgi_pass kitchen;
        }
    }`)
	for prefix, hidden := range map[string][]string{
		"":       {"X-Http", "X-Accel-Charset"},
		"/other": {"X-Other", "Content-Type", "X-Accel-Charset"},
		"/shown": {"X-Accel-Expires", "X-Accel-Charset"},
	} {
		a := n.get(t, prefix+described("X-HTTP: 1", "X-Other: 1", "Content-Type: 1",
			"X-Accel-Expires: 1", "X-Accel-Charset: 1", "X-Free: 1"))
		for _, name := range []string{"X-Http", "X-Other", "Content-Type", "X-Accel-Expires", "X-Accel-Charset", "X-Free"} {
			assert.Equal(t, !contains(hidden, name), a.Header.Get(name) == "1", "%s %s", prefix, name)
		}
	}
}

func contains(list []string, item string) bool {
	return strings.Contains(" "+strings.Join(list, " ")+" ", " "+item+" ")
}

// wsgi_intercept_errors with error_page, as proxy_intercept_errors.
func TestInterceptErrors(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        error_page 401 402 404 408 503 /page;
        error_page 410 =200 /again/accel/answer?body=gone;
        error_page 302 @moved;
        location = /page { return 200 "page of $status"; }
        location @moved { return 200 "moved, $uri"; }
        location /again/ { wsgi_script_name /again; wsgi_pass kitchen; }
        location / { wsgi_intercept_errors on; wsgi_pass kitchen; }
        location /off/ { rewrite ^/off(.*) $1 break; wsgi_pass kitchen; }
        location /nested/ {
            rewrite ^/nested(.*) $1 break;
            wsgi_intercept_errors on;
            recursive_error_pages on;
            error_page 404 /accel/answer?status=402%20Pay;
            wsgi_pass kitchen;
        }
    }`)

	for target, want := range map[string][2]any{
		described("status: 404 No", "body: own"):                    {404, "page of 404"},
		described("status: 503 Busy", "body: own"):                  {503, "page of 503"},
		described("status: 403 No", "body: own"):                    {403, "own"},
		described("status: 408 Late", "body: own"):                  {408, "own"},
		described("status: 499 Gone", "body: own"):                  {499, "own"},
		described("status: 200 OK", "body: own"):                    {200, "own"},
		described("status: 410 Gone", "body: own"):                  {200, "gone"},
		described("status: 302 Moved", "body: own", "Location: /x"): {302, "moved, /accel/answer"},
		"/off" + described("status: 404 No", "body: own"):           {404, "own"},
		"/nested" + described("status: 404 No", "body: own"):        {402, "page of 402"},
		"/accel/generator?" + query("status: 404 No", "body: own"):  {404, "page of 404"},
	} {
		w := n.dial(t)
		r := w.get(target)
		assert.Equal(t, want, [2]any{r.Status, r.Body}, target)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "the connection lives on")
	}

	a := n.get(t, described("status: 401 No", "WWW-Authenticate: Basic", "WWW-Authenticate: Bearer", "X-Own: 1"))
	assert.Equal(t, "page of 401", a.Body)
	assert.Equal(t, []string{"Basic", "Bearer"}, a.Header.Values("WWW-Authenticate"))
	assert.Empty(t, a.Header.Get("X-Own"))
}
