//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// textFile is 1000 lines of ten bytes, the number of the line first.
func textFile() string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "%04d line\n", i)
	}
	return b.String()
}

// bigFile writes a file of blocks below the instance's directory.
func bigFile(t *testing.T, n *instance, size, count int) string {
	t.Helper()
	path := filepath.Join(n.Dir, "big")
	f, err := os.Create(path)
	require.NoError(t, err)
	for number := range count {
		_, err = f.Write(block(number, size))
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return path
}

// fileTarget asks for a file; more is "&name=value" as the application knows.
func fileTarget(t *testing.T, path, more string) string {
	t.Helper()
	return "/files/noting/" + url.PathEscape(name(t)) + "?file=" + path + more
}

const (
	fileETag = `"v1"`
	fileDate = "Tue, 01 Jul 2025 10:00:00 GMT"
)

// known is an entity with the validators that the application gives.
func known() string {
	return "&head=" + url.QueryEscape("ETag:"+fileETag+"|Last-Modified:"+fileDate)
}

// A file as nginx answers for its own: whole, in parts, or not at all; and it
// is closed once, whatever the answer.
func TestFileAnswers(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, file("text", textFile()))
	path, text := filepath.Join(n.Dir, "text"), textFile()

	for _, c := range []struct {
		what    string
		more    string
		headers []string
		status  int
		body    string
		fields  map[string]string
	}{
		{"whole", "", nil, 200, text, map[string]string{
			"Content-Length": "10000", "Accept-Ranges": "bytes"}},
		{"from its position", "&seek=120", nil, 200, text[120:], nil},
		{"its position at the end", "&seek=10000", nil, 200, "", map[string]string{"Content-Length": "0"}},
		{"a shorter length", "&length=25", nil, 200, text[:25], map[string]string{"Content-Length": "25"}},
		{"a shorter length from a position", "&seek=9000&length=20", nil, 200, text[9000:9020], nil},
		{"another status", "&status=404+Gone", []string{"Range: bytes=0-9"}, 404, text,
			map[string]string{"Accept-Ranges": ""}},

		{"range", "", []string{"Range: bytes=10-19"}, 206, text[10:20], map[string]string{
			"Content-Range": "bytes 10-19/10000", "Content-Length": "10"}},
		{"range of a position", "&seek=1000", []string{"Range: bytes=10-19"}, 206, text[1010:1020],
			map[string]string{"Content-Range": "bytes 10-19/9000"}},
		{"open range", "", []string{"Range: bytes=9990-"}, 206, text[9990:], nil},
		{"suffix range", "", []string{"Range: bytes=-5"}, 206, text[9995:], nil},
		{"range beyond", "", []string{"Range: bytes=10000-"}, 416, "", map[string]string{
			"Content-Range": "bytes */10000"}},
		{"no ranges, please", "&head=Accept-Ranges:none", []string{"Range: bytes=0-9"}, 200, text,
			map[string]string{"Accept-Ranges": "none"}},
		{"ranges said twice", "&head=Accept-Ranges:bytes", nil, 200, text,
			map[string]string{"Accept-Ranges": "bytes"}},

		{"If-Range, same", known(), []string{"Range: bytes=0-9", "If-Range: " + fileETag}, 206, text[:10], nil},
		{"If-Range, other", known(), []string{"Range: bytes=0-9", `If-Range: "v2"`}, 200, text, nil},
		{"If-Range, same date", known(), []string{"Range: bytes=0-9", "If-Range: " + fileDate}, 206, text[:10], nil},
		{"If-Range, no validator", "", []string{"Range: bytes=0-9", "If-Range: " + fileETag}, 200, text, nil},

		{"If-None-Match", known(), []string{"If-None-Match: " + fileETag}, 304, "", map[string]string{
			"ETag": fileETag, "Content-Length": ""}},
		{"If-None-Match, other", known(), []string{`If-None-Match: "v2"`}, 200, text, nil},
		{"If-Modified-Since", known(), []string{"If-Modified-Since: " + fileDate}, 304, "", nil},
		{"If-Modified-Since, older", known(),
			[]string{"If-Modified-Since: Tue, 01 Jul 2025 09:59:59 GMT"}, 200, text, nil},
		{"If-Modified-Since, no date", "", []string{"If-Modified-Since: " + fileDate}, 200, text, nil},
		{"If-Match, other", known(), []string{`If-Match: "v2"`}, 412, "", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				w := n.dial(t)
				w.request(method, fileTarget(t, path, c.more), c.headers...)
				r := w.reply(method)
				require.NoError(t, r.Err)
				assert.Equal(t, c.status, r.Status)
				for name, value := range c.fields {
					assert.Equal(t, value, r.get(t, name), name)
				}
				if method == "GET" && c.status != 412 && c.status != 416 {
					assert.Equal(t, c.body, r.Body)
				}
			}
			assert.Equal(t, []string{"closed", "closed"}, n.notes(t, name(t), 2))
		})
	}
}

