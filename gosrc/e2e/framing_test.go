//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Content-Length is computed where it is known, and a body is chunked where
// it is not.
func TestFraming(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct {
		endpoint string
		framing  framing
		body     string
	}{
		{"single", byLength, "hello"},
		{"single_tuple", byLength, "hello"},
		{"sized", byLength, "hello"},
		{"generator", byChunks, "hello"},
		{"empty_list", byLength, ""},
		{"empty_bytes", byLength, ""},
		{"length?length=5&chunks=hello", byLength, "hello"},
		{"length?length=5&chunks=he,,llo", byLength, "hello"},
		{"length?length=0&chunks=", byLength, ""},
		{"length_list?length=5&chunks=he,llo", byLength, "hello"},
		{"length_write?length=5&chunks=he,llo", byLength, "hello"},
	} {
		w := n.dial(t)
		r := w.get("/framing/" + c.endpoint)
		require.Equal(t, 200, r.Status, c.endpoint)
		assert.Equal(t, c.framing, r.Framing, c.endpoint)
		assert.Equal(t, c.body, r.Body, c.endpoint)
		assert.True(t, r.complete(), c.endpoint)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "after %s", c.endpoint)
	}
	for endpoint, body := range map[string]string{"double": "hello", "empty_generator": ""} {
		w := n.dial(t)
		r := w.get("/framing/" + endpoint)
		assert.Equal(t, body, r.Body)
		assert.True(t, r.complete())
		assert.Equal(t, "plain", w.get("/response/plain").Body)
	}
}

// HEAD has the headers of GET, no body, and leaves the connection as it was.
func TestFramingHead(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for endpoint, length := range map[string]string{
		"single":                              "5",
		"generator":                           "",
		"length?length=5&chunks=hello":        "5",
		"length?length=5000&chunks=":          "5000",
		"length_write?length=5&chunks=he,llo": "5",
	} {
		w := n.dial(t)
		w.request("HEAD", "/framing/"+endpoint)
		r := w.reply("HEAD")
		require.Equal(t, 200, r.Status, endpoint)
		assert.Equal(t, length, r.get(t, "Content-Length"), endpoint)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "after HEAD %s", endpoint)
	}
	w := n.dial(t)
	w.request("HEAD", "/failing/before")
	assert.Equal(t, 500, w.reply("HEAD").Status)
	w.needClosed() // as nginx does after every 500
}

// 204 and 304 have no body, whatever the application yields.
func TestFramingNoBody(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, endpoint := range []string{"no_body", "no_body_empty", "no_body_length"} {
		for _, status := range []int{204, 304} {
			w := n.dial(t)
			r := w.get(fmt.Sprintf("/framing/%s/%d", endpoint, status))
			require.Equal(t, status, r.Status)
			assert.Empty(t, r.values("Transfer-Encoding"))
			if status == 204 || endpoint == "no_body_empty" {
				assert.Empty(t, r.values("Content-Length"), "RFC 9110, 8.6")
			}
			next := w.get("/response/plain")
			assert.Equal(t, "plain", next.Body, "after %s %d", endpoint, status)
		}
	}
}

// A body that is longer than its Content-Length is not sent beyond it.
func TestFramingTooLong(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, endpoint := range []string{
		"length?length=5&chunks=hello+world",
		"length?length=5&chunks=hel,lo+w,orld",
		"length?length=5&chunks=hello,world",
		"length_list?length=5&chunks=hello+world",
		"length_write?length=5&chunks=hello,+world",
	} {
		w := n.dial(t)
		r := w.get("/framing/" + endpoint)
		require.Equal(t, byLength, r.Framing)
		assert.Equal(t, "hello", r.Body, endpoint)

		// what follows is either a response or the end, never a rest
		w.request("GET", "/response/plain")
		if _, err := w.r.Peek(1); err == nil {
			assert.Equal(t, "plain", w.reply("GET").Body, "after %s", endpoint)
		}
	}
	n.waitLog(`\[(error|warn)\].*Content-Length`)
}

// A body that is shorter cuts the connection: the client waits for no more.
func TestFramingTooShort(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for i, endpoint := range []string{
		"length?length=50&chunks=hello",
		"length?length=50&chunks=hel,lo",
		"length_list?length=50&chunks=hello",
		"length_write?length=50&chunks=hello",
	} {
		w := n.dial(t)
		r := w.get("/framing/" + endpoint)
		assert.Equal(t, byLength, r.Framing, endpoint)
		assert.Equal(t, "hello", r.Body, endpoint)
		assert.True(t, r.cut(), "%s: %v", endpoint, r.Err)
		n.waitLogTimes(`\[(error|warn)\].*Content-Length`, i+1)
	}
}

// What an application says of the connection does not matter.
func TestHopByHopHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for query, header := range map[string]string{
		"connection": "Connection", "connection_keep": "Connection",
		"keep_alive": "Keep-Alive", "transfer": "Transfer-Encoding",
		"transfer_identity": "Transfer-Encoding", "te": "TE", "trailer": "Trailer",
		"upgrade": "Upgrade", "proxy_connection": "Proxy-Connection",
	} {
		w := n.dial(t)
		r := w.get("/headers/hop?" + query)
		assert.Equal(t, 200, r.Status, query)
		assert.Equal(t, byLength, r.Framing, query)
		assert.Equal(t, "body", r.Body, query)
		if header == "Connection" {
			assert.Equal(t, "keep-alive", r.get(t, "Connection"))
		} else {
			assert.Empty(t, r.values(header), query)
		}
		assert.Equal(t, "plain", w.get("/response/plain").Body, "after %s", query)
	}
	n.waitLog(`transfer-encoding`)
}

func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)

	assert.Equal(t, []string{"a=1; Path=/", "b=2", "c=3"},
		w.get("/headers/cookies").values("Set-Cookie"))
	assert.Equal(t, []string{"1", "2"}, w.get("/headers/repeated").values("X-Two"))
	assert.Equal(t, []string{""}, w.get("/headers/empty").values("X-Empty"))
	assert.Equal(t, "a\tb", w.get("/headers/tabs").get(t, "X-Tab"))
	assert.Equal(t, "application/x-own; a=b", w.get("/headers/content_type").get(t, "Content-Type"))
	assert.Len(t, w.get("/headers/long").get(t, "X-Long"), 20000)
	assert.Equal(t, "yes", w.get("/headers/changed_later").get(t, "X-Kept"))

	r := w.get("/headers/latin1")
	assert.Equal(t, "\xdcnl\xfccky \xff", r.Reason)
	assert.Equal(t, "caf\xe9 \x80\xff", r.get(t, "X-Latin"))

	r = w.get("/headers/many")
	for i := range 200 {
		assert.Equal(t, fmt.Sprint(i), r.get(t, fmt.Sprintf("X-Number-%d", i)))
	}

	r = w.get("/headers/redirect")
	assert.Equal(t, 302, r.Status)
	assert.Equal(t, "/elsewhere?a=1", r.get(t, "Location"))

	r = w.get("/headers/odd_status")
	assert.Equal(t, 299, r.Status)
	assert.Equal(t, "Made up: here", r.Reason)

	assert.Equal(t, 200, w.get("/headers/no_reason").Status)
	assert.Equal(t, "no type", w.get("/headers/no_type").Body)
}
