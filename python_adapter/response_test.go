// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// serve runs the body of an application that has environ and start_response.
func serve(t *testing.T, body string) *hosttest.Response {
	t.Helper()
	return hosttest.Run(t, hosttest.Request{App: function(body)})
}

func function(body string) string {
	lines := strings.Split(strings.TrimSpace(body), "\n")
	return "import sys, time\n\ndef application(environ, start_response):\n    " +
		strings.Join(lines, "\n    ") + "\n"
}

// served asserts that the response is complete and nothing was logged.
func served(t *testing.T, r *hosttest.Response, body string) {
	t.Helper()
	assert.Equal(t, hosttest.OK, r.Result)
	assert.Equal(t, 1, r.Heads)
	assert.Equal(t, body, r.Body())
	assert.True(t, r.Last, "not complete")
	assert.False(t, r.Late, "something came after the end")
	assert.Empty(t, r.LogText())
}

// refused asserts that the failure came before the head, and what is logged.
func refused(t *testing.T, r *hosttest.Response, words string) {
	t.Helper()
	assert.Equal(t, hosttest.Error, r.Result)
	assert.Zero(t, r.Heads, "a head was sent")
	assert.Empty(t, r.Chunks)
	assert.Contains(t, r.LogText(), words)
}

// cut asserts that the failure came after the head.
func cut(t *testing.T, r *hosttest.Response, words string) {
	t.Helper()
	assert.Equal(t, hosttest.Error, r.Result)
	assert.Equal(t, 1, r.Heads)
	assert.False(t, r.Last, "it looks complete")
	assert.Contains(t, r.LogText(), words)
}

func TestResponse(t *testing.T) {
	r := serve(t, `
start_response("201 Made It", [("X-One", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
return [b"hel", b"lo"]`)
	served(t, r, "hello")
	assert.Equal(t, uint32(201), r.Status)
	assert.Equal(t, "Made It", r.Reason)
	assert.Equal(t, []hosttest.Field{
		{Name: "X-One", Value: "1"}, {Name: "Set-Cookie", Value: "a=1"}, {Name: "Set-Cookie", Value: "b=2"},
	}, r.Header)
}

func TestContentLengthIsComputed(t *testing.T) {
	cases := []struct {
		name, value string
		body        string
		want        int64
	}{
		{"one chunk", `[b"hello"]`, "hello", 5},
		{"a list", `[b"hel", b"", b"lo"]`, "hello", 5},
		{"a tuple", `(b"hel", b"lo")`, "hello", 5},
		{"nothing", `[]`, "", 0},
		{"an empty generator", `iter(())`, "", 0},
		{"a generator", `(c for c in [b"hel", b"lo"])`, "hello", -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, `start_response("200 OK", [])`+"\nreturn "+c.value)
			served(t, r, c.body)
			assert.Equal(t, c.want, r.Length)
		})
	}
}

func TestContentLengthIsKept(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [("Content-Length", "5")])
return (c for c in [b"hel", b"lo"])`)
	served(t, r, "hello")
	assert.Equal(t, int64(5), r.Length)
	assert.Empty(t, r.Header, "the host writes it")
}

func TestContentLengthIsNotExceeded(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [("Content-Length", "4")])
return [b"hel", b"lo", b"more"]`)
	assert.Equal(t, hosttest.OK, r.Result)
	assert.Equal(t, "hell", r.Body())
	assert.True(t, r.Last)
	assert.Equal(t, 1, strings.Count(r.LogText(), "more than its Content-Length"))
}

func TestBodyThatIsTooShortIsCut(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [("Content-Length", "6")])
return (c for c in [b"hel", b"lo"])`)
	cut(t, r, "the body is 1 bytes shorter than its Content-Length")
}

func TestHeadWaitsForTheFirstChunk(t *testing.T) {
	r := serve(t, `
def body():
    yield b""
    start_response("200 OK", [("X-Late", "yes")])
    yield b""
    yield b"hello"
return body()`)
	served(t, r, "hello")
	assert.Equal(t, "yes", r.Get("x-late"))
	assert.Equal(t, []string{"hello"}, r.Chunks)
}

func TestEachChunkGoesOutBeforeTheNext(t *testing.T) {
	var sent []string
	r := hosttest.Run(t, hosttest.Request{
		App: function(`
