//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// Bodies that nobody has, and locations that would read one: they come there
// by error_page, or by X-Accel-Redirect.

func startDiscard(t *testing.T) *instance {
	t.Helper()
	return start(t, `
    wsgi_python_path {{.Apps}};
    client_max_body_size 10k;
    client_body_buffer_size 4k;
    lingering_timeout 300ms;
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        error_page 400 413 =200 /streaming/digest/failed;
        location / { wsgi_pass kitchen; }
        location /streaming/ { client_max_body_size 0; wsgi_request_buffering off; wsgi_pass kitchen; }
        location /body/digest { client_max_body_size 0; wsgi_pass kitchen; }
        location /named/ {
            error_page 400 413 =200 @named;
            rewrite ^/named(.*) $1 break;
            wsgi_pass kitchen;
        }
        location @named { client_max_body_size 0; wsgi_request_buffering off; wsgi_pass kitchen.streaming:digest; }
        location /buffered/ {
            error_page 400 413 =200 /body/digest/failed;
            rewrite ^/buffered(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /proxied/ {
            error_page 400 413 502 =200 /body/digest/failed;
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:1;
        }
        location /late/ {
            client_max_body_size 10;
            error_page 413 =200 @late;
        }
        location @late { rewrite ^/late(.*) /event/wait$1 break; wsgi_pass kitchen; }
        location /bodiless/ {
            wsgi_pass_request_body off;
            rewrite ^/bodiless(.*) $1 break;
            wsgi_pass kitchen;
        }
    }`, allowLog(`connect\(\) failed`))
}

// nothing is what digests of no body look like.
const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// A body that is too large, or is none, is not handed to the application of an
// error page: nginx throws it away, or has a part of it that looks whole.
func TestDiscardedBody(t *testing.T) {
	t.Parallel()
	n := startDiscard(t)
	const long = "Content-Length: 20000\r\n\r\n"
	chunks := "Transfer-Encoding: chunked\r\n\r\n" + chunkOf(strings.Repeat("x", 3000))
	for _, target := range []string{
		"/body/echo", "/named/body/echo", "/buffered/body/echo", "/proxied/",
	} {
		for _, body := range []string{
			long, long + strings.Repeat("x", 100), long + strings.Repeat("x", 20000),
			chunks + "rubbish\r\n\r\n", strings.Replace(chunks, "3000", "x", 1) + "rubbish\r\n\r\n",
			chunks + chunkOf(strings.Repeat("x", 3000)) + chunkOf(strings.Repeat("x", 30000)),
		} {
			w := n.dial(t)
			w.sendRaw("POST " + target + " HTTP/1.1\r\nHost: a\r\n" + body)
			r := w.reply("POST")
			assert.Equal(t, 200, r.Status, "%s %.60q", target, body)
			assert.Contains(t, r.Body, nothing, "%s %.60q", target, body)
		}
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// The same where the first location has the body thrown away, and what it
// redirects to would wait for it; the next request is the next.
func TestDiscardedBodyRedirected(t *testing.T) {
	t.Parallel()
	n := startDiscard(t)
	for _, to := range []string{"/streaming/digest", "/body/digest", "/buffered/body/digest"} {
		for _, body := range []string{
			"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			"Content-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000),
		} {
			w := n.dial(t)
			w.sendRaw("POST /bodiless/accel/answer?X-Accel-Redirect=" + to +
				" HTTP/1.1\r\nHost: a\r\n" + body)
			r := w.reply("POST")
			assert.Equal(t, 200, r.Status, "%s %.60q", to, body)
			assert.Contains(t, r.Body, nothing, "%s %.60q", to, body)
			assert.Equal(t, "plain", w.get("/response/plain").Body, "%s %.60q", to, body)
		}
		// the rest of the body comes when the answer is there
		w := n.dial(t)
		w.sendRaw("POST /bodiless/accel/answer?X-Accel-Redirect=" + to +
			" HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n")
		assert.Contains(t, w.reply("POST").Body, nothing, to)
		w.sendRaw(strings.Repeat("x", 9000))
		assert.Equal(t, "plain", w.get("/response/plain").Body, to)
	}
}

// A client that stops in its body has all the time that the application needs:
// lingering_timeout is for when the response is out.
func TestDiscardedBodySlow(t *testing.T) {
	t.Parallel()
	n := startDiscard(t)
	for i, target := range []string{"/bodiless/event/wait/", "/late/"} {
		event := fmt.Sprint(name(t), i)
		w := n.dial(t)
		w.request("POST", target+event, "Content-Length: 9000")
		w.sendRaw("x")
		time.Sleep(900 * time.Millisecond) // three times lingering_timeout
		require.True(t, w.silent())
		n.setEvent(t, event)
		assert.Equal(t, "came", w.reply("POST").Body, target)
		w.sendRaw(strings.Repeat("x", 8999))
		if i == 0 {
			assert.Equal(t, "plain", w.get("/response/plain").Body)
		}
	}
}

func TestDiscardedBodyHTTP2(t *testing.T) {
	t.Parallel()
	n := startDiscard(t)
	for _, target := range []string{
		"/body/echo", "/named/body/echo", "/buffered/body/echo", "/proxied/",
	} {
		w := n.dialH2(t, 1<<20)
		id := w.headers(requestFields("POST", target, field{"content-length", "20000"}), false)
		w.data(id, strings.Repeat("x", 10000), false, 0)
		r := w.response(id)
		assert.Equal(t, 200, r.Status, target)
		assert.Contains(t, r.Body, nothing, target)
		assert.Equal(t, "plain", w.response(w.request("GET", "/response/plain")).Body, target)
	}
}

// Over HTTP/3 nginx throws nothing away: who answers later has all of the body,
// or is told that it is not whole.
func TestDiscardedBodyHTTP3(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 15000)
	whole := fmt.Sprintf("15000 %x 15000", sha256.Sum256([]byte(body)))
	n := startHTTP3(t, `
        client_max_body_size 10k;
        client_body_buffer_size 4k;
        error_page 400 413 =200 /streaming/digest/failed;
        location /streaming/ { client_max_body_size 0; wsgi_request_buffering off; wsgi_pass kitchen; }
        location /bodiless/ {
            wsgi_pass_request_body off;
            rewrite ^/bodiless(.*) $1 break;
            wsgi_pass kitchen;
        }`)
	for _, target := range []string{
		"/body/echo", "/bodiless/accel/answer?X-Accel-Redirect=/streaming/digest",
	} {
		for length, want := range map[string]string{
			"20000": "400 Bad Request", "15000": whole, "x": nothing,
		} {
			c := n.dialH3(t, 0)
			r, err := c.response(c.request(requestFields("POST", target,
				field{"content-length", length}), body, true))
			if length == "20000" && err != nil {
				continue // the stream was reset, which is as clear as 400
			}
			require.NoError(t, err, "%s %s", target, length)
			assert.Contains(t, r.Body, want, "%s %s", target, length)
			r, err = c.response(c.request(requestFields("GET", "/response/plain"), "", true))
			require.NoError(t, err)
			assert.Equal(t, "plain", r.Body)
		}
	}
}

