//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"
)

// startHTTP3 starts the kitchen behind QUIC at Addr2, with further directives
// of the server, or skips the test: nginx has QUIC since 1.25.
func startHTTP3(t *testing.T, directives ...string) *instance {
	t.Helper()
	out, err := exec.Command(the.nginx, "-V").CombinedOutput()
	require.NoError(t, err)
	if !strings.Contains(string(out), "http_v3_module") {
		t.Skip("this nginx has no http_v3_module")
	}
	cert, key, _ := certificate(t)
	return start(t, `
    ssl_certificate {{.Dir}}/cert.pem;
    ssl_certificate_key {{.Dir}}/key.pem;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        listen {{.Addr2}} quic;
        `+strings.Join(directives, "\n")+`
        location / { wsgi_pass kitchen; }
    }`, cert, key)
}

// http3Client makes a client of HTTP/3.  It grants "window" bytes of each
// response that it has not read, so that a body that nobody reads stops there;
// 0 is as much as is usual.
func http3Client(t *testing.T, n *instance, window uint64) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(readFile(filepath.Join(n.Dir, "cert.pem")))))

	transport := &http3.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{RootCAs: pool, ServerName: "localhost"},
		QUICConfig: &quic.Config{
			InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
		},
	}
	client := newClient()
	client.Transport = transport
	t.Cleanup(func() { _ = transport.Close() })
	return client
}

// http3Open begins a request and returns when the head of its response is
// there; the caller reads and closes the body.
func http3Open(
	n *instance, client *http.Client, method, target string, body io.Reader,
) (*http.Response, error) {
	req, err := http.NewRequest(method, "https://"+n.Addr2+target, body)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// http3Do is a whole request.
func http3Do(
	n *instance, client *http.Client, method, target string, body io.Reader,
) (*answer, error) {
	req, err := http.NewRequest(method, "https://"+n.Addr2+target, body)
	if err != nil {
		return nil, err
	}
	return exchange(client, req)
}