// Several ranges of one file.
func TestFileRanges(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, file("text", textFile()))
	text := textFile()

	a := n.get(t, fileTarget(t, filepath.Join(n.Dir, "text"), "&seek=100"),
		"Range: bytes=0-9,100-119,-10")
	require.Equal(t, 206, a.Status)
	kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/byteranges", kind)

	parts := multipart.NewReader(strings.NewReader(a.Body), params["boundary"])
	for _, want := range []struct{ where, body string }{
		{"bytes 0-9/9900", text[100:110]},
		{"bytes 100-119/9900", text[200:220]},
		{"bytes 9890-9899/9900", text[9990:]},
	} {
		part, err := parts.NextPart()
		require.NoError(t, err)
		body, err := io.ReadAll(part)
		require.NoError(t, err)
		assert.Equal(t, want.where, part.Header.Get("Content-Range"))
		assert.Equal(t, "application/octet-stream", part.Header.Get("Content-Type"))
		assert.Equal(t, want.body, string(body))
	}
	_, err = parts.NextPart()
	assert.ErrorIs(t, err, io.EOF)
}

// What is no regular file is iterated.
func TestFileLikes(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, file("text", textFile()))
	assert.Equal(t, "from memory", n.text(t, "/files/bytesio"))
	assert.Equal(t, "from a pipe", n.text(t, "/files/pipe"))
	assert.Equal(t, strings.Repeat("x", 20), n.text(t, "/files/like"))
	r := n.dial(t).get("/files/iterated?file=" + filepath.Join(n.Dir, "text"))
	assert.Equal(t, textFile(), r.Body)
	assert.Equal(t, byChunks, r.Framing)
	assert.Empty(t, r.values("Accept-Ranges"))
}

// The thread is free while nginx sends, and close() is called when it has.
func TestFileFreesThread(t *testing.T) {
	t.Parallel()
	const size, count = 1 << 20, 50
	n := start(t, "sendfile on;"+outputServer)
	path := bigFile(t, n, size, count)
	n.text(t, fileTarget(t, path, "&length=1000000"))
	require.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
	forgetPeak(t, n.worker())
	before := rss(n.worker())

	w := n.dialSlow(t)
	w.request("GET", fileTarget(t, path, ""))
	body := w.content(w.head())
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Contains(t, fdLinks(n.worker()), openAs(t, n, path))
	needBlocks(t, body, size, 0, count/2)
	assert.Len(t, n.notes(t, name(t), 0), 1, "closed before the last byte")
	needBlocks(t, body, size, count/2, count)
	needEnd(t, body)

	assert.Len(t, n.notes(t, name(t), 2), 2)
	n.wait("the descriptor to be closed", func() bool { return len(openPaths(n, path)) == 0 })
	needGrowth(t, n, before, 4<<20)
	assert.Zero(t, n.spools(), "a file is not buffered to another")
}

// close() of a file that has been sent runs on a thread that has nothing else to
// do: neither the request behind it waits for that, nor any other.
func TestFileCloseHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	n := start(t, orphans, file("text", textFile()))
	path := filepath.Join(n.Dir, "text")
	for i := range 20 {
		event := fmt.Sprintf("%s-%d", name(t), i)
		w := n.dial(t)
		w.send(requestText("GET", "/files/slow_close/"+event+"?file="+path, nil) +
			requestText("GET", "/response/plain", nil))
		assert.Equal(t, textFile(), w.reply("GET").Body)
		assert.Equal(t, "plain", w.reply("GET").Body)
		assert.Equal(t, "plain", w.get("/response/plain").Body)
		n.setEvent(t, event)
		n.notes(t, event, 1)
	}
}