// While wsgi_access decides, and the application runs, nginx goes on to throw
// away what comes of the body: the connection does not wait for it at the end.
func TestAccessDiscards(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_pool steering threads=2;
    wsgi_access layers;
    client_max_body_size 10k;
    server {
        listen {{.Addr}};
        error_page 413 /event/wait/late;
        location / { wsgi_pass kitchen; }
        location /steer/ { wsgi_use_pool steering; wsgi_access off; rewrite ^/steer(.*) $1 break; wsgi_pass kitchen; }
    }`)
	w := n.dial(t)
	w.request("POST", "/", "Content-Length: 50000")
	n.wait("the application", func() bool {
		var there bool
		n.json(t, &there, "/steer/event/runs/wait")
		return there
	})
	w.sendRaw(strings.Repeat("x", 50000))
	began := time.Now()
	require.Equal(t, "set", n.text(t, "/steer/event/set/late"))
	all, err := io.ReadAll(w.r)
	require.NoError(t, err)
	assert.Contains(t, string(all), "came")
	assert.Less(t, time.Since(began), 4*time.Second, "lingering_timeout is 5 s")
}

// While wsgi_access decides, all of a body may come, over HTTP/2: then it is as
// whole as any, or refused once, where it would have been streamed.
func TestStreamingArrived(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_request_buffering off;
    client_body_buffer_size 4k;
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { wsgi_pass kitchen; }
        location /streaming/ { wsgi_access kitchen.event:wait; wsgi_pass kitchen; }
        location /limited/ {
            client_max_body_size 10;
            wsgi_access kitchen.event:wait;
            wsgi_script_name /limited;
            wsgi_pass kitchen;
        }
    }`)
	body := strings.Repeat("0123456789", 2000)
	want := fmt.Sprintf("%d %x ", len(body), sha256.Sum256([]byte(body)))
	for i, more := range [][]field{
		nil, {{"content-length", "20000"}}, {{"expect", "100-continue"}},
	} {
		event := fmt.Sprint("whole", i)
		w := n.dialH2(t, 1<<20)
		id := w.headers(requestFields("POST", "/streaming/digest/"+event, more...), false)
		w.data(id, body[:15000], false, 0)
		w.data(id, body[15000:], true, 0)
		w.ping()
		n.setEvent(t, event)
		r := w.response(id)
		assert.Equal(t, []any{200, h2done}, []any{r.Status, r.End})
		assert.True(t, strings.HasPrefix(r.Body, want), r.Body)
	}
	w := n.dialH2(t, 1<<20)
	id := w.headers(requestFields("POST", "/limited/event/wait/limited"), false)
	w.data(id, body[:15000], true, 0)
	w.ping()
	n.setEvent(t, "limited")
	assert.Equal(t, 413, w.response(id).Status)
}

