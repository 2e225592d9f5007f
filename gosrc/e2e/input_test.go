//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One server for bodies in memory, one whose buffers are so small that every
// body is in nginx's temporary file.
func inputServers(t *testing.T) map[string]*instance {
	t.Helper()
	return map[string]*instance{
		"memory": start(t, "client_max_body_size 0; client_body_buffer_size 64k;"+kitchen),
		"stream": start(t, "client_max_body_size 0; wsgi_request_buffering off;"+kitchen),
		"file":   start(t, "client_max_body_size 0; client_body_in_file_only clean;"+kitchen),
	}
}

// The ways to read, and what they give.
var inputCases = []struct {
	body, steps string
	want        string // JSON
}{
	{"hello", "read", `["hello"]`},
	{"hello", "read:-1", `["hello"]`},
	{"hello", "read:None", `["hello"]`},
	{"hello", "read:0,read", `["", "hello"]`},
	{"hello", "read:2,read:2,read:2,read:2", `["he", "ll", "o", ""]`},
	{"hello", "read,read,read:5", `["hello", "", ""]`},
	{"hello", "read:500000000", `["hello"]`},
	{"", "read,read:1,readline,readlines,iter", `["", "", "", [], []]`},
	{"a\nb\nc", "readline,readline,readline,readline", `["a\n", "b\n", "c", ""]`},
	{"a\n\nb\n", "readline,readline,readline,readline", `["a\n", "\n", "b\n", ""]`},
	{"abc\ndef", "readline:2,readline:2,readline:0,readline:10", `["ab", "c\n", "", "def"]`},
	{"abc\ndef", "readline:-1,readline:None", `["abc\n", "def"]`},
	{"a\nb\nc", "readlines", `[["a\n", "b\n", "c"]]`},
	{"a\nb\nc\n", "readlines:1,readlines", `[["a\n"], ["b\n", "c\n"]]`},
	{"a\nb\nc\n", "readlines:3,readlines:0", `[["a\n", "b\n"], ["c\n"]]`},
	{"a\nb\nc", "iter", `[["a\n", "b\n", "c"]]`},
	{"a\nb\nc", "next,read:1,next,next", `["a\n", "b", "\n", "c"]`},
	{"a\nb\nc", "next,next,next,next", `["a\n", "b\n", "c", null]`},
	{"a\r\nb\rc", "readlines", `[["a\r\n", "b\rc"]]`},
	{"\x00\xff\n\x80", "readlines", "[[\"\\u0000\u00ff\\n\", \"\u0080\"]]"},
	{"line\nrest", "readline,read", `["line\n", "rest"]`},
	{"line\nrest", "read:2,readline,iter", `["li", "ne\n", ["rest"]]`},
}

func TestInput(t *testing.T) {
	t.Parallel()
	for where, n := range inputServers(t) {
		for _, c := range inputCases {
			for _, chunked := range []bool{false, true} {
				label := fmt.Sprintf("%s: %q %s chunked=%v", where, c.body, c.steps, chunked)
				a := n.do(t, "POST", "/body/steps?do="+c.steps, body(c.body, chunked))
				require.Equal(t, 200, a.Status, label)
				assert.JSONEq(t, c.want, a.Body, label)
			}
		}
	}
}

// body hides its length where the request is to be chunked.
func body(text string, chunked bool) io.Reader {
	if chunked {
		return io.MultiReader(strings.NewReader(text))
	}
	return strings.NewReader(text)
}

// Larger bodies arrive as they were sent, read in pieces or line by line.
func TestInputLarge(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 1021) + "\r\n\n"
	for where, n := range inputServers(t) {
		for _, size := range []int{1 << 10, 1 << 16, 1<<16 + 1, 8 << 20} {
			data := bytes.Repeat([]byte(line), size/len(line)+1)[:size]
			sum := sha256.Sum256(data)
			want := fmt.Sprintf(`[%d, "%s"]`, size, hex.EncodeToString(sum[:]))

			for _, piece := range []string{"1000", "65536", "100000000"} {
				a := n.do(t, "POST", "/body/digest?size="+piece, bytes.NewReader(data))
				assert.JSONEq(t, want, a.Body, "%s %d by %s", where, size, piece)
			}
			a := n.do(t, "POST", "/body/lines", body(string(data), true))
			lines := len(bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")))
			assert.JSONEq(t, fmt.Sprintf(`[%d, "%s"]`, lines, hex.EncodeToString(sum[:])),
				a.Body, "%s: %d bytes by lines", where, size)
		}
	}
}