start_response("200 OK", [])
def body():
    for i in range(3):
        environ["wsgi.errors"].write(f"making {i}\n")
        yield b"%d" % i
return body()`),
		OnSend: func(r *hosttest.Response) hosttest.Answer {
			sent = append(sent, fmt.Sprintf("%s after %d", r.Body(), len(r.Log)))
			return hosttest.OK
		},
	})
	assert.Equal(t, []string{"0 after 1", "01 after 2", "012 after 3", "012 after 3"}, sent)
	assert.True(t, r.Last)
}

func TestWrite(t *testing.T) {
	r := serve(t, `
write = start_response("200 OK", [])
write(b"one ")
write(b"")
write(b"two ")
return [b"three"]`)
	served(t, r, "one two three")
	assert.Equal(t, []string{"one ", "two ", "three"}, r.Chunks)
	refused(t, serve(t, `start_response("200 OK", [])("text")`), "bytes, not str")
}

func TestStartResponseTwice(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [])
start_response("200 OK", [])
return [b"hello"]`)
	refused(t, r, "start_response() was called already, and this call has no exc_info")
}

func TestExcInfoReplacesAHeadThatWasNotSent(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [("X-Old", "1")])
try:
    raise ValueError("x")
except ValueError:
    start_response("500 Oops", [("X-New", "1")], sys.exc_info())
return [b"sorry"]`)
	served(t, r, "sorry")
	assert.Equal(t, uint32(500), r.Status)
	assert.Empty(t, r.Get("X-Old"))
	assert.Equal(t, "1", r.Get("X-New"))
}

func TestExcInfoIsRaisedAgainAfterTheHead(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [])
yield b"begin"
try:
    raise ValueError("too late")
except ValueError:
    start_response("500 Oops", [], exc_info=sys.exc_info())
yield b"never"`)
	cut(t, r, "raised ValueError: too late in iteration")
	assert.Equal(t, "begin", r.Body())
}

func TestFailures(t *testing.T) {
	cases := []struct{ name, body, words string }{
		{"raised", `raise ValueError("no luck")`, "raised ValueError: no luck in call\nTraceback (most recent call last):\n"},
		{"raised after start_response", "start_response('200 OK', [])\nraise KeyError('x')", "raised KeyError: 'x' in call"},
		{"raised in the first step", "start_response('200 OK', [])\nraise KeyError('x')\nyield b''", "raised KeyError: 'x' in iteration"},
		{"exit", "sys.exit(3)", "raised SystemExit: 3 in call"},
		{"no start_response", "return [b'x']", "start_response() was not called before the first chunk"},
		{"nothing at all", "return []", "the application did not call start_response()"},
		{"None", "start_response('200 OK', [])", "returned None, not an iterable of bytes"},
		{"a str", "start_response('200 OK', [])\nreturn 'text'", "returned str, not an iterable"},
		{"bytes", "start_response('200 OK', [])\nreturn b'text'", "returned bytes, not an iterable"},
		{"a number", "start_response('200 OK', [])\nreturn 42", "'int' object is not iterable"},
		{"a str chunk", "start_response('200 OK', [])\nreturn ['text']", "item 0 of the response is str, not bytes"},
		{"a str step", "start_response('200 OK', [])\nyield 'text'", "must yield bytes, not str"},
		{"no status", "start_response()", "takes 2 or 3 positional arguments, 0 given"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			refused(t, serve(t, c.body), c.words)
		})
	}
}