// goers are clients that go while they wait for a thread, each in another
// state of its request.
var goers = map[string]func(t *testing.T, n *instance){
	"no body": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("GET", "/one/response/plain")
		_ = w.Close()
	},
	"a streamed body that is paused": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/streamed/streaming/digest", "Content-Length: 100000")
		w.sendRaw(strings.Repeat("x", 50000))
		_ = w.Close()
	},
	"the same, reset": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/streamed/streaming/digest", "Transfer-Encoding: chunked")
		w.sendRaw(chunkOf(strings.Repeat("x", 50000)))
		w.abort()
	},
	"a streamed body that was not invited": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/streamed/streaming/digest", "Content-Length: 9", "Expect: 100-continue")
		_ = w.Close()
	},
	"a body that is thrown away": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/bodiless/response/plain", "Content-Length: 100000")
		w.sendRaw(strings.Repeat("x", 5000))
		_ = w.Close()
	},
	"a body that was thrown away": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/bodiless/response/plain", "Content-Length: 9000")
		w.sendRaw(strings.Repeat("x", 5000))
		time.Sleep(time.Millisecond) // the two parts are better read one by one
		w.sendRaw(strings.Repeat("x", 4000))
		_ = w.Close()
	},
	"wsgi_access before a body": func(t *testing.T, n *instance) {
		w := n.dial(t)
		w.request("POST", "/guarded/body/digest", "Content-Length: 100000")
		w.sendRaw(strings.Repeat("x", 5000))
		_ = w.Close()
	},
	"HTTP/2, reset with more than a buffer": func(t *testing.T, n *instance) {
		w := n.dialH2(t, 1<<20)
		id := w.headers(requestFields("POST", "/streamed/streaming/digest"), false)
		w.data(id, strings.Repeat("x", 10000), false, 0)
		w.rst(id, http2.ErrCodeCancel)
	},
	"HTTP/2, closed with more than a buffer": func(t *testing.T, n *instance) {
		w := n.dialH2(t, 1<<20)
		id := w.headers(requestFields("POST", "/streamed/streaming/digest"), false)
		w.data(id, strings.Repeat("x", 10000), false, 0)
		_ = w.Close()
	},
	"HTTP/2, a body that is thrown away": func(t *testing.T, n *instance) {
		w := n.dialH2(t, 1<<20)
		id := w.headers(requestFields("POST", "/bodiless/response/plain"), false)
		w.data(id, strings.Repeat("x", 10000), false, 0)
		w.rst(id, http2.ErrCodeCancel)
	},
	"HTTP/2, no body": func(t *testing.T, n *instance) {
		w := n.dialH2(t, 1<<20)
		w.rst(w.request("GET", "/one/response/plain"), http2.ErrCodeCancel)
	},
}

// 40 clients that have gone leave a queue of 40 free, whatever their state was.
func TestGoneLeaveTheQueue(t *testing.T) {
	t.Parallel()
	for what, goes := range goers {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_pool one threads=1 queue=40;
    client_body_buffer_size 4k;
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { wsgi_pass kitchen; }
        location /one/ { wsgi_use_pool one; wsgi_script_name /one; wsgi_pass kitchen; }
        location /streamed/ {
            wsgi_request_buffering off;
            wsgi_use_pool one;
            wsgi_script_name /streamed;
            wsgi_pass kitchen;
        }
        location /bodiless/ {
            wsgi_pass_request_body off;
            wsgi_use_pool one;
            wsgi_script_name /bodiless;
            wsgi_pass kitchen;
        }
        location /guarded/ {
            wsgi_use_pool one;
            wsgi_access layers;
            wsgi_script_name /guarded;
            wsgi_pass kitchen;
        }
    }`)
			running := n.later("GET", "/one/timing/occupy/one")
			n.notes(t, "one", 1)
			for range 40 {
				goes(t, n)
			}
			n.wait("all to be noticed", func() bool {
				return lines(n.Dir+"/access.log") >= 40+1 // and that for notes
			})
			honest := n.dial(t)
			honest.request("GET", "/one/response/plain")
			n.setEvent(t, "one")
			assert.NoError(t, (<-running).err)
			assert.Equal(t, "plain", honest.reply("GET").Body)
			assert.Zero(t, n.countLog(`queue of pool`))
		})
	}
}
