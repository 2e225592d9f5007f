//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// longImport takes more time than its first request has.
func longImport(takes time.Duration) string {
	return fmt.Sprintf(`
import time
print("begins")
end = time.monotonic() + %v
while time.monotonic() < end:
    time.sleep(0.01)

def application(environ, start_response):
    print("called for " + environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b"imported"]
`, takes.Seconds())
}

// The end of a request does not end the import that it has begun, neither when
// its time is over nor when its client goes: there would never be an
// application if that takes longer than a request may.
func TestImportOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	n := start(t, `wsgi_preload off; wsgi_check off; wsgi_threads 2; wsgi_cancel raise;
    wsgi_python_path {{.Dir}}/app;
    server {
        listen {{.Addr}};
        location /timed { wsgi_pass long_import; wsgi_timeout 1s; }
        location / { wsgi_pass long_import; }
        location /left { wsgi_pass left_import; }
    }`, file("app/long_import.py", longImport(3*time.Second)),
		file("app/left_import.py", longImport(2*time.Second)))
	pid := n.worker()

	assert.Equal(t, 504, n.get(t, "/timed").Status)
	assert.Equal(t, "imported", n.text(t, "/"))
	assert.Equal(t, 1, n.countLog("begins"))

	c := n.dial(t)
	c.request("GET", "/left/first")
	n.waitLogTimes("begins", 2)
	_ = c.Close()
	assert.Equal(t, "imported", n.text(t, "/left/second"))
	assert.Equal(t, 2, n.countLog("begins"))

	for _, over := range []string{"/timed", "/left/first"} {
		assert.Zero(t, n.countLog("called for "+over), "nobody waits for it")
	}
	assert.Zero(t, n.countLog("does not come back"))
	assert.Equal(t, pid, n.worker())
}

// An import that does not end when wsgi_start_timeout has passed costs the pool
// no thread, though its request was answered long ago.
func TestImportThatIsStuck(t *testing.T) {
	t.Parallel()
	n := start(t, `wsgi_preload off; wsgi_check off; wsgi_threads 4; wsgi_start_timeout 2s;
    wsgi_python_path {{.Dir}}/app;
    server {
        listen {{.Addr}};
        location / { wsgi_pass stuck_import; wsgi_timeout 1s; }
    }`, file("app/stuck_import.py", `
import ctypes
ctypes.CDLL(None).sleep(8)
`))
	assert.Equal(t, 504, n.get(t, "/").Status)
	n.waitLog(`cannot be loaded: its import has not ended within 2s`)
	assert.Equal(t, 500, n.get(t, "/").Status)
	n.waitLog(`thread "default-\d" does not come back`)
	n.waitLog(`thread "default-\d" has come back and left`)
}
