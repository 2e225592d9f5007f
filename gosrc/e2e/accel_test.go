//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// targets are what X-Accel-Redirect may lead to, and "elsewhere" is a server
// that a proxy asks.
const targets = `
        location /inside/ { internal; wsgi_access off; alias {{.Dir}}/inside/; }
        location /again/ { internal; wsgi_access off; wsgi_pass kitchen; wsgi_script_name /again; }
        location @proxy { wsgi_access off; proxy_read_timeout 5s; proxy_pass http://{{.Addr2}}; }
        location /proxy/ { internal; wsgi_access off; proxy_read_timeout 5s;
                           proxy_pass http://{{.Addr2}}/body/digest; }
    }
    server {
        listen {{.Addr2}};
        wsgi_access off;
        location / { rewrite ^ /body/digest? break; wsgi_pass kitchen; }
    }`

// A refusal of wsgi_access may be another location's answer, which gets the
// body as it came.  What lets a request on does not redirect it.
func TestAccelRedirectOfAccess(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    client_body_buffer_size 16k;
    server {
        listen {{.Addr}};
        wsgi_access gate:check;
        location / { wsgi_pass kitchen; }`+targets, file("inside/file.txt", "from the file"))
	large := strings.Repeat("0123456789", 20000)
	digest := n.post(t, "/body/digest", large, "X-Gate: allow").Body

	assert.Equal(t, "from the file", n.text(t, "/x", "X-Gate: redirect /inside/file.txt"))
	assert.Equal(t, "plain", n.text(t, "/x", "X-Gate: redirect /again/response/plain"))
	assert.Equal(t, "plain", n.text(t, "/response/plain", "X-Gate: onward /inside/file.txt"))
	assert.Equal(t, 404, n.get(t, "/x", "X-Gate: redirect /inside/none").Status)

	for _, chunked := range []bool{false, true} {
		for to, want := range map[string]string{
			"/inside/file.txt": "from the file", "/again/body/echo": large,
			"@proxy": digest, "/proxy/": digest,
		} {
			began := time.Now()
			a := n.do(t, "POST", "/static/x", body(large, chunked), "X-Gate: redirect "+to)
			assert.Equal(t, want, a.Body, "%s, chunked %v", to, chunked)
			assert.Less(t, time.Since(began), 4*time.Second)
		}
	}
	w := n.dial(t)
	w.send("POST /x HTTP/1.1\nHost: a\nX-Gate: redirect /inside/file.txt\nContent-Length: 10\n\n01234")
	assert.Equal(t, "from the file", w.reply("POST").Body, "before the body is here")
	w.sendRaw("56789")
	assert.Equal(t, "plain", w.get("/response/plain", "X-Gate: allow").Body)
}

// A body that the application has begun to read is not there for others: they
// see a request without one, at once, and the connection ends.
func TestAccelRedirectStreamedBody(t *testing.T) {
	t.Parallel()
	n := start(t, `
    client_max_body_size 0;
    wsgi_python_path {{.Apps}};
    wsgi_pool steering threads=1;
    server {
        listen {{.Addr}};
        wsgi_request_buffering off;
        location / { wsgi_pass kitchen; }`+targets, file("inside/file.txt", "from the file"))
	empty := n.post(t, "/body/digest", "").Body

	for _, framing := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		for _, sent := range []string{"f4240\r\nhalf", "half"} {
			if strings.HasPrefix(framing, "T") != strings.HasPrefix(sent, "f") {
				continue
			}
			for to, want := range map[string]string{
				"/inside/file.txt": "from the file", "/again/body/echo": "", "@proxy": empty,
				"/proxy/": empty, "/again/response/plain": "plain",
			} {
				w := n.dial(t)
				w.request("POST", "/streaming/redirects/4?to="+to, framing)
				w.sendRaw(sent)
				began := time.Now()
				r := w.reply("POST")
				assert.Equal(t, 200, r.Status, "%s %s", framing, to)
				assert.Equal(t, want, r.Body, "%s %s", framing, to)
				assert.Equal(t, "close", r.get(t, "Connection"))
				assert.Less(t, time.Since(began), 4*time.Second)
			}
		}
	}

	w := n.dial(t)
	for range 2 { // read to its end: the connection is as good as before
		w.request("POST", "/streaming/redirects/9?to=@proxy", "Content-Length: 4")
		w.sendRaw("half")
		assert.Equal(t, empty, w.reply("POST").Body)
	}
	w.request("POST", "/streaming/redirects/0?to=/again/body/echo", "Content-Length: 4", "Expect: 100-continue")
	require.Equal(t, 100, w.head().Status, "it is the other's to ask for")
	w.sendRaw("body")
	assert.Equal(t, "body", w.reply("POST").Body)
}

// wsgi_cancel raise holds for an application of wsgi_access: the client goes,
// and the only thread is free for the next.
func TestAccessCancelRaise(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_threads 1;
    wsgi_cancel raise;
    server {
        listen {{.Addr}};
        location / { wsgi_access gate:check; wsgi_pass kitchen; }
    }`)
	for i := range 3 {
		sign := filepath.Join(n.Var, fmt.Sprint("sign", i))
		w := n.dial(t)
		w.request("GET", "/response/plain", "X-Gate: compute "+sign)
		n.wait("the gate", func() bool { return exists(sign) })
		_ = w.Close()
		began := time.Now()
		assert.Equal(t, "plain", n.text(t, "/response/plain", "X-Gate: allow"))
		assert.Less(t, time.Since(began), time.Duration(slack())*time.Second)
		assert.Equal(t, "RequestCancelled", readFile(sign))
	}
	assert.Zero(t, n.countLog("Traceback"))
}