// The application closes a file that it has handed over, and opens others: the
// client gets the first one all the same.
func TestFileClosedWhileSent(t *testing.T) {
	t.Parallel()
	const size, count = 1 << 20, 50
	n := start(t, "sendfile on;"+outputServer, file("text", textFile()))
	path := bigFile(t, n, size, count)
	w := n.dialSlow(t)
	w.request("GET", "/files/left/"+name(t)+"?file="+path+"&other="+filepath.Join(n.Dir, "text"))
	body := w.content(w.head())
	needBlocks(t, body, size, 0, 1)
	n.setEvent(t, name(t))
	n.notes(t, name(t), 1)
	needBlocks(t, body, size, 1, count)
	needEnd(t, body)
	n.setEvent(t, name(t)+"-end")
	n.wait("the descriptor to be closed", func() bool { return len(openPaths(n, path)) == 0 })
}

// openPaths returns the descriptors by which the worker has a file open.
func openPaths(n *instance, path string) []int {
	var found []int
	for fd, link := range fdLinks(n.worker()) {
		if link == path {
			found = append(found, fd)
		}
	}
	return found
}

func openAs(t *testing.T, n *instance, path string) int {
	t.Helper()
	found := openPaths(n, path)
	require.NotEmpty(t, found, "%s is not open", path)
	return found[0]
}

// A client that goes: closed, once.
func TestFileClientVanishes(t *testing.T) {
	t.Parallel()
	n := start(t, outputServer)
	path := bigFile(t, n, 1<<20, 50)
	for i := range 3 {
		w := n.dialSlow(t)
		w.request("GET", fileTarget(t, path, ""))
		w.head()
		w.abort()
		assert.Len(t, n.notes(t, name(t), i+1), i+1)
	}
	assert.Empty(t, openPaths(n, path))
}

// Every way in which nginx reads files, from positions that are not aligned.
func TestFileWays(t *testing.T) {
	t.Parallel()
	const size, count = 100000, 60
	for what, c := range map[string]struct {
		conf   string
		direct bool
	}{
		"sendfile":         {"sendfile on;", false},
		"read":             {"sendfile off;", false},
		"aio threads":      {"aio threads; sendfile off;", false},
		"aio and sendfile": {"aio threads; sendfile on; sendfile_max_chunk 100k;", false},
		"directio":         {"directio 1m; output_buffers 2 64k;", true},
		"aio directio":     {"aio threads; directio 1m; sendfile on;", true},
		"directio larger":  {"directio 100m; sendfile on;", false},
		"in memory":        {"sub_filter never ever; sub_filter_types *;", false},
		"limit_rate":       {"limit_rate 30m; sendfile on;", false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := start(t, c.conf+outputServer)
			path := bigFile(t, n, size, count)

			w := n.dialSlow(t)
			w.request("GET", fileTarget(t, path, "&seek="+strconv.Itoa(size)))
			body := w.content(w.head())
			n.wait("nginx to have the file", func() bool { return len(openPaths(n, path)) > 0 })
			assert.Equal(t, c.direct, isDirect(n, path), "O_DIRECT")
			needBlocks(t, body, size, 1, count)
			needEnd(t, body)
			assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))

			a := n.get(t, fileTarget(t, path, ""), "Range: bytes=4999999-5999999")
			want := append(block(49, size)[size-1:], bytes.Join(blocksOf(50, 60, size), nil)...)
			if strings.Contains(c.conf, "sub_filter") {
				want = bytes.Join(blocksOf(0, count, size), nil) // it cannot know offsets
			}
			assert.True(t, string(want) == a.Body, "range of %d bytes", len(a.Body))
			assert.Len(t, n.notes(t, name(t), 2), 2)
			n.wait("the descriptors to be closed", func() bool { return len(openPaths(n, path)) == 0 })
		})
	}
}

func blocksOf(from, to, size int) [][]byte {
	var all [][]byte
	for number := from; number < to; number++ {
		all = append(all, block(number, size))
	}
	return all
}

