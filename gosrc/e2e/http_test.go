//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// HTTP/1.0: no chunks, the end of the connection ends the body, and keep-alive
// only where a length is known.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)

	w := n.dial(t)
	w.send("GET /response/write HTTP/1.0\n\n")
	r := w.reply("GET")
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, byClose, r.Framing)
	assert.Equal(t, "one,two,three", r.Body)
	assert.NoError(t, r.Err)

	w = n.dial(t)
	w.send("GET /response/plain HTTP/1.0\nConnection: keep-alive\n\n")
	assert.Equal(t, "plain", w.reply("GET").Body)
	w.send("GET /framing/generator HTTP/1.0\nConnection: keep-alive\n\n")
	r = w.reply("GET")
	assert.Equal(t, "hello", r.Body)
	assert.Equal(t, byClose, r.Framing)

	w = n.dial(t)
	w.send("GET /environ/dump HTTP/1.0\n\n")
	var e environ
	decode(t, w.reply("GET").Body, &e)
	assert.Equal(t, "HTTP/1.0", e.str(t, "SERVER_PROTOCOL"))
	assert.NotContains(t, e, "HTTP_HOST")
	assert.NotEmpty(t, e.str(t, "SERVER_NAME"))
}

// Requests sent at once are answered in their order, whatever they are.
func TestPipelining(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	text := ""
	want := []string{}
	for i := range 10 {
		text += requestText("GET", "/timing/sleep/0.0"+fmt.Sprint(9-i), nil)
		text += fmt.Sprintf("POST /body/echo HTTP/1.1\nHost: a\nContent-Length: 2\n\n%02d", i)
		text += requestText("GET", "/framing/generator", nil)
		want = append(want, "slept", fmt.Sprintf("%02d", i), "hello")
	}
	w.send(text + requestText("GET", "/failing/before", nil))
	for _, body := range want {
		assert.Equal(t, body, w.reply("GET").Body)
	}
	assert.Equal(t, 500, w.reply("GET").Status)
	w.needClosed()
}

// Many requests on one connection, and many connections at once.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	n := start(t, "keepalive_requests 10000;"+kitchen)
	w := n.dial(t)
	for range 1000 {
		require.Equal(t, "plain", w.get("/response/plain").Body)
	}
	load := startLoad(t, n, 32)
	load.more(3000)
	load.stop()
}

// certificate writes a self-signed one for 127.0.0.1 and returns a pool that
// trusts it.
func certificate(t *testing.T) (option, option, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)

	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	return file("cert.pem", string(cert)), file("key.pem", string(private)), pool
}

// startHTTP2 starts the kitchen behind TLS and returns a client of HTTP/2.
func startHTTP2(t *testing.T, directives ...string) (*instance, *http.Client) {
	t.Helper()
	return startHTTP2With(t, "", nil, directives...)
}

// startHTTP2With has directives of the http block, and options, too.
func startHTTP2With(
	t *testing.T, outside string, opts []option, directives ...string,
) (*instance, *http.Client) {
	t.Helper()
	cert, key, pool := certificate(t)
	n := start(t, outside+`
    ssl_certificate {{.Dir}}/cert.pem;
    ssl_certificate_key {{.Dir}}/key.pem;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        listen {{.Addr2}} ssl http2;
        `+strings.Join(directives, "\n")+`
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`, append(opts, cert, key)...)

	client := newClient()
	client.Transport = &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}
	t.Cleanup(client.CloseIdleConnections)

	// One connection for all that follow: requests that begin at once would
	// dial one each, and what is dialled too late nobody closes.
	a, err := http2Do(t, n, client, "GET", "/nginx", nil)
	require.NoError(t, err)
	require.Equal(t, "nginx", a.Body)
	return n, client
}

func http2Do(
	t *testing.T, n *instance, client *http.Client, method, target string, body io.Reader,
) (*answer, error) {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+n.Addr2+target, body)
	require.NoError(t, err)
	return exchange(client, req)
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)

	a, err := http2Do(t, n, client, "GET", "/environ/dump/%C5%BE?q=1", nil)
	require.NoError(t, err)
	var e environ
	decode(t, a.Body, &e)
	assert.Equal(t, "HTTP/2.0", e.str(t, "SERVER_PROTOCOL"))
	assert.Equal(t, "https", e.str(t, "wsgi.url_scheme"))
	assert.Equal(t, n.Addr2, e.str(t, "HTTP_HOST"))
	assert.Equal(t, "/environ/dump/\u00c5\u00be", e.str(t, "PATH_INFO"))
	assert.Equal(t, "q=1", e.str(t, "QUERY_STRING"))

	large := strings.Repeat("0123456789", 90000)
	for _, chunked := range []bool{false, true} {
		a, err = http2Do(t, n, client, "POST", "/body/echo", body(large, chunked))
		require.NoError(t, err)
		assert.Equal(t, large, a.Body)
	}

	for target, want := range map[string]string{
		"/framing/generator": "hello", "/framing/single": "hello", "/response/write": "one,two,three",
		"/framing/empty_generator": "", "/framing/no_body/204": "", "/headers/hop?transfer": "body",
		"/headers/hop?connection": "body",
	} {
		a, err = http2Do(t, n, client, "GET", target, nil)
		require.NoError(t, err, target)
		assert.Equal(t, want, a.Body, target)
		assert.Empty(t, a.Header.Get("Connection"))
		assert.Empty(t, a.Header.Get("Transfer-Encoding"))
	}
	a, err = http2Do(t, n, client, "HEAD", "/framing/single", nil)
	require.NoError(t, err)
	assert.Equal(t, "5", a.Header.Get("Content-Length"))
}

