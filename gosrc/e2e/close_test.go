//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// close() of the iterable is called once, whatever happens.
func TestCloseAlways(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct {
		endpoint string
		method   string
		status   int
		notes    []string
	}{
		{"normal", "GET", 200, []string{"closed"}},
		{"normal", "HEAD", 200, []string{"closed"}},
		{"fails_first", "GET", 500, []string{"fails", "closed"}},
		{"fails_late", "GET", 200, []string{"fails", "closed"}},
		{"no_start", "GET", 500, []string{"closed"}},
		{"wrong_chunk", "GET", 500, []string{"closed"}},
		{"too_long", "GET", 200, []string{"closed"}},
		{"no_content", "GET", 204, []string{"closed"}},
		{"close_fails", "GET", 200, []string{"closed"}},
		{"thread", "GET", 200, []string{"true"}},
	} {
		t.Run(c.endpoint+" "+c.method, func(t *testing.T) {
			w := n.dial(t)
			w.request(c.method, "/closing/"+c.endpoint+"/"+name(t))
			assert.Equal(t, c.status, w.reply(c.method).Status)
			assert.Equal(t, c.notes, n.notes(t, name(t), len(c.notes)))
		})
	}
	n.waitLog(`ValueError: in close\(\)`)
}

// A client that has gone: the application is not asked for chunks for ever,
// and close() is called.
func TestCloseClientVanished(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, endpoint := range []string{"vanishes", "generator"} {
		for how, leave := range map[string]func(*wire){
			"closed": func(w *wire) { _ = w.Close() },
			"reset":  (*wire).abort,
		} {
			t.Run(endpoint+" "+how, func(t *testing.T) {
				w := n.dial(t)
				w.request("GET", "/closing/"+endpoint+"/"+name(t))
				w.head()
				w.needChunk("first")
				leave(w)
				n.setEvent(t, name(t))
				assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
			})
		}
	}
	needTogether(t, n, 8)
	assert.Zero(t, n.countLog("Traceback"), "a client that goes is nothing to trace back")
}

// A client that does not read, and then goes, gives its thread back.
func TestCloseSlowClientVanished(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen)
	n.setEvent(t, name(t))

	w := n.dial(t)
	w.request("GET", "/closing/vanishes/"+name(t))
	w.head()
	w.needChunk("first")
	w.abort()
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
}

// The client has its response before close() is done.
func TestCloseAfterResponse(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	w.request("GET", "/closing/slow/"+name(t))
	w.head()
	w.needChunk("a")
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
}
