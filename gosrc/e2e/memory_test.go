//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// starved starts an nginx in which malloc() fails for pieces of "min" to "max"
// bytes as long as the file "starve" is there.
func starved(t *testing.T, min, max int, conf string, opts ...option) *instance {
	t.Helper()
	if sanitized {
		t.Skip("a sanitizer has a malloc() of its own")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	library := filepath.Join(dir, "starve.so")
	cmd := exec.Command(os.Getenv("CC"), "-shared", "-fPIC", "-o", library, "testdata/starve.c")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", cmd, out)

	return start(t, conf, append(opts, environment("LD_PRELOAD="+library,
		fmt.Sprint("STARVE_MIN=", min), fmt.Sprint("STARVE_MAX=", max), "STARVE_FILE="+dir+"/starve"))...)
}

// starve takes the memory away until the function that is returned is called.
func (n *instance) starve(t *testing.T) (feed func()) {
	t.Helper()
	for _, entry := range n.set.env {
		if path, found := strings.CutPrefix(entry, "STARVE_FILE="); found {
			require.NoError(t, os.WriteFile(path, nil, 0o644))
			return func() { require.NoError(t, os.Remove(path)) }
		}
	}
	require.Fail(t, "it is not starved")
	return nil
}

// No memory for a message of the application: one that is the head becomes a
// 500, a later one cuts the response; both are told, and none is sent twice.
func TestNoMemoryForResponse(t *testing.T) {
	t.Parallel()
	n := starved(t, 50100, 60000, kitchen)
	const lost = `\[error\].*wsgi: no memory, or no descriptor, for what application "kitchen" sent \(response\)` +
		`.*Cannot allocate memory.*request: "GET `
	require.Len(t, n.text(t, "/limits/chunk/50000"), 50000)
	require.Len(t, n.text(t, "/limits/chunks/50000"), 50009)

	feed := n.starve(t)
	assert.Equal(t, 500, n.get(t, "/limits/chunk/50000").Status)
	n.waitLog(lost + "/limits/chunk/")
	r := n.dial(t).get("/limits/chunks/50000")
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "first", r.Body)
	assert.True(t, r.cut(), "the client can tell")
	n.waitLog(lost + "/limits/chunks/")
	assert.Equal(t, "plain", n.text(t, "/response/plain"))

	feed()
	assert.Len(t, n.text(t, "/limits/chunk/50000"), 50000)
	assert.Len(t, n.text(t, "/limits/chunks/50000"), 50009)
	assert.Equal(t, 2, n.countLog("no memory"))
}

// No memory for what the application is to know of a request.
func TestNoMemoryForRequest(t *testing.T) {
	t.Parallel()
	n := starved(t, 50100, 60000, "large_client_header_buffers 4 64k;"+kitchen,
		allowLog(`\[emerg\].*malloc\(5\d+\) failed \(12.*request: "GET /response/plain\?xxx`))
	target := "/response/plain?" + strings.Repeat("x", 17000) // which the block has three times
	require.Equal(t, "plain", n.text(t, target))

	feed := n.starve(t)
	assert.Equal(t, 500, n.get(t, target).Status)
	n.waitLog(`malloc\(5\d+\) failed`)
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	feed()
	assert.Equal(t, "plain", n.text(t, target))
}

// No memory to collect a line of print() in: what there is of it is logged.
func TestNoMemoryForLine(t *testing.T) {
	t.Parallel()
	n := starved(t, 2*(1536+8), 2*(1536+8), "wsgi_threads 1;"+kitchen)
	feed := n.starve(t)
	assert.Equal(t, "logged", n.text(t, "/logs/streams"))
	n.waitLog(`wsgi: .*stdout printed` + inContext)
	feed()
	assert.Equal(t, "logged", n.text(t, "/logs/streams"))
	n.waitLogTimes(`wsgi: .*stdout printed`+inContext, 2)
}
