//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// PEP 3333: the order of start_response, write(), exc_info and chunks.

func TestResponseOrder(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct {
		endpoint string
		status   int
		body     string
	}{
		{"plain", 200, "plain"},
		{"write", 200, "one,two,three"},
		{"write_only", 200, "written"},
		{"late_start", 201, "from the generator"},
		{"exc_first", 500, "told"},
		{"empty_between", 200, "ab"},
	} {
		w := n.dial(t)
		r := w.get("/response/" + c.endpoint)
		assert.Equal(t, c.status, r.Status, c.endpoint)
		assert.Equal(t, c.body, r.Body, c.endpoint)
		assert.True(t, r.complete(), c.endpoint)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "the connection lives on")
	}
}

// A second call of start_response is an error, unless it has exc_info.
func TestStartResponseTwice(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)

	for i, endpoint := range []string{"twice", "exc_none"} {
		assert.Equal(t, 500, n.get(t, "/response/"+endpoint).Status)
		n.waitLogTimes(`\[error\].*start_response.*client: 127\.0\.0\.1`, i+1)
	}

	a := n.get(t, "/response/twice_caught")
	assert.Equal(t, 200, a.Status, "the first call stands")
	assert.NotEqual(t, "not an error", a.Body)
}

// exc_info replaces headers that were not sent, also after empty chunks.
func TestExcInfoReplacesHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)

	for _, endpoint := range []string{"exc_replaces", "exc_replaces_after_empty"} {
		w := n.dial(t)
		r := w.get("/response/" + endpoint)
		assert.Equal(t, 503, r.Status, endpoint)
		assert.Equal(t, "Busy", r.Reason, endpoint)
		assert.Equal(t, "replaced", r.Body, endpoint)
		assert.Empty(t, r.values("X-First"), endpoint)
		assert.Equal(t, []string{"yes"}, r.values("X-Second"), endpoint)
		assert.Len(t, r.values("Content-Type"), 1, endpoint)
	}
}

// exc_info after the headers raises what it holds, and the response is cut.
func TestExcInfoAfterHeaders(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)

	w := n.dial(t)
	r := w.get("/response/exc_sent/" + name(t))
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "sent", r.Body)
	assert.True(t, r.cut(), "%v", r.Err)
	assert.Equal(t, []string{`KeyError('original')`}, n.notes(t, name(t), 1))
	n.waitLog(`KeyError: 'original'`)
}

// Nothing is sent before the first chunk that is not empty.
func TestHeadersWaitForBody(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)

	for _, endpoint := range []string{"empty_first", "head_waits"} {
		event := name(t) + endpoint
		w := n.dial(t)
		w.request("GET", "/response/"+endpoint+"/"+event)
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		assert.True(t, w.silent(), "%s: headers were sent before the body", endpoint)

		n.setEvent(t, event)
		r := w.reply("GET")
		assert.Equal(t, 200, r.Status)
		assert.Equal(t, "body", r.Body)
		assert.True(t, r.complete())
	}
}

// Each chunk arrives before the application is asked for the next: it comes
// only after an event that the client sets when it has the one before.
func TestChunksGoOutAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	event := name(t)

	w := n.dial(t)
	w.request("GET", "/response/chunks/"+event)
	r := w.head()
	require.Equal(t, "chunked", r.get(t, "Transfer-Encoding"))
	w.needChunk("one")
	n.setEvent(t, event+"-2")
	w.needChunk("two")
	n.setEvent(t, event+"-3")
	w.needChunk("three")
	w.needChunk("")
	assert.Equal(t, "plain", w.get("/response/plain").Body)
}

// The same for write(): it has sent what it was given when it returns.
func TestWriteGoesOutAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	event := name(t)

	w := n.dial(t)
	w.request("GET", "/response/write_waits/"+event)
	w.head()
	w.needChunk("first")
	n.setEvent(t, event)
	var rest reply
	w.chunks(&rest)
	assert.Equal(t, "secondthird", rest.Body)
	assert.True(t, rest.complete())
}

// Bodies of many sizes and shapes arrive as they were made.
func TestResponseSizes(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for _, c := range []struct{ size, count int }{
		{1, 1}, {1, 5000}, {4095, 3}, {4096, 3}, {4097, 3}, {1 << 20, 1},
		{100000, 50}, {8 << 20, 2},
	} {
		w := n.dial(t)
		r := w.get(fmt.Sprintf("/response/big?size=%d&count=%d", c.size, c.count))
		require.True(t, r.complete(), "%d x %d: %v", c.count, c.size, r.Err)
		assert.Len(t, r.Body, c.size*c.count)
	}
}

// A whole run under wsgiref's validator.
func TestValidator(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass validated; } }`,
		file("apps/validated.py", validatedApp))

	assert.Equal(t, "GET read 0", n.text(t, "/read"))
	assert.Equal(t, "POST read 7", n.post(t, "/read", "7 bytes").Body)
	assert.Equal(t, "POST readline 2", n.post(t, "/readline", "a\nb").Body)
	assert.Equal(t, "POST readlines 2", n.post(t, "/readlines", "a\nb").Body)
	assert.Equal(t, "POST iterate 2", n.post(t, "/iterate", "a\nb").Body)
	assert.Equal(t, "GET errors 0", n.text(t, "/errors?a=b"))
	assert.Equal(t, "written", n.text(t, "/write"))

	w := n.dial(t)
	w.request("HEAD", "/read")
	assert.Equal(t, 200, w.reply("HEAD").Status)
	assert.Zero(t, n.countLog("AssertionError|Traceback"))
}

const validatedApp = `
from wsgiref.validate import validator


def read(stream, errors):
    return len(stream.read(1)) + len(stream.read(100))


def readline(stream, errors):
    return len(stream.readline())


def readlines(stream, errors):
    return len(stream.readlines())


def iterate(stream, errors):
    return sum(1 for line in stream)


def errors(stream, errors):
    errors.write("a line\n")
    errors.writelines(["another\n"])
    errors.flush()
    return 0


@validator
def application(environ, start_response):
    what = environ["PATH_INFO"].strip("/")
    headers = [("Content-Type", "text/plain")]
    if what == "write":
        start_response("200 OK", headers)(b"written")
        return []
    count = globals()[what](environ["wsgi.input"], environ["wsgi.errors"])
    start_response("200 OK", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return (part.encode() for part in
            (environ["REQUEST_METHOD"], f" {what} ", str(count)))
`
