//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startHTTP3 starts the kitchen behind QUIC.  nginx has it since 1.25, Debian's
// curl since Debian 13.
func startHTTP3(t *testing.T) *instance {
	t.Helper()
	needBuilt(t, "http_v3_module", the.nginx, "-V")
	needBuilt(t, "HTTP3", "curl", "--version")
	cert, key, _ := certificate(t)
	return start(t, `
    ssl_certificate {{.Dir}}/cert.pem;
    ssl_certificate_key {{.Dir}}/key.pem;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        listen {{.Addr2}} quic;
        location / { wsgi_pass kitchen; }
    }`, cert, key)
}

// needBuilt skips the test unless a program says that it was built with it.
func needBuilt(t *testing.T, what string, name string, arg ...string) {
	t.Helper()
	out, err := exec.Command(name, arg...).CombinedOutput()
	require.NoError(t, err)
	if !bytes.Contains(out, []byte(what)) {
		t.Skipf("%s has no %s", name, what)
	}
}

// http3Do has curl ask; err is curl's.
func http3Do(n *instance, target, body string) (string, error) {
	cmd := exec.Command("curl", "--http3-only", "--insecure", "--silent", "--show-error",
		"--max-time", "60", "https://"+n.Addr2+target)
	if body != "" {
		cmd.Args = append(cmd.Args, "--data-binary", "@-")
		cmd.Stdin = strings.NewReader(body)
	}
	out, err := cmd.Output()
	return string(out), err
}

func TestHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t)

	out, err := http3Do(n, "/environ/dump?q=1", "")
	require.NoError(t, err)
	var e environ
	decode(t, out, &e)
	assert.Equal(t, "HTTP/3.0", e.str(t, "SERVER_PROTOCOL"))
	assert.Equal(t, "https", e.str(t, "wsgi.url_scheme"))
	assert.Equal(t, n.Addr2, e.str(t, "HTTP_HOST"))
	assert.Equal(t, "q=1", e.str(t, "QUERY_STRING"))

	large := strings.Repeat("0123456789", 90000)
	out, err = http3Do(n, "/body/echo", large)
	require.NoError(t, err)
	assert.Equal(t, large, out)
}

// A failure after the headers resets the stream.
func TestHTTP3LateFailure(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t)
	for _, target := range []string{
		"/failing/late", "/failing/late_length", "/framing/length?length=50&chunks=hello",
	} {
		_, err := http3Do(n, target, "")
		assert.Error(t, err, "%s looks complete", target)
		out, err := http3Do(n, "/response/plain", "")
		require.NoError(t, err)
		assert.Equal(t, "plain", out)
	}
}
