//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t)
	client := http3Client(t, n, 0)

	a, err := http3Do(n, client, "GET", "/environ/dump?q=1", nil)
	require.NoError(t, err)
	var e environ
	decode(t, a.Body, &e)
	assert.Equal(t, "HTTP/3.0", e.str(t, "SERVER_PROTOCOL"))
	assert.Equal(t, "https", e.str(t, "wsgi.url_scheme"))
	assert.Equal(t, n.Addr2, e.str(t, "HTTP_HOST"))
	assert.Equal(t, "q=1", e.str(t, "QUERY_STRING"))

	large := strings.Repeat("0123456789", 90000)
	for _, chunked := range []bool{false, true} {
		a, err = http3Do(n, client, "POST", "/body/echo", body(large, chunked))
		require.NoError(t, err)
		assert.Equal(t, large, a.Body)
	}
}

// A failure after the headers resets the stream.
func TestHTTP3LateFailure(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t)
	client := http3Client(t, n, 0)
	for _, target := range []string{
		"/failing/late", "/failing/late_length", "/framing/length?length=50&chunks=hello",
	} {
		_, err := http3Do(n, client, "GET", target, nil)
		assert.Error(t, err, "%s looks complete", target)
		a, err := http3Do(n, client, "GET", "/response/plain", nil)
		require.NoError(t, err)
		assert.Equal(t, "plain", a.Body)
	}
}

// A client whose window is small and shut: the application waits for it, and
// goes on when it reads.
func TestHTTP3SmallWindow(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t, `
        wsgi_buffer_size 4k;
        location /unbuffered/ { wsgi_buffering off; wsgi_script_name /unbuffered; wsgi_pass kitchen; }`)
	client := http3Client(t, n, 4096)

	target := "/response/counted/" + name(t) + "?size=10000&count=100"
	resp, err := http3Open(n, client, "GET", "/unbuffered"+target, nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	a, err := http3Do(n, client, "GET", "/response/big?size=10000&count=100", nil)
	require.NoError(t, err)
	assert.Len(t, a.Body, 1000000, "another stream, meanwhile")
	assert.Less(t, len(n.notes(t, name(t), 1)), 20, "the application is ahead of its client")

	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("x", 1000000), string(got))
	n.notes(t, name(t), 100)

	resp, err = http3Open(n, client, "GET", target, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close()) // STOP_SENDING
	a, err = http3Do(n, client, "GET", "/response/plain", nil)
	require.NoError(t, err)
	assert.Equal(t, "plain", a.Body)
}
