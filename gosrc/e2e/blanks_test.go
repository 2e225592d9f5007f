//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lines of a head whose values have spaces and tabs around them, and what
// environ has: RFC 9110 5.5, they are not part of the value.
var blankCases = []struct{ lines, key, want string }{
	{"X-A:\tv", "HTTP_X_A", "v"},
	{"X-A:v\t", "HTTP_X_A", "v"},
	{"X-A: \t v \t ", "HTTP_X_A", "v"},
	{"X-A:\t\t v\tw  x\t \t", "HTTP_X_A", "v\tw  x"},
	{"X-A:\t", "HTTP_X_A", ""},
	{"X-A: \t \t", "HTTP_X_A", ""},
	{"X-A:\ta\t\nX-A: \t\nx-a:b \t", "HTTP_X_A", "a, , b"},
	{"Cookie:\ta=1\t\nCookie: b=2 \t", "HTTP_COOKIE", "a=1; b=2"},
	{"Authorization:\tBasic eDp5\t", "HTTP_AUTHORIZATION", "Basic eDp5"},
	{"Content-Type:\ttext/x; a=\tb\t ", "CONTENT_TYPE", "text/x; a=\tb"},
	{"Content-Type:\t", "CONTENT_TYPE", ""},
}

func TestBlanksAroundValues(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range blankCases {
		w := n.dial(t)
		w.send("GET /environ/dump HTTP/1.1\nHost: a\n" + c.lines + "\n\n")
		r := w.reply("GET")
		require.Equal(t, 200, r.Status, "%q", c.lines)
		var e environ
		decode(t, r.Body, &e)
		assert.Equal(t, c.want, e.str(t, c.key), "%q", c.lines)
	}
}

// nginx since 1.21.1 refuses a host with a tab; before it, none reaches environ.
func TestBlanksAroundHost(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen unix:{{.Sock}}; listen {{.Addr}}; location / { wsgi_pass kitchen; } }`)
	w := dialTo(t, "unix", n.Sock)
	w.send("GET /environ/dump HTTP/1.1\nHost:\ta.example:81\t\n\n")
	r := w.reply("GET")
	if r.Status == 400 {
		return
	}
	require.Equal(t, 200, r.Status)
	var e environ
	decode(t, r.Body, &e)
	assert.Equal(t, "a.example:81", e.str(t, "HTTP_HOST"))
	assert.Equal(t, "81", e.str(t, "SERVER_PORT"))
	assert.NotContains(t, e.str(t, "SERVER_NAME"), "\t")
}

func TestBlanksHTTP2(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)
	req, err := http.NewRequest("POST", "https://"+n.Addr2+"/environ/dump", strings.NewReader("x"))
	require.NoError(t, err)
	req.Header["X-A"] = []string{"\ta\tb \t", " \t", "c\t"}
	req.Header["Content-Type"] = []string{"\ttext/x\t"}
	a, err := exchange(client, req)
	require.NoError(t, err)
	require.Equal(t, 200, a.Status)
	var e environ
	decode(t, a.Body, &e)
	assert.Equal(t, "a\tb, , c", e.str(t, "HTTP_X_A"))
	assert.Equal(t, "text/x", e.str(t, "CONTENT_TYPE"))
}
