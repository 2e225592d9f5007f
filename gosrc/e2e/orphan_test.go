//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// orphans has a limit, but not for those who steer.
const orphans = `
    wsgi_timeout 500ms;
    wsgi_threads 4;
    wsgi_pool steering threads=2;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /deaf/ { wsgi_cancel off; rewrite ^/deaf(.*) $1 break; wsgi_pass kitchen; }
        location /timing/nap/ { wsgi_timeout 0; wsgi_pass kitchen; }
        location /event/ { wsgi_timeout 0; wsgi_use_pool steering; wsgi_pass kitchen; }
    }`

const orphaned = `\[error\].*application "kitchen" in pool "default" made no progress within` +
	` "wsgi_timeout", \d+ ms after its call \(orphan: its request has ended before\)`

// A client that does not wait for its answer leaves a thread to its limit, as
// one that does: the stack is told, and the thread is replaced.
func TestOrphanOfClient(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"", "/deaf"} {
		t.Run("at "+where, func(t *testing.T) {
			t.Parallel()
			n := start(t, orphans)
			w := n.dial(t)
			w.request("GET", where+"/timing/lock/1")
			n.wait("the application", func() bool { return n.threadsIn(t, "lock") })
			w.abort()
			n.waitLog(orphaned + `.*request: "GET ` + where + `/timing/lock/1" \(ended\)`)
			n.waitLog(`line \d+, in lock` + inRecord + where + `/timing/lock/1" \(ended\)`)
			n.waitLog(`\[warn\].*thread "default-\d" does not come back`)
			needTogether(t, n, 4)
			assert.Equal(t, 1, n.countLog(orphaned))
		})
	}
}

// So does close() of one that has its whole answer.
func TestOrphanInClose(t *testing.T) {
	t.Parallel()
	n := start(t, orphans)
	assert.Equal(t, "a", n.text(t, "/closing/slow/"+name(t)))
	n.waitLog(orphaned + `.*request: "GET /closing/slow/`)
	n.waitLog(`line \d+, in close` + inRecord + `/closing/slow/`)
	n.waitLog(`\[warn\].*thread "default-\d" does not come back`)
	n.setEvent(t, name(t))
	n.waitLog(`thread "default-\d" has come back and left`)
	needTogether(t, n, 4)
}

// No limit is none for orphans.
func TestOrphanWithoutLimit(t *testing.T) {
	t.Parallel()
	n := start(t, orphans)
	w := n.dial(t)
	w.request("GET", "/timing/nap/3/"+name(t))
	n.notes(t, name(t), 1)
	w.abort()
	n.wait("its end", func() bool { return !n.threadsIn(t, "nap") })
	assert.Zero(t, n.countLog("made no progress"))
}

// A client goes, and nginx makes another request of its own: what the first one
// still sends reaches nobody.
func TestPostAction(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_pool steering threads=2;
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /closing/ { post_action @after; wsgi_pass kitchen; }
        location @after { rewrite ^ /closing/buffers/after break; proxy_pass http://{{.Addr2}}; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
    }
    server {
        listen {{.Addr2}};
        location / { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`)
	w := n.dial(t)
	w.request("GET", "/closing/buffers/"+name(t))
	n.notes(t, name(t), 1)
	w.abort()
	n.notes(t, "after", 1)
	n.setEvent(t, name(t))
	assert.Equal(t, []string{"runs", "closed"}, n.notes(t, name(t), 2))
	n.setEvent(t, "after")
	assert.Equal(t, []string{"runs", "closed"}, n.notes(t, "after", 2))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}