func TestHeadsThatAreRefused(t *testing.T) {
	cases := []struct{ name, status, headers string }{
		{"status is bytes", `b"200 OK"`, `[]`},
		{"status has no reason", `"200"`, `[]`},
		{"status is no number", `"abc OK"`, `[]`},
		{"status is too small", `"099 OK"`, `[]`},
		{"status has CR", `"200 OK\rX: y"`, `[]`},
		{"status has LF", `"200 OK\nX: y"`, `[]`},
		{"status has NUL", `"200 OK\0"`, `[]`},
		{"status is not latin-1", `"200 \u20ac"`, `[]`},
		{"headers are a tuple", `"200 OK"`, `(("X", "y"),)`},
		{"header is a list", `"200 OK"`, `[["X", "y"]]`},
		{"header has three parts", `"200 OK"`, `[("X", "y", "z")]`},
		{"name is bytes", `"200 OK"`, `[(b"X", "y")]`},
		{"name is empty", `"200 OK"`, `[("", "y")]`},
		{"name has a blank", `"200 OK"`, `[("X Y", "z")]`},
		{"name has a colon", `"200 OK"`, `[("X:", "z")]`},
		{"name has LF", `"200 OK"`, `[("X\n", "z")]`},
		{"value is a number", `"200 OK"`, `[("X", 1)]`},
		{"value has CR", `"200 OK"`, `[("X", "a\rb")]`},
		{"value has LF", `"200 OK"`, `[("X", "a\nb")]`},
		{"value has NUL", `"200 OK"`, `[("X", "a\0b")]`},
		{"value has LF after NUL", `"200 OK"`, `[("X", "a\0\nSet-Cookie: b")]`},
		{"value is not latin-1", `"200 OK"`, `[("X", "\u20ac")]`},
		{"length is no number", `"200 OK"`, `[("Content-Length", "many")]`},
		{"length is negative", `"200 OK"`, `[("Content-Length", "-1")]`},
		{"two lengths", `"200 OK"`, `[("Content-Length", "1"), ("content-length", "2")]`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, fmt.Sprintf("start_response(%s, %s)\nreturn [b'x']", c.status, c.headers))
			refused(t, r, "in call\nTraceback")
		})
	}
}

func TestLatin1(t *testing.T) {
	r := serve(t, `
start_response("200 Gr\xfc\xdfe", [("X", "\xe9\xff")])
return [b"x"]`)
	served(t, r, "x")
	assert.Equal(t, "Gr\xfc\xdfe", r.Reason)
	assert.Equal(t, "\xe9\xff", r.Get("X"))
}

func TestHopByHopHeadersAreNotSent(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [("Connection", "close"), ("Transfer-Encoding", "chunked"),
    ("Keep-Alive", "x"), ("Upgrade", "x"), ("TE", "x"), ("X", "y")])
return [b"x"]`)
	assert.Equal(t, []hosttest.Field{{Name: "X", Value: "y"}}, r.Header)
	assert.Equal(t, "x", r.Body())
}

func TestResponsesWithoutABody(t *testing.T) {
	for _, c := range []struct{ method, status string }{
		{"HEAD", "200 OK"}, {"GET", "204 No Content"}, {"GET", "304 Not Modified"},
	} {
		for _, value := range []string{`[b"hello"]`, `(c for c in [b"hel", b"lo"])`, `[]`} {
			t.Run(c.method+" "+c.status+" "+value, func(t *testing.T) {
				r := hosttest.Run(t, hosttest.Request{
					Method: c.method,
					App:    function(fmt.Sprintf("start_response(%q, [])\nreturn %s", c.status, value)),
				})
				served(t, r, "")
				switch {
				case value == `[]`:
					assert.Equal(t, int64(-1), r.Length, "RFC 9110, 8.6")
				case value == `[b"hello"]` && c.method == "HEAD":
					assert.Equal(t, int64(5), r.Length)
				}
			})
		}
	}
}

// closing is an application whose iterable says when it is closed.
const closing = `
class Body:
    def __init__(self, environ, start_response):
        self.log, self.left = environ["wsgi.errors"], 3
        self.fails = environ["QUERY_STRING"]
        start_response("200 OK", [])
    def __iter__(self):
        return self
    def __next__(self):
        self.left -= 1
        if self.left == 0:
            if self.fails == "next":
                raise ValueError("next")
            raise StopIteration
        return b"x"
    def close(self):
        print("closed", file=self.log)
        if self.fails == "close":
            raise ValueError("close")

application = Body
`

func TestCloseIsCalled(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{App: closing})
	assert.Equal(t, "xx", r.Body())
	assert.True(t, r.Last)
	assert.Equal(t, "closed", r.LogText())
}

func TestCloseIsCalledAfterAnException(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{App: closing, Query: "next"})
	cut(t, r, "raised ValueError: next in iteration")
	assert.Contains(t, r.LogText(), "\nclosed")
}

func TestCloseIsCalledWhenTheClientHasGone(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{
		App:    closing,
		OnSend: func(*hosttest.Response) hosttest.Answer { return hosttest.Gone },
	})
	assert.Equal(t, "x", r.Body(), "the second was not asked for")
	assert.Equal(t, "closed", r.LogText())
}

func TestCloseThatFails(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{App: closing, Query: "close"})
	assert.Equal(t, "xx", r.Body())
	assert.True(t, r.Last, "all was sent before")
	assert.Contains(t, r.LogText(), "raised ValueError: close in close")
}

func TestSlowClientIsWaitedFor(t *testing.T) {
	sends, waits := 0, 0
	r := hosttest.Run(t, hosttest.Request{
		App: function(`
