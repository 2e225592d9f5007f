//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

func startH2(t *testing.T) *instance {
	t.Helper()
	return start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { wsgi_pass kitchen; }
    }`)
}

// The client of the HTTP/2 tests does what they rely on: windows, split header
// blocks, padding, resets, fields that are wrong.
func TestHTTP2Wire(t *testing.T) {
	t.Parallel()
	n := startH2(t)

	w := n.dialH2(t, 1) // byte by byte
	for target, want := range map[string]string{
		"/response/plain": "plain", "/response/write": "one,two,three",
		"/framing/generator": "hello", "/framing/empty_list": "",
	} {
		r := w.response(w.request("GET", target))
		assert.Equal(t, []any{200, want, h2done}, []any{r.Status, r.Body, r.End}, target)
	}

	id := w.request("GET", "/response/plain")
	w.readUntil("the byte", func() bool { return w.stream(id).Body == "p" })
	assert.True(t, w.silent(), "the window is closed")
	w.windowUpdate(id, 2)
	w.readUntil("two bytes", func() bool { return w.stream(id).Body == "pla" })
	w.settings(3)
	w.readUntil("the rest", func() bool { return w.stream(id).End == h2done })
	assert.Equal(t, "plain", w.stream(id).Body)

	large := strings.Repeat("0123456789", 1000)
	w = n.dialH2(t, 1<<20)
	id = w.headers(requestFields("POST", "/body/echo", field{"x-long", large[:3000]}), false)
	w.data(id, large, false, 255)
	w.data(id, "end", true, 0)
	r := w.response(id)
	assert.Equal(t, []any{200, large + "end", h2done}, []any{r.Status, r.Body, r.End})
	id += 2
	w.headersIn(id, requestFields("GET", "/response/plain", field{"x-long", large[:3000]}), true, 100)
	assert.Equal(t, "plain", w.response(id).Body, "in many CONTINUATION frames")
}

func TestHTTP2WireEnds(t *testing.T) {
	t.Parallel()
	n := startH2(t)
	w := n.dialH2(t, 1<<20)

	id := w.request("GET", "/response/chunks/"+name(t))
	w.readUntil("a chunk", func() bool { return w.stream(id).Body == "one" })
	w.rst(id, http2.ErrCodeCancel)
	n.setEvent(t, name(t)+"-2")
	n.setEvent(t, name(t)+"-3")
	r := w.response(w.request("GET", "/response/plain"))
	assert.Equal(t, "plain", r.Body, "the connection lives on")
	assert.Equal(t, "one", w.stream(id).Body)

	id = w.request("GET", "/failing/late")
	r = w.response(id)
	assert.Equal(t, []any{h2reset, http2.ErrCodeInternal}, []any{r.End, r.Code})

	wrong := w.headers([]field{{":method", "GET"}, {":scheme", "http"}, {":path", ""}}, true)
	r = w.response(wrong)
	require.NotEqual(t, h2open, r.End)
	assert.NotEqual(t, 200, r.Status, "an empty path")

	w.raw([]byte{0, 0, 1, 6, 0, 0, 0, 0, 0, 0}) // PING of one byte
	id = w.request("GET", "/response/plain")
	r = w.response(id)
	assert.Equal(t, []any{h2goAway, http2.ErrCodeFrameSize}, []any{r.End, r.Code})
}
