//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func wrapperContent() string {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}

// wsgi.file_wrapper: a real file, from its position, and other things.
func TestFileWrapper(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	content := wrapperContent()
	length := len(content)
	for _, c := range []struct {
		endpoint string
		framing  framing
		body     string
	}{
		{"real", byLength, content},
		{"real?at=1200", byLength, content[1200:]},
		{"real?length=1000", byLength, content[:1000]},
		{fmt.Sprintf("real?at=%d", length), byLength, ""},
		{"memory", byChunks, content},
		{"iterated", byLength, "[1000]"},
	} {
		w := n.dial(t)
		r := w.get("/wrapper/" + c.endpoint)
		require.Equal(t, 200, r.Status, c.endpoint)
		assert.Equal(t, c.framing, r.Framing, c.endpoint)
		assert.True(t, c.body == r.Body, "%s: %d bytes", c.endpoint, len(r.Body))
		assert.True(t, r.complete(), c.endpoint)
		w.request("HEAD", "/wrapper/"+c.endpoint)
		assert.Equal(t, 200, w.reply("HEAD").Status)
		assert.Equal(t, "plain", w.get("/response/plain").Body, "after %s", c.endpoint)
	}
	n.wait("the files to be closed", func() bool { return n.text(t, "/wrapper/open_files") == "0" })
}

// A Content-Length that the file does not have is a failure of the
// application, not a client that waits for ever.
func TestFileWrapperTooShort(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	r := n.dial(t).get("/wrapper/real?length=10000000")
	assert.True(t, r.Status == 500 || r.cut(), "status %d, %v", r.Status, r.Err)
	n.wait("the files to be closed", func() bool { return n.text(t, "/wrapper/open_files") == "0" })
}

// close() comes after the last byte, and when the client goes before it.
func TestFileWrapperCloses(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Len(t, n.text(t, "/wrapper/wrapped?name="+name(t)), len(wrapperContent()))
	assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))

	for range 10 {
		w := n.dial(t)
		w.request("GET", "/wrapper/real")
		w.head()
		w.abort()
	}
	n.wait("the files to be closed", func() bool { return n.text(t, "/wrapper/open_files") == "0" })
}

// What a client does not take is not asked for: wsgi_buffer_size bounds what is in
// bounds what is in memory of a response.
func TestBackPressureBoundsMemory(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_buffering off; wsgi_buffer_size 64k;"+kitchen)
	before := rss(n.worker())

	w := n.dial(t)
	w.request("GET", "/response/counted/"+name(t)+"?size=1000000&count=100")
	w.head()
	_, err := w.chunk()
	require.NoError(t, err)
	made := 0
	n.wait("the application to wait", func() bool {
		was := made
		made = len(n.notes(t, name(t), 1))
		time.Sleep(50 * time.Millisecond) // in which it could go on
		return made == was
	})
	assert.Less(t, made, 50, "chunks of 1 MB for a client that takes none")
	assert.Less(t, rss(n.worker())-before, memory(16<<20))

	var rest reply
	w.chunks(&rest)
	assert.True(t, rest.complete(), "%v", rest.Err)
	assert.Len(t, n.notes(t, name(t), 100), 100)
	assert.Less(t, rss(n.worker())-before, memory(16<<20))
}
