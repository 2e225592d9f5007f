//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// streaming serves the kitchen without waiting for bodies.  Events and notes
// have threads of their own.
const streaming = `
    client_max_body_size 0;
    wsgi_pool steering threads=2;
    wsgi_pool one threads=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        wsgi_request_buffering off;
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`

func chunkOf(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// The application answers what has come while the rest has not.
func TestStreamingRequest(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)
	for framing, c := range map[string]struct {
		header string
		frame  func(string) string
		end    string
	}{
		"length":  {"Content-Length: 8", func(s string) string { return s }, ""},
		"chunked": {"Transfer-Encoding: chunked", chunkOf, "0\r\n\r\n"},
	} {
		t.Run(framing, func(t *testing.T) {
			w := n.dial(t)
			w.request("POST", "/streaming/lines", c.header)
			r := w.head()
			w.needChunk("started\n")
			w.sendRaw(c.frame("one\n"))
			w.needChunk("ONE\n")
			w.sendRaw(c.frame("two\n") + c.end)
			w.needChunk("TWO\n")
			w.needChunk("end\n")
			assert.Equal(t, 200, r.Status)
		})
	}
}

// read1() gives what is there.
func TestStreamingRead1(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)
	w := n.dial(t)
	w.request("POST", "/streaming/pieces", "Transfer-Encoding: chunked")
	w.head()
	w.needChunk("started")
	for _, piece := range []string{"a", "bc", "def"} {
		w.sendRaw(chunkOf(piece))
		w.needChunk(piece)
	}
	w.sendRaw("0\r\n\r\n")
}

// The same bytes arrive, whatever the framing, and over HTTP/2.
func TestStreamingWhole(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcde\n"), 1<<18) // 4 MB
	want := fmt.Sprintf("%d %x ", len(data), sha256.Sum256(data))

	n := start(t, streaming)
	a := n.do(t, "POST", "/streaming/digest", bytes.NewReader(data))
	assert.Equal(t, want+fmt.Sprint(len(data)), a.Body)
	a = n.do(t, "POST", "/streaming/digest", io.MultiReader(bytes.NewReader(data)))
	assert.Equal(t, want+"none", a.Body)

	h2, client := startHTTP2(t)
	a, err := http2Do(t, h2, client, "POST", "/streaming/digest", bytes.NewReader(data[:1<<19]))
	require.NoError(t, err)
	assert.Contains(t, a.Body, fmt.Sprintf("%d %x", 1<<19, sha256.Sum256(data[:1<<19])))
}

// An application that does not read stops the client, not the memory.
func TestStreamingBackPressure(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)
	const size = 256 << 20
	conn, err := net.Dial("tcp", n.Addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST /streaming/held/%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
		name(t), size)

	block := make([]byte, 1<<20)
	sent := 0
	for {
		require.NoError(t, conn.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
		k, err := conn.Write(block)
		sent += k
		if err != nil {
			break
		}
		require.Less(t, sent, size, "the client was never stopped")
	}
	assert.Equal(t, []string{"one"}, n.notes(t, name(t), 1))
	assert.Less(t, sent, 32<<20, "what sockets and nginx hold")

	n.setEvent(t, name(t))
	before := rss(n.worker())
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(5*patience)))
	_, err = conn.Write(make([]byte, 64<<20))
	require.NoError(t, err)
	assert.Less(t, before, memory(64<<20))
}

// 100 Continue is an invitation: it goes out when the application reads, and
// not if it does not.
func TestStreamingContinue(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)

	w := n.dial(t)
	w.request("POST", "/streaming/digest", "Content-Length: 5", "Expect: 100-continue")
	assert.Equal(t, 100, w.head().Status)
	w.sendRaw("hello")
	assert.Contains(t, w.reply("POST").Body, "5 ")

	w = n.dial(t)
	w.request("POST", "/streaming/unread", "Content-Length: 5", "Expect: 100-continue")
	r := w.reply("POST")
	assert.Equal(t, 200, r.Status, "no 100 before it")
	assert.Equal(t, "close", r.get(t, "Connection"))
}

// A body that the application leaves does not become the next request.
func TestStreamingUnread(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)
	smuggled := "GET /nginx HTTP/1.1\r\nHost: a\r\n\r\n"

	w := n.dial(t)
	w.sendRaw(requestText("POST", "/streaming/unread",
		[]string{fmt.Sprintf("Content-Length: %d", len(smuggled))}) + smuggled)
	assert.Equal(t, "unread", w.reply("POST").Body)
	assert.Equal(t, "plain", w.get("/response/plain").Body, "all of it was there")

	w.request("POST", "/streaming/unread", "Content-Length: 1000000")
	w.sendRaw(strings.Repeat(smuggled, 10))
	r := w.reply("POST")
	assert.Equal(t, "unread", r.Body)
	assert.Equal(t, "close", r.get(t, "Connection"))
	w.needClosed()
}

// A client that vanishes in the middle of its upload raises in read().
func TestStreamingVanished(t *testing.T) {
	t.Parallel()
	n := start(t, streaming)
	for how, leave := range map[string]func(*wire){
		"closed": func(w *wire) { _ = w.Close() },
		"reset":  (*wire).abort,
	} {
		t.Run(how, func(t *testing.T) {
			w := n.dial(t)
			w.request("POST", "/streaming/vanished/"+name(t), "Content-Length: 100000")
			w.sendRaw(strings.Repeat("x", 50000))
			n.notes(t, name(t), 1)
			leave(w)
			assert.Equal(t, []string{"reads", "ClientDisconnected"}, n.notes(t, name(t), 2))
		})
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Zero(t, n.countLog("Traceback"), "a client that goes is nothing to trace back")
}

// The time that a slow client takes for its body is not the application's.
func TestStreamingTimeout(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_timeout 300ms;"+streaming)
	w := n.dial(t)
	w.request("POST", "/streaming/digest", "Content-Length: 3")
	for _, c := range "abc" {
		time.Sleep(250 * time.Millisecond) // the client is slow
		w.sendRaw(string(c))
	}
	assert.Equal(t, 200, w.reply("POST").Status)
}

// An upload larger than memory should be leaves the worker as small as it was,
// buffered by nginx or not.  NWSGI_LONG=1 sends 2 GB.
func TestUploadFlat(t *testing.T) {
	t.Parallel()
	size := int64(64 << 20)
	if os.Getenv("NWSGI_LONG") != "" {
		size = 2 << 30
	}
	for how, conf := range map[string]string{
		"buffered": "client_max_body_size 0;" + kitchen,
		"streamed": streaming,
	} {
		t.Run(how, func(t *testing.T) {
			n := start(t, conf)
			n.client.Timeout = 0 // as long as the machine needs for so much
			n.post(t, "/streaming/digest", "warm")
			before := rss(n.worker())

			a := n.do(t, "POST", "/streaming/digest", io.LimitReader(zeros{}, size))
			assert.Contains(t, a.Body, fmt.Sprint(size))
			assert.Less(t, rss(n.worker())-before, memory(8<<20))
		})
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
