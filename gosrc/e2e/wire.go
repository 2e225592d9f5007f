//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wire is a client that writes and reads bytes, for tests in which it matters
// how a response is framed and when its parts come.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial connects to the instance's first address.
func (n *instance) dial(t *testing.T) *wire {
	t.Helper()
	return dialTo(t, "tcp", n.Addr)
}

func dialTo(t *testing.T, network, addr string) *wire {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, patience)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// send writes text; a newline stands for CR LF.
func (w *wire) send(text string) {
	w.t.Helper()
	w.sendRaw(strings.ReplaceAll(text, "\n", "\r\n"))
}

// sendRaw writes text as it is.
func (w *wire) sendRaw(text string) {
	w.t.Helper()
	_, err := io.WriteString(w.Conn, text)
	require.NoError(w.t, err)
}

// request sends a request without a body.
func (w *wire) request(method, target string, headers ...string) {
	w.t.Helper()
	w.send(requestText(method, target, headers))
}

func requestText(method, target string, headers []string) string {
	text := method + " " + target + " HTTP/1.1\nHost: localhost\n"
	for _, h := range headers {
		text += h + "\n"
	}
	return text + "\n"
}

// get sends a GET request and reads the response.
func (w *wire) get(target string, headers ...string) *reply {
	w.t.Helper()
	w.request("GET", target, headers...)
	return w.reply("GET")
}

// abort closes the connection with a reset.
func (w *wire) abort() {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = w.Close()
}

// framing says how the end of a body is told.
type framing string

const (
	byNothing framing = "no body"
	byLength  framing = "length"
	byChunks  framing = "chunked"
	byClose   framing = "close"
)

type field struct{ name, value string }

// reply is a response as it was on the wire.
type reply struct {
	Proto   string
	Status  int
	Reason  string
	Fields  []field
	Framing framing
	Body    string
	Chunks  []string // if Framing is byChunks
	Err     error    // nil: the body ended as its framing says
}

// get returns the only value of a header, or "".
func (r *reply) get(t *testing.T, name string) string {
	t.Helper()
	values := r.values(name)
	if len(values) == 0 {
		return ""
	}
	require.Len(t, values, 1, "header %s", name)
	return values[0]
}

func (r *reply) values(name string) []string {
	var found []string
	for _, f := range r.Fields {
		if strings.EqualFold(f.name, name) {
			found = append(found, f.value)
		}
	}
	return found
}

// complete says that the response ended as promised.
func (r *reply) complete() bool { return r.Err == nil }

// cut says that the client can tell that something is missing.
func (r *reply) cut() bool {
	return r.Framing != byClose && (errors.Is(r.Err, io.ErrUnexpectedEOF) ||
		errors.Is(r.Err, io.EOF) || errors.Is(r.Err, syscall.ECONNRESET))
}

func (w *wire) line() (string, error) {
	text, err := w.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(text, "\r\n") {
		return "", fmt.Errorf("line %q does not end in CR LF", text)
	}
	return text[:len(text)-2], nil
}

// head reads status line and headers of a response, interim or final.
func (w *wire) head() *reply {
	w.t.Helper()
	text, err := w.line()
	require.NoError(w.t, err, "status line")

	part := strings.SplitN(text, " ", 3)
	require.Len(w.t, part, 3, "status line %q", text)
	r := &reply{Proto: part[0], Reason: part[2]}
	r.Status, err = strconv.Atoi(part[1])
	require.NoError(w.t, err, "status line %q", text)

	for {
		text, err = w.line()
		require.NoError(w.t, err, "header")
		if text == "" {
			return r
		}
		name, value, found := strings.Cut(text, ":")
		require.True(w.t, found, "header %q", text)
		r.Fields = append(r.Fields, field{name, strings.TrimPrefix(value, " ")})
	}
}

// reply reads a whole response to "method".  That the body is not complete is
// told in Err and fails nothing.
func (w *wire) reply(method string) *reply {
	w.t.Helper()
	r := w.head()
	w.body(r, method)
	return r
}

func (w *wire) body(r *reply, method string) {
	w.t.Helper()
	length := r.get(w.t, "Content-Length")
	chunked := r.get(w.t, "Transfer-Encoding") == "chunked"
	require.False(w.t, chunked && length != "", "both framings at once")

	switch {
	case method == "HEAD" || r.Status == 204 || r.Status == 304 || r.Status < 200:
		r.Framing = byNothing
	case chunked:
		r.Framing = byChunks
		w.chunks(r)
	case length != "":
		r.Framing = byLength
		n, err := strconv.Atoi(length)
		require.NoError(w.t, err)
		body := make([]byte, n)
		n, r.Err = io.ReadFull(w.r, body)
		r.Body = string(body[:n])
	default:
		r.Framing = byClose
		body, err := io.ReadAll(w.r)
		r.Body, r.Err = string(body), err
	}
}

func (w *wire) chunks(r *reply) {
	for {
		data, err := w.chunk()
		if err != nil || data == "" {
			r.Err = err
			return
		}
		r.Chunks = append(r.Chunks, data)
		r.Body += data
	}
}

// chunk reads one chunk; "" is the last one.
func (w *wire) chunk() (string, error) {
	text, err := w.line()
	if err != nil {
		return "", err
	}
	size, err := strconv.ParseInt(text, 16, 64)
	if err != nil {
		return "", err
	}
	data := make([]byte, size+2)
	if _, err = io.ReadFull(w.r, data); err != nil {
		return "", err
	}
	if string(data[size:]) != "\r\n" {
		return "", fmt.Errorf("chunk of %d does not end in CR LF", size)
	}
	return string(data[:size]), nil
}

// needChunk reads a chunk that has to come.
func (w *wire) needChunk(want string) {
	w.t.Helper()
	data, err := w.chunk()
	require.NoError(w.t, err)
	require.Equal(w.t, want, data)
}

// silent says that nothing has come so far.
func (w *wire) silent() bool {
	_ = w.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := w.r.Peek(1)
	_ = w.SetReadDeadline(time.Now().Add(patience))

	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// needClosed fails unless the server closes the connection and sends nothing.
func (w *wire) needClosed() {
	w.t.Helper()
	b, err := w.r.ReadByte()
	if !errors.Is(err, syscall.ECONNRESET) {
		require.ErrorIs(w.t, err, io.EOF, "byte %q instead of the end", b)
	}
}