// A failure after the headers resets the stream, and only the stream.
func TestHTTP2LateFailure(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)
	for _, target := range []string{
		"/failing/late", "/failing/late_length", "/framing/length?length=50&chunks=hello",
	} {
		_, err := http2Do(t, n, client, "GET", target, nil)
		assert.Error(t, err, "%s looks complete", target)
		a, err := http2Do(t, n, client, "GET", "/response/plain", nil)
		require.NoError(t, err)
		assert.Equal(t, "plain", a.Body)
	}
}

// Many streams of one connection at once.
func TestHTTP2Concurrent(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)
	errs := make(chan error, 50)
	for i := range 50 {
		go func() {
			text := strings.Repeat(fmt.Sprint(i), 1000)
			req, err := http.NewRequest("POST", "https://"+n.Addr2+"/body/echo", strings.NewReader(text))
			if err == nil {
				var a *answer
				if a, err = exchange(client, req); err == nil && a.Body != text {
					err = fmt.Errorf("stream %d got another's body", i)
				}
			}
			errs <- err
		}()
	}
	for range 50 {
		assert.NoError(t, <-errs)
	}
}

// Headers in HTTP/2 are lower case, and cookies come in pieces.
func TestHTTP2Headers(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2(t)
	req, err := http.NewRequest("GET", "https://"+n.Addr2+"/environ/dump", nil)
	require.NoError(t, err)
	req.Header["Cookie"] = []string{"a=1; b=2", "c=3"}
	req.Header["X-List"] = []string{"a", "b"}
	a, err := exchange(client, req)
	require.NoError(t, err)
	var e environ
	decode(t, a.Body, &e)
	assert.Equal(t, "a=1; b=2; c=3", e.str(t, "HTTP_COOKIE"))
	assert.Equal(t, "a, b", e.str(t, "HTTP_X_LIST"))
}

// A filter does not keep chunks back.
func TestStreamThroughGzip(t *testing.T) {
	t.Parallel()
	n := start(t, "gzip on; gzip_min_length 1; gzip_types text/plain;"+kitchen)
	w := n.dial(t)
	w.request("GET", "/response/chunks/"+name(t), "Accept-Encoding: gzip")
	require.Equal(t, "gzip", w.head().get(t, "Content-Encoding"))

	pipe, in := io.Pipe()
	go func() {
		for {
			data, err := w.chunk()
			if err != nil || data == "" {
				_ = in.CloseWithError(err)
				return
			}
			_, _ = io.WriteString(in, data)
		}
	}()
	text, err := gzip.NewReader(pipe)
	require.NoError(t, err)
	for _, step := range []struct{ chunk, event string }{
		{"one", "-2"}, {"two", "-3"}, {"three", ""},
	} {
		got := make([]byte, len(step.chunk))
		_, err = io.ReadFull(text, got)
		require.NoError(t, err)
		assert.Equal(t, step.chunk, string(got))
		n.setEvent(t, name(t)+step.event)
	}
}

// nginx's own directives keep working at a wsgi_pass location.
func TestInConcert(t *testing.T) {
	t.Parallel()
	n := start(t, `
    gzip on;
    gzip_min_length 1;
    gzip_types text/plain;
    client_max_body_size 10;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        add_header X-Added always;
        location / { wsgi_pass kitchen; }
        location /internal { internal; wsgi_pass kitchen; }
        location /guarded/ {
            auth_request /response/plain;
            rewrite ^/guarded(.*) $1 break;
            wsgi_pass kitchen;
        }
        location /forbidden/ {
            auth_request /denied;
            wsgi_pass kitchen;
        }
        location = /denied { return 403; }
        location /intercepted { error_page 418 = /response/plain; return 418; }
    }`)

	a := n.get(t, "/response/big?size=10000&count=3", "Accept-Encoding: gzip")
	assert.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	assert.Less(t, len(a.Body), 3000)
	assert.Equal(t, "always", a.Header.Get("X-Added"))

	assert.Equal(t, 413, n.post(t, "/body/echo", "more than ten bytes").Status)
	assert.Equal(t, 404, n.get(t, "/internal").Status)
	assert.Equal(t, "plain", n.text(t, "/guarded/response/plain"))
	assert.Equal(t, 403, n.get(t, "/forbidden/x").Status)
	assert.Equal(t, "plain", n.text(t, "/intercepted"))
}
