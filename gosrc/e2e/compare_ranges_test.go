//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What nginx's range filter leaves out counts as taken: an application that
// waits for its client gets on, and its only thread serves the next request.
func TestRangeFreesThread(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_threads 1;
    wsgi_buffering off;
    wsgi_buffer_size 4k;
    wsgi_force_ranges on;
    server {
        listen {{.Addr}} sndbuf=16k;
        location / { wsgi_pass kitchen; }
        location /buffering/ { wsgi_buffering on; wsgi_max_temp_file_size 0; wsgi_buffers 2 4k;
                               wsgi_script_name /buffering; wsgi_pass kitchen; }
    }`)
	const count, size = 100, 10000
	whole := string(bytes.Join(blocksOf(0, count, size), nil))

	for i, c := range []struct{ first, last int }{
		{0, 9}, {9990, 10009}, {500000, 500000}, {10000, 19999}, {999990, 999999}, {0, 999999}, {0, 599999},
	} {
		for j, prefix := range []string{"", "/buffering"} {
			for _, proto := range []string{"HTTP/1.1", "HTTP/1.0"} {
				target := fmt.Sprintf("%s/output/blocks/range%d-%d%s?size=%d&count=%d&length=1", prefix, i, j,
					proto[5:], size, count)
				w := n.dial(t)
				w.send(fmt.Sprintf("GET %s %s\nHost: a\nRange: bytes=%d-%d\n\n", target, proto, c.first, c.last))
				r := w.reply("GET")
				require.Equal(t, 206, r.Status, target)
				assert.True(t, r.Body == whole[c.first:c.last+1], "%s: %d bytes", target, len(r.Body))
				assert.True(t, r.complete(), target)
				assert.Equal(t, "plain", n.text(t, "/response/plain"), "after %s", target)
			}
		}
	}
}

// The same while the client does not take what is in the range: the thread
// waits, and no longer than for that.
func TestRangeOfSlowClient(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_pool slow threads=1;
    wsgi_buffering off;
    wsgi_force_ranges on;
    server {
        listen {{.Addr}} sndbuf=16k;
        location / { wsgi_pass kitchen; }
        location /output/blocks/ { wsgi_use_pool slow; wsgi_pass kitchen; }
    }`)
	const size, last = 100000, 7999999
	w := n.dial(t)
	w.request("GET", fmt.Sprintf("/output/blocks/slow?size=%d&count=100&length=1", size),
		fmt.Sprintf("Range: bytes=10-%d", last))
	r := w.head()
	require.Equal(t, 206, r.Status)
	made := 0
	n.wait("the application to wait", func() bool {
		before := made
		n.json(t, &made, "/output/progress/slow")
		return made > 0 && made == before
	})
	assert.Less(t, made, 79, "it waits for its client")
	body, err := io.ReadAll(io.LimitReader(w.r, last-9))
	require.NoError(t, err)
	assert.Len(t, body, last-9)
	n.notes(t, "slow", 1)
	n.json(t, &made, "/output/progress/slow")
	assert.Equal(t, 100, made)
	assert.Equal(t, "plain", w.get("/response/plain").Body)
}