start_response("200 OK", [])
for i in range(5):
    yield b"%d" % i`),
		OnSend: func(*hosttest.Response) hosttest.Answer {
			sends++
			return hosttest.Again
		},
		OnWait: func() hosttest.Answer {
			waits++
			assert.Equal(t, sends, waits, "it waits before the next send")
			return hosttest.OK
		},
	})
	assert.Equal(t, "01234", r.Body())
	assert.Equal(t, 5, waits)
}

func TestClientThatGoesWhileItIsWaitedFor(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{
		App:    closing,
		OnSend: func(*hosttest.Response) hosttest.Answer { return hosttest.Again },
		OnWait: func() hosttest.Answer { return hosttest.Gone },
	})
	assert.Equal(t, "x", r.Body())
	assert.Equal(t, "closed", r.LogText())
}

func TestApplicationIsNotCalledForNobody(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{
		App:     function(`print("called")`),
		OnBegin: func() hosttest.Answer { return hosttest.Gone },
	})
	assert.Empty(t, r.LogText())
	assert.Zero(t, r.Heads)
}

func TestLargeChunksAreNotCopied(t *testing.T) {
	r := serve(t, `
start_response("200 OK", [])
for i in range(10):
    yield b"%d" % i * 300000`)
	served(t, r, func() string {
		var b strings.Builder
		for i := range 10 {
			b.WriteString(strings.Repeat(fmt.Sprint(i), 300000))
		}
		return b.String()
	}())
}

func TestFileWrapper(t *testing.T) {
	r := serve(t, `
import io, tempfile
file = tempfile.TemporaryFile()
file.write(b"0123456789" * 1000)
file.seek(5)
start_response("200 OK", [])
return environ["wsgi.file_wrapper"](file)`)
	assert.Equal(t, 1, r.Files, "the host reads it")
	served(t, r, strings.Repeat("0123456789", 1000)[5:])
	assert.Equal(t, int64(9995), r.Length)

	r = serve(t, `
import io
start_response("200 OK", [])
return environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789"), 4)`)
	assert.Zero(t, r.Files)
	served(t, r, "0123456789")
	assert.Equal(t, []string{"0123", "4567", "89"}, r.Chunks)
}

// A file that has nothing by its size is read.
func TestFileWrapperWithoutSize(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, length := range map[string]int64{"/proc/self/cmdline": -1, empty: 0} {
		r := serve(t, fmt.Sprintf(`
start_response("200 OK", [])
return environ["wsgi.file_wrapper"](open(%q, "rb"))`, name))
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		served(t, r, string(want))
		assert.Equal(t, length, r.Length, name)
		assert.Zero(t, r.Files)
	}
}

func TestEarlyHints(t *testing.T) {
	r := serve(t, `
environ["wsgi.early_hints"]([("Link", "</x.css>; rel=preload")])
start_response("200 OK", [])
return [b"x"]`)
	served(t, r, "x")
	require.Len(t, r.Hints, 1)
	assert.Equal(t, "Link", r.Hints[0][0].Name)
}

func TestCallablesAreExpiredAfterTheRequest(t *testing.T) {
	app := `
kept = []
def application(environ, start_response):
    for old in kept:
        try:
            old()
        except Exception as exc:
            print(type(exc).__name__, exc, file=environ["wsgi.errors"])
    write = start_response("200 OK", [])
    kept[:] = [lambda: write(b"x"), lambda: start_response("200 OK", []),
               environ["wsgi.input"].read]
    return [b"hello"]
`
	served(t, hosttest.Run(t, hosttest.Request{App: app}), "hello")
	r := hosttest.Run(t, hosttest.Request{App: app})
	assert.Equal(t, "hello", r.Body())
	assert.Equal(t, 3, strings.Count(r.LogText(), "RuntimeError"), r.LogText())
}