// isDirect says that one of the descriptors of a file has O_DIRECT, and neither
// the application's, which it may share, nor its duplicate.
func isDirect(n *instance, path string) bool {
	count := 0
	for _, fd := range openPaths(n, path) {
		for _, line := range strings.Split(procFile(n.worker(), fmt.Sprintf("fdinfo/%d", fd)), "\n") {
			text, found := strings.CutPrefix(line, "flags:")
			flags, err := strconv.ParseInt(strings.TrimSpace(text), 8, 64)
			if found && err == nil && flags&oDirect != 0 {
				count++
			}
		}
	}
	return count == 1 && len(openPaths(n, path)) == 3
}

// Filters that read the file.
func TestFileFilters(t *testing.T) {
	t.Parallel()
	n := start(t, "gzip on; gzip_types *;"+kitchen, file("text", textFile()))
	target := fileTarget(t, filepath.Join(n.Dir, "text"), known())

	a := n.get(t, target, "Accept-Encoding: gzip")
	require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	assert.Equal(t, "W/"+fileETag, a.Header.Get("ETag"))
	assert.Empty(t, a.Header.Get("Accept-Ranges"))
	unzip, err := gzip.NewReader(strings.NewReader(a.Body))
	require.NoError(t, err)
	body, err := io.ReadAll(unzip)
	require.NoError(t, err)
	assert.Equal(t, textFile(), string(body))
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
}

// A file that becomes shorter while it is sent: nginx cuts the response.
func TestFileShrinks(t *testing.T) {
	t.Parallel()
	const size, count = 1 << 20, 50
	n := start(t, "sendfile on;"+outputServer, allowLog(`\[alert\].*(truncated|reported that)`))
	path := bigFile(t, n, size, count)

	w := n.dialSlow(t)
	w.request("GET", fileTarget(t, path, ""))
	body := w.content(w.head())
	needBlocks(t, body, size, 0, 1)
	require.NoError(t, os.Truncate(path, 1000))
	got, err := io.Copy(io.Discard, body)
	assert.Less(t, got, int64(size*(count-1)))
	_, end := w.r.ReadByte()
	assert.Error(t, end, "%v", err)
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// wsgi_force_ranges: for all whose length is known, several ranges only if the
// whole body comes at once.
func TestForceRanges(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_force_ranges on; wsgi_pass kitchen; }
        location /off/ { wsgi_script_name /off; wsgi_pass kitchen; }
    }`)
	whole := string(bytes.Join(blocksOf(0, 10, 1000), nil))
	const generator = "/output/blocks/x?size=1000&count=10"

	for _, c := range []struct {
		target, ranges string
		status         int
		body           string
		accept         string
	}{
		{generator + "&length=1", "bytes=1500-2499", 206, whole[1500:2500], ""},
		{generator + "&length=1", "bytes=1500-2499,5000-5001", 200, whole, "bytes"},
		{generator + "&length=1&head=Accept-Ranges:none", "bytes=0-9", 206, whole[:10], ""},
		{generator, "bytes=0-9", 200, whole, ""},
		{"/off" + generator + "&length=1", "bytes=0-9", 200, whole, ""},
		{"/response/plain", "bytes=1-2", 206, "la", ""},
		{"/response/plain", "", 200, "plain", "bytes"},
		{"/off/response/plain", "bytes=1-2", 200, "plain", ""},
		{"/response/plain", "bytes=9-", 416, "", ""},
	} {
		w := n.dial(t)
		r := w.get(c.target, "Range: "+c.ranges)
		assert.Equal(t, c.status, r.Status, "%s %s", c.target, c.ranges)
		assert.True(t, c.status == 416 || c.body == r.Body, "%s %s", c.target, c.ranges)
		assert.Equal(t, c.accept, r.get(t, "Accept-Ranges"), "%s %s", c.target, c.ranges)
		assert.Equal(t, "plain", w.get("/off/response/plain").Body)
	}

	a := n.get(t, "/response/plain", "Range: bytes=0-0,2-2")
	assert.Equal(t, 206, a.Status)
	assert.Contains(t, a.Header.Get("Content-Type"), "multipart/byteranges")

	post := n.post(t, "/response/plain", "body", "Range: bytes=1-2")
	assert.Equal(t, 200, post.Status)
	assert.Equal(t, "plain", post.Body)
}
