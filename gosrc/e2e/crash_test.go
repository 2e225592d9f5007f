//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crashing serves the kitchen with two threads and three places in the queue;
// another pool steers it.
const crashing = `
    wsgi_pool default threads=2 queue=3;
    wsgi_pool steering threads=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location /process/ { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`

// lost returns the lines of the log that report a request in flight of a
// worker that has died, by path, when there are "count" of them.
func (n *instance) lost(t *testing.T, pid, count int) map[string]string {
	t.Helper()
	pattern := fmt.Sprintf(`wsgi: worker process %d died with a request`, pid)
	n.waitLogTimes(pattern, count)
	re := regexp.MustCompile(pattern + `.* request: "[A-Z]+ ([^"]*)"`)
	found := map[string]string{}
	for _, line := range strings.Split(n.log(), "\n") {
		if m := re.FindStringSubmatch(line); m != nil {
			assert.NotContains(t, found, m[1], "reported twice")
			found[m[1]] = line
		}
	}
	require.Len(t, found, count)
	return found
}

// A worker that dies leaves a line for each of its requests in flight, those
// that ran and those that waited, and for no other.
func TestCrashReport(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "wsgi_zone mine 1m;"} {
		t.Run("zone "+zone, func(t *testing.T) {
			t.Parallel()
			n := start(t, zone+crashing, allowRespawn(),
				allowLog(`worker process \d+ exited on signal 9`))
			for range 50 {
				n.text(t, "/response/plain") // has its answer
			}
			running := n.occupy(t, 2)
			queued := n.fillQueue(t, 3)
			pid := n.worker()
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			lost := n.lost(t, pid, len(running)+len(queued))
			for _, target := range running {
				assert.Regexp(t, `\[error\] \d+#\d+: \*\d+ wsgi: .* id [0-9a-f]{32},`+
					` application "kitchen", pool "default": ran for \d+ ms in thread`+
					` 0x[0-9a-f]{16},.* client: 127\.0\.0\.1, request: "POST `, lost[target])
			}
			for _, target := range queued {
				assert.Regexp(t, `: in the queue for \d+ ms, client: 127\.0\.0\.1, request: "POST `,
					lost[target])
			}
			assert.NotContains(t, n.log(), "secret")
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// occupy has "count" threads run something that lasts, and returns the paths.
func (n *instance) occupy(t *testing.T, count int) (targets []string) {
	t.Helper()
	for i := range count {
		target := fmt.Sprintf("/timing/nap/20/%s-%d", name(t), i)
		n.later("POST", target+"?secret=1") // which a client does not send again
		n.notes(t, fmt.Sprintf("%s-%d", name(t), i), 1)
		targets = append(targets, target)
	}
	return targets
}

// fillQueue fills "count" places of a queue, which one more request tells, and
// returns the paths of those that wait.
func (n *instance) fillQueue(t *testing.T, count int) (targets []string) {
	t.Helper()
	refused := make(chan string, count+1)
	for i := range count + 1 {
		target := fmt.Sprint("/response/plain/", i)
		targets = append(targets, target)
		go func() {
			out := <-n.later("POST", target)
			if out.err == nil && out.Status == 503 {
				refused <- target
			}
		}()
	}
	select {
	case target := <-refused:
		i := slices.Index(targets, target)
		return slices.Delete(targets, i, i+1)
	case <-time.After(patience):
		require.Fail(t, "the queue is not full")
		return nil
	}
}
