//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flooded tells what became of the names of header fields: how many there are,
// how many keys are the objects that they were in the request before; and what
// the module's hash of some names is in this worker.
const flooded = `import ctypes, json, os

kept = {}

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    names = [name for name in environ if name.startswith("HTTP_X_ORDINARY_")]
    same = sum(kept.get(name) is name for name in names)
    kept.update((name, name) for name in names)
    fields = sum(name.startswith("HTTP_") for name in environ)
    hash = ctypes.CDLL(None).ngx_http_wsgi_hash
    return [json.dumps({
        "fields": fields, "same": same, "pid": os.getpid(),
        "hashes": [hash(name, ctypes.c_size_t(len(name))) for name in (b"a", b"b", b"host")],
    }).encode()]
`

type flood struct {
	Fields, Same, Pid int
	Hashes            [3]int32
}

func startFlooded(t *testing.T, opts ...option) *instance {
	t.Helper()
	many := "large_client_header_buffers 8 64k; keepalive_requests 100000;"
	if strings.Contains(readFile(the.nginx), "max_headers\x00") { // nginx 1.29.8: 1000
		many += "max_headers 10000;"
	}
	return start(t, many+`
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}} reuseport; location / { wsgi_pass flooded; } }`,
		append(opts, file("apps/flooded.py", flooded))...)
}

// ask sends fields of these names, each of which has to arrive.
func (w *wire) ask(names []string) (f flood) {
	w.t.Helper()
	var text strings.Builder
	text.WriteString("GET / HTTP/1.1\r\nHost: a\r\n")
	for _, name := range names {
		text.WriteString(name + ":\r\n")
	}
	w.sendRaw(text.String() + "\r\n")
	r := w.reply("GET")
	require.Equal(w.t, 200, r.Status)
	decode(w.t, r.Body, &f)
	require.Equal(w.t, len(names)+1, f.Fields)
	return f
}

// someNames makes names that no other call makes.
func someNames(prefix string, from, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = prefix + strconv.Itoa(from+i)
	}
	return names
}

// fnv is FNV-1a, a hash that has no key, of the name as environ has it.
func fnv(name string) uint32 {
	h := uint32(2166136261)
	for _, ch := range []byte("HTTP_" + strings.ToUpper(name)) {
		h = (h ^ uint32(ch)) * 16777619
	}
	return h
}

// shortNames makes names of five letters that "take" takes.
func shortNames(count int, take func(string) bool) []string {
	var names []string
	for i := 0; len(names) < count; i++ {
		name := make([]byte, 5)
		for at, n := 0, i*7919; at < 5; at, n = at+1, n/26 { // a prime: they differ
			name[at] = byte('a' + n%26)
		}
		if take(string(name)) {
			names = append(names, string(name))
		}
	}
	return names
}

// 28 KB of names that fall together where the hash is known cost what others do.
func TestFloodOfCollisions(t *testing.T) {
	t.Parallel()
	n := startFlooded(t)
	kinds := [2][]string{
		shortNames(3500, func(string) bool { return true }),
		shortNames(3500, func(name string) bool { return fnv(name)%1024 == 77 }),
	}
	w := n.dial(t)
	var used [2]time.Duration
	for round := range 10 {
		for kind, names := range kinds {
			before := cpuTime(n.worker())
			for range 8 {
				w.ask(names)
			}
			if round > 0 { // the first one warms up
				used[kind] += cpuTime(n.worker()) - before
			}
		}
	}
	t.Logf("72 requests with any names: %v, with names that collide: %v", used[0], used[1])
	assert.Less(t, used[1], 2*used[0]+100*time.Millisecond)
}

// The names of ordinary requests stay in the cache, or come back, whatever was
// sent before, or is sent meanwhile.
func TestFloodLeavesOrdinaryNames(t *testing.T) {
	t.Parallel()
	n := startFlooded(t)
	w := n.dial(t)
	ordinary := someNames("X-Ordinary-", 0, 30)
	sent := 0
	hostile := func(count int) {
		w.ask(someNames("X-Hostile-"+strings.Repeat("x", 20), sent, count))
		sent += count
	}
	for range 3 {
		for range 5 {
			hostile(2000)
		}
		w.ask(ordinary)
		w.ask(ordinary) // makes the key the one that is interned
		assert.Equal(t, 30, w.ask(ordinary).Same, "after the flood")
	}
	for range 50 {
		hostile(50)
		require.Equal(t, 30, w.ask(ordinary).Same, "in the flood")
	}
}

// 200 000 names leave nothing behind.
func TestFloodMemory(t *testing.T) {
	t.Parallel()
	n := startFlooded(t)
	w := n.dial(t)
	sent := 0
	hostile := func(count int) {
		for end := sent + count; sent < end; sent += 2000 {
			names := someNames("X-"+strings.Repeat("y", 60), sent, 2000)
			w.ask(names)
			w.ask(names) // names that have come again are kept otherwise
		}
	}
	hostile(20000)
	before := rss(n.worker())
	hostile(200000)
	assert.Less(t, rss(n.worker())-before, memory(8<<20), "30 MB went through")
}

// Each worker has a secret of its own: another hash of each name.
func TestFloodSecrets(t *testing.T) {
	t.Parallel()
	n := startFlooded(t, workers(3))
	hashes := map[int][3]int32{}
	n.wait("all workers to answer", func() bool {
		f := n.dial(t).ask(nil)
		hashes[f.Pid] = f.Hashes
		return len(hashes) == 3
	})
	seen := map[int32]bool{}
	for _, three := range hashes {
		for _, hash := range three {
			seen[hash] = true
		}
	}
	assert.Len(t, seen, 9, hashes)
}
