//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ten thousand header fields arrive; a head of more than 1 MB does not.
func TestManyHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct{ count, size, status int }{
		{10000, 1, 200}, {1, 900000, 200}, {100, 10000, 200},
		{1, 1 << 20, 500}, {100000, 1, 500}, {200, 10000, 500},
	} {
		w := n.dial(t)
		r := w.get(fmt.Sprintf("/rubbish/headers?count=%d&size=%d", c.count, c.size))
		assert.Equal(t, c.status, r.Status, c)
		if c.status == 200 {
			last := r.get(t, fmt.Sprintf("X-Number-%d", c.count-1))
			assert.Len(t, last, c.size)
			assert.Equal(t, "body", r.Body)
			assert.Equal(t, "plain", w.get("/response/plain").Body)
		} else {
			n.waitLog(fmt.Sprintf(`\[error\].*%d header fields of \d+ bytes, more than 1048576`, c.count+1) + inContext)
		}
	}
}

// Oversized heads again and again do not make the worker grow.
func TestManyHeadersMemory(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	ask := func(times int) {
		for range times {
			assert.Equal(t, 200, n.get(t, "/rubbish/headers?count=1000&size=900").Status)
			assert.Equal(t, 500, n.get(t, "/rubbish/headers?count=2000&size=900").Status)
		}
	}
	ask(20)
	before := rss(n.worker())
	ask(100)
	assert.Less(t, rss(n.worker())-before, memory(16<<20), "300 MB went through")
}

// A million empty chunks are nothing, also from iterators without Python code.
func TestEmptyChunks(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, endpoint := range []string{"empties", "empties_list"} {
		w := n.dial(t)
		assert.Equal(t, "at last", w.get("/rubbish/"+endpoint).Body)
		assert.Equal(t, "plain", w.get("/response/plain").Body)
	}
}

// An endless iterator without Python code: others have their turn meanwhile,
// wsgi_timeout ends it, and the thread is there for the next.
func TestEndlessEmpties(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_timeout 3s;
    wsgi_threads 2;
    server { listen {{.Addr}}; location / { wsgi_pass kitchen; } }`)

	running := n.later("GET", "/rubbish/endless/"+name(t)+"?size=0")
	assert.Equal(t, "begun", n.notes(t, name(t), 1)[0])
	for range 5 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	needWaiting(t, running) // or the GIL was held

	assert.Equal(t, 504, (<-running).Status)
	assert.Equal(t, []string{"begun", "closed"}, n.notes(t, name(t), 2))
	n.waitLog(`\[error\].*made no progress`)
	assert.Zero(t, n.countLog("did not come back|replaced"))
}

// The same with chunks, and a client that goes: nobody is left behind.
func TestEndlessVanished(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, size := range []int{0, 1, 100000} {
		event := fmt.Sprint(name(t), size)
		w := n.dial(t)
		w.request("GET", fmt.Sprintf("/rubbish/endless/%s?size=%d", event, size))
		assert.Equal(t, "begun", n.notes(t, event, 1)[0])
		w.abort()
		assert.Equal(t, []string{"begun", "closed"}, n.notes(t, event, 2))
	}
	assert.Zero(t, n.countLog("Traceback"))
}

// write() after the end: an exception where it was called, or nothing; never a
// byte on the connection.
func TestWritesAfterEnd(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, endpoint := range []string{"talks", "talks_length"} {
		event := name(t) + endpoint
		w := n.dial(t)
		r := w.get("/rubbish/" + endpoint + "/" + event)
		assert.Equal(t, "body", r.Body)
		assert.True(t, r.complete())
		n.notes(t, event, 1)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "the next response is intact")
		assert.Contains(t, w.get("/rubbish/talks_later").Body, "RuntimeError")
	}
}

// A body that the client cuts short never reaches the application.
func TestBodyCutShort(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for i, text := range []string{
		"Content-Length: 100\n\nten bytes.",
		"Transfer-Encoding: chunked\n\na\nten bytes.\n",
		"Transfer-Encoding: chunked\n\nff\nten bytes.",
	} {
		w := n.dial(t)
		w.send("POST /rubbish/called/" + name(t) + " HTTP/1.1\nHost: a\n" + text)
		require.True(t, w.silent())
		_ = w.Close()
		n.waitLogTimes(`prematurely closed`, i+1)
	}
	assert.Equal(t, "x", n.post(t, "/rubbish/called/"+name(t), "x").Body)
	assert.Equal(t, []string{"called"}, n.notes(t, name(t), 1))
}

// A chunked body with rubbish is answered with 400, by nginx.
func TestBadChunks(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for i, text := range []string{
		"zz\nhello\n0\n\n", "5\nhelloworld\n0\n\n", "-5\nhello\n0\n\n",
		"0x5\nhello\n0\n\n", "fffffffffffffffff\nhello", "5\nhello\nnot a size\n\n", "\n\n",
	} {
		w := n.dial(t)
		w.send("POST /rubbish/called/" + name(t) + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" + text)
		r := w.reply("POST")
		assert.Equal(t, 400, r.Status, "%q", text)
		n.waitLogTimes(`invalid chunked body`, i+1)
		w.needClosed()
	}
	w := n.dial(t)
	w.send("POST /rubbish/called/" + name(t) + " HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" +
		"5;ext=1\nhello\n0\nTrailer: x\n\n")
	assert.Equal(t, "hello", w.reply("POST").Body)
	assert.Equal(t, []string{"called"}, n.notes(t, name(t), 1), "only the good one")
}

// Two framings, odd names of encodings, bad lengths: refused before Python.
func TestBadFraming(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, fields := range []string{
		"Content-Length: 5\nTransfer-Encoding: chunked", "Content-Length: 5\nContent-Length: 6",
		"Content-Length: -1", "Content-Length: 5x", "Content-Length: 99999999999999999999",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
	} {
		w := n.dial(t)
		w.send("POST /rubbish/called/" + name(t) + " HTTP/1.1\nHost: a\n" + fields + "\n\nhello")
		assert.Contains(t, []int{400, 413, 501}, w.reply("POST").Status, fields)
	}
	assert.Equal(t, "x", n.post(t, "/rubbish/called/"+name(t), strings.Repeat("x", 1)).Body)
	assert.Equal(t, []string{"called"}, n.notes(t, name(t), 1))
}