// What an old application reads, CONTENT_LENGTH bytes, is there for a chunked
// request too.
func TestInputContentLength(t *testing.T) {
	t.Parallel()
	servers := inputServers(t)
	delete(servers, "stream") // a chunked one has no length
	for where, n := range servers {
		for _, chunked := range []bool{false, true} {
			a := n.do(t, "POST", "/body/echo_length", body("hello", chunked))
			assert.Equal(t, "hello", a.Body, "%s chunked=%v", where, chunked)
		}
	}
}

// A body that is not read does no harm to the request after it.
func TestInputUnread(t *testing.T) {
	t.Parallel()
	smuggled := "GET /headers/cookies HTTP/1.1\r\nHost: a\r\n\r\n"
	servers := inputServers(t)
	delete(servers, "stream") // closes, see TestStreamingUnread
	for _, n := range servers {
		for _, size := range []int{1, 100, 1 << 20} {
			data := strings.Repeat(smuggled, size/len(smuggled)+1)

			w := n.dial(t)
			w.sendRaw(fmt.Sprintf("POST /body/unread HTTP/1.1\r\nHost: a\r\n"+
				"Content-Length: %d\r\n\r\n", len(data)))
			w.sendRaw(data)
			assert.Equal(t, "unread", w.reply("POST").Body)
			assert.Equal(t, "plain", w.get("/response/plain").Body, "keep-alive")

			w.sendRaw(fmt.Sprintf("POST /body/unread HTTP/1.1\r\nHost: a\r\n"+
				"Content-Length: %d\r\n\r\n%sGET /response/write HTTP/1.1\r\nHost: a\r\n\r\n",
				len(data), data))
			assert.Equal(t, "unread", w.reply("POST").Body)
			assert.Equal(t, "one,two,three", w.reply("GET").Body, "pipelined")
			assert.Equal(t, "plain", w.get("/response/plain").Body)
		}
	}
}

// A chunked request, byte by byte, with an extension and a trailer, and one
// that follows it at once.
func TestInputChunkedOnTheWire(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	head := "POST /body/echo HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"
	for _, b := range head + "5\nhello\n6;ext=1\n world\n0\nX-Trailer: a\n\n" {
		w.send(string(b))
	}
	assert.Equal(t, "hello world", w.reply("POST").Body)

	w.send(head + "3\none\n0\n\n" + head + "3\ntwo\n0\n\n")
	assert.Equal(t, "one", w.reply("POST").Body)
	assert.Equal(t, "two", w.reply("POST").Body)
}

const expect = "Expect: 100-continue"

const expectServer = `
    client_max_body_size 100;` + kitchen + `
    server {
        listen {{.Addr2}};
        location / { deny all; wsgi_pass kitchen; }
        location /off { wsgi_pass_request_body off; wsgi_pass kitchen; }
    }`

// 100 Continue comes when the body is wanted, and only then.
func TestInputExpectContinue(t *testing.T) {
	t.Parallel()
	n := start(t, expectServer)

	w := n.dial(t)
	w.request("POST", "/body/echo", expect, "Content-Length: 5")
	assert.Equal(t, 100, w.head().Status)
	w.body(&reply{Status: 100}, "POST")
	w.sendRaw("hello")
	assert.Equal(t, "hello", w.reply("POST").Body)

	w = n.dial(t)
	w.request("POST", "/body/echo", expect, "Content-Length: 1000")
	assert.Equal(t, 413, w.head().Status, "too large, and known before the body")

	w = dialTo(t, "tcp", n.Addr2)
	w.request("POST", "/body/echo", expect, "Content-Length: 5")
	assert.Equal(t, 403, w.head().Status, "refused before the body")
}

