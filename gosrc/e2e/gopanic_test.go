//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is put into Go's code, where a thread of a pool tells it that a request
// imports an application: the first of them works, and each of the others has a
// failure of its own.
const (
	importsFile = "gosrc/life/imports.go"
	imported    = "\tif ident == 0 {\n\t\treturn\n\t}\n"
	failures    = `
	if ident != 0 {
		switch app {
		case 1:
			panic("put there by the test")
		case 2:
			new(sync.Mutex).Unlock()
		case 3:
			go panic("put there by the test")
			select {}
		case 4:
			m := map[int]int{}
			for range 4 {
				go func() { for { m[1]++ } }()
			}
			select {}
		}
	}
`
)

// brokenLibrary builds the library with them.  The build is told to take the
// changed file instead of the real one, which has nothing of it.
var brokenLibrary = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	file := filepath.Join(root, importsFile)
	text := readFile(file)
	if strings.Count(text, imported) != 1 {
		return "", fmt.Errorf("%s has changed: %q", file, imported)
	}
	dir := filepath.Join(the.base, "broken")
	changed, library := filepath.Join(dir, "changed.go"), filepath.Join(dir, "libngx_wsgi.so")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	err = errors.Join(err, os.Mkdir(dir, 0o755),
		os.WriteFile(changed, []byte(strings.Replace(text, imported, failures+imported, 1)), 0o644),
		os.WriteFile(changed+".json", overlay, 0o644))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath",
		"-overlay", changed+".json", "-o", library, "./gosrc")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // the tests are built without
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return library, nil
})

// startBroken starts nginx with it.
func startBroken(t *testing.T, opts ...option) *instance {
	t.Helper()
	conf, more := broken(t)
	return start(t, conf, append(opts, more...)...)
}

// broken is the configuration for it.  Imports are left to requests.
func broken(t *testing.T) (conf string, opts []option) {
	t.Helper()
	library, err := brokenLibrary()
	require.NoError(t, err)
	locations := ""
	for i := range 5 {
		opts = append(opts, file(fmt.Sprintf("apps/app%d.py", i), whichApp(fmt.Sprint(i))))
		locations += fmt.Sprintf("location = /%d { wsgi_pass app%d; }\n", i, i)
	}
	return `
    wsgi_preload off;
    wsgi_pool steering threads=4;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        ` + locations + `
        location / { wsgi_use_pool steering; wsgi_pass kitchen; }
    }`, append(opts, mainContext("wsgi_library "+library+";"), allowRespawn())
}

// A panic in Go is the answer 500, is in the log, and the worker is replaced
// when it has finished what it has.
func TestGoPanic(t *testing.T) {
	t.Parallel()
	n := startBroken(t, allowLog(`\[crit\] .* wsgi: `))
	old := n.worker()
	running := n.later("GET", "/timing/nap/1/"+name(t))
	n.notes(t, name(t), 1)

	assert.Equal(t, 500, n.get(t, "/1").Status)
	n.waitLog(`\[crit\] .* wsgi: panic in an import: put there by the test`)
	n.waitLog(`\[crit\] .* wsgi: goroutine \d+`)
	n.waitLog(`\[error\] .* wsgi: .*"app1".*` + inContext)
	n.waitLog(`\[notice\] .*a panic in Go`)
	out := <-running
	require.NoError(t, out.err)
	assert.Equal(t, "slept", out.Body)
	n.client.CloseIdleConnections()
	n.wait("the new worker", func() bool {
		now := n.workers()
		return len(now) == 1 && now[0] != old
	})
	assert.Equal(t, "0", n.text(t, "/0"))
	assert.Zero(t, n.countLog(`died with a request`))
}

// What Go cannot recover from is written to the error log by Go itself; the
// worker is replaced, which it would not be with a Go program's exit code, and what
// was lost is told.
func TestGoFatal(t *testing.T) {
	t.Parallel()
	for target, says := range map[string]string{
		"/2": `fatal error: sync: unlock of unlocked mutex`,
		"/3": `panic: put there by the test`,
		"/4": `fatal error: concurrent map writes`,
	} {
		t.Run(target[1:], func(t *testing.T) {
			t.Parallel()
			n := startBroken(t, allowLog(says, `worker process \d+ exited on signal 6`, `SIGABRT`))
			pid := n.worker()
			running := n.occupy(t, 1)
			n.later("POST", target)
			lost := n.lost(t, pid, 2)
			assert.Contains(t, lost, running[0])
			assert.Contains(t, lost, target)
			text := readFile(filepath.Join(n.Dir, "error.log"))
			assert.Contains(t, text, "\n"+says+"\n")
			assert.Regexp(t, `\ngoroutine \d+ `, text)
			assert.Contains(t, text, "gosrc/life.(*imports).changed")
			assert.Equal(t, "0", n.text(t, "/0"))
			assert.Zero(t, n.countLog(`cannot be respawned`))
		})
	}
}

// A daemon has no terminal to write to; what Go writes is in its error log.
func TestGoFatalDaemon(t *testing.T) {
	t.Parallel()
	conf, opts := broken(t)
	set := newSettings(opts)
	p := newPlace(t, set.files)
	path := p.writeConf(t, conf, set)
	require.NoError(t, os.WriteFile(path,
		[]byte(strings.Replace(readFile(path), "daemon off;", "daemon on;", 1)), 0o644))
	out, err := exec.Command(the.nginx, "-p", p.Dir, "-c", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	log := func() string { return readFile(filepath.Join(p.Dir, "error.log")) }
	await := func(text string) {
		require.Eventually(t, func() bool { return strings.Contains(log(), text) },
			patience, 10*time.Millisecond, "%s", text)
	}
	await("wsgi: ready after")
	w := dialTo(t, "tcp", p.Addr)
	w.request("POST", "/2")
	w.needClosed()
	await("\nfatal error: sync: unlock of unlocked mutex\n")
	await(`request: "POST /2"`)
	out, err = exec.Command(the.nginx, "-p", p.Dir, "-c", path, "-s", "quit").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool { return readFile(filepath.Join(p.Dir, "nginx.pid")) == "" },
		patience, 10*time.Millisecond)
}
