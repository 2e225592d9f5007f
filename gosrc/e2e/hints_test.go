//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sendsHints says whether this nginx can send 103 (Early Hints).
func sendsHints(t *testing.T) bool {
	t.Helper()
	return nginxMinor(t) >= 29
}

// nginxMinor is the second number of nginx's version.
func nginxMinor(t *testing.T) int {
	t.Helper()
	out, err := exec.Command(the.nginx, "-v").CombinedOutput()
	require.NoError(t, err)
	found := regexp.MustCompile(`nginx/1\.(\d+)`).FindSubmatch(out)
	require.NotNil(t, found, "%s", out)
	minor, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return minor
}

// The key is there exactly where it works.
func TestEarlyHintsKey(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	want := "False"
	if sendsHints(t) {
		want = "True"
	}
	assert.Equal(t, want, n.text(t, "/accel/has_hints"))
}

const hinting = `
    early_hints 1;
    wsgi_hide_header X-Hidden;
    ssl_certificate {{.Dir}}/cert.pem;
    ssl_certificate_key {{.Dir}}/key.pem;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        listen {{.Addr2}} ssl;
        http2 on;
        location / { wsgi_pass kitchen; }
        location /off/ { early_hints 0; wsgi_script_name /off; wsgi_pass kitchen; }
        location /sub/ { auth_request /accel/many_hints; wsgi_script_name /sub; wsgi_pass kitchen; }
    }`

// Hints come before the response, at once, and are not part of it.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	if !sendsHints(t) {
		t.Skip("this nginx cannot send them")
	}
	cert, key, pool := certificate(t)
	n := start(t, hinting, cert, key)

	w := n.dial(t)
	w.request("GET", "/accel/hints/"+name(t))
	r := w.head()
	assert.Equal(t, 103, r.Status)
	assert.Equal(t, []field{{"Link", "</a.css>; rel=preload"}}, r.Fields)
	assert.True(t, w.silent(), "the application waits")
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"</b.css>; rel=preload"}, w.head().values("Link"))
	r = w.reply("GET")
	assert.Equal(t, 200, r.Status)
	assert.Empty(t, r.values("Link"))
	assert.Equal(t, "firstlast", r.Body, "what is too late is dropped")

	r = w.get("/off/accel/hints/" + name(t))
	assert.Equal(t, []any{200, "firstlast"}, []any{r.Status, r.Body})
	r = w.get("/sub/response/plain")
	assert.Equal(t, []any{200, "plain"}, []any{r.Status, r.Body}, "a subrequest has no hints")

	w = n.dial(t)
	w.send("GET /accel/hints/" + name(t) + " HTTP/1.0\n\n")
	assert.Equal(t, 200, w.reply("GET").Status, "HTTP/1.0 knows no interim responses")

	client := newClient()
	client.Transport = &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequest("GET", "https://"+n.Addr2+"/accel/hints/"+name(t), nil)
	require.NoError(t, err)
	var links []string
	a, err := exchange(client, req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			assert.Equal(t, 103, code)
			links = append(links, header.Values("Link")...)
			return nil
		},
	})))
	require.NoError(t, err)
	assert.Equal(t, "firstlast", a.Body)
	assert.Equal(t, []string{"</a.css>; rel=preload", "</b.css>; rel=preload"}, links)
}

// An application that never stops to hint is stopped.
func TestManyEarlyHints(t *testing.T) {
	t.Parallel()
	if !sendsHints(t) {
		t.Skip("this nginx cannot send them")
	}
	cert, key, _ := certificate(t)
	n := start(t, hinting, cert, key)
	w := n.dial(t)
	w.request("GET", "/accel/many_hints")
	count := 0
	for w.head().Status == 103 {
		count++
	}
	assert.Greater(t, count, 50)
	assert.Less(t, count, 70)
	n.waitLog(`\[warn\].*more than 64 KB of early hints`)
}