// And not for a client that does not wait for it.
func TestInputExpectNothing(t *testing.T) {
	t.Parallel()
	n := start(t, expectServer)

	w := n.dial(t)
	w.send("POST /body/echo HTTP/1.0\nExpect: 100-continue\nContent-Length: 5\n\nhello")
	assert.Equal(t, 200, w.head().Status, "HTTP/1.0 knows of no 100")

	w = n.dial(t)
	w.request("POST", "/body/echo", expect, "Content-Length: 5")
	w.sendRaw("hello")
	first := w.reply("POST")
	if first.Status == 100 {
		first = w.reply("POST")
	}
	assert.Equal(t, "hello", first.Body, "a client that does not wait")
}

// The application is called when the body has arrived, not before: a client
// that is slow to send holds no thread.
func TestInputSlowClientHoldsNoThread(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen)
	w := n.dial(t)
	w.request("POST", "/body/early/"+name(t), "Content-Length: 5")
	w.sendRaw("he")
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Empty(t, n.notes(t, name(t), 0))

	n.setEvent(t, name(t))
	w.sendRaw("llo")
	assert.Equal(t, "early", w.reply("POST").Body)
}

// A client that goes in the middle of its body: the application is not called.
func TestInputCutShort(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	w.request("POST", "/body/early/"+name(t), "Content-Length: 5")
	w.sendRaw("he")
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
	w.abort()
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Empty(t, n.notes(t, name(t), 0))
}

// Bodies that are wrong are nginx's to refuse.
func TestInputWrongChunks(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, text := range []string{"zz\nhello\n", "5\nhelloworld\n", "-1\n\n"} {
		w := n.dial(t)
		w.send("POST /body/echo HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" + text)
		assert.Equal(t, 400, w.reply("POST").Status, "%q", text)
	}
}

// A stream that the application keeps is of no use after its request, and
// does no harm.
func TestInputStale(t *testing.T) {
	t.Parallel()
	for _, n := range inputServers(t) {
		assert.Equal(t, "kept", n.post(t, "/body/keep", strings.Repeat("x", 100000)).Body)
		assert.Contains(t, []string{"ValueError", "RuntimeError", "OSError"},
			n.text(t, "/body/stale"))
	}
}

// Reading and sending by turns.
func TestInputWhileStreaming(t *testing.T) {
	t.Parallel()
	for _, n := range inputServers(t) {
		assert.Equal(t, "HELLO WORLD", n.post(t, "/body/while_streaming", "hello world").Body)
	}
}

// A body is there after an internal redirect as well.
func TestInputAfterRewrite(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /moved { rewrite ^ /body/echo last; }
        location /named { try_files /none @named; }
        location @named { rewrite ^ /body/echo break; wsgi_pass kitchen; }
    }`)
	assert.Equal(t, "hello", n.post(t, "/moved", "hello").Body)
	assert.Equal(t, "hello", n.post(t, "/named", "hello").Body)
}

// A body in a file with a name can be taken as a whole.
func TestInputFileRename(t *testing.T) {
	t.Parallel()
	n := start(t, "client_max_body_size 0; client_body_in_file_only clean;"+kitchen)
	data := strings.Repeat("0123456789", 100000)
	assert.Equal(t, data, n.post(t, "/body/rename", data).Body)
	assert.Equal(t, "no file", n.text(t, "/body/rename"))
}

// fileno() is that of nginx's file, at its start; a body in memory has none.
func TestInputFileno(t *testing.T) {
	t.Parallel()
	servers := inputServers(t)
	data := strings.Repeat("0123456789", 1000)
	assert.Equal(t, data, servers["file"].post(t, "/body/copy_fd", data).Body)
	assert.Equal(t, "UnsupportedOperation", servers["memory"].post(t, "/body/copy_fd", data).Body)
}
