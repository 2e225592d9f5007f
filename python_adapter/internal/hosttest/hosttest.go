// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package hosttest is an nginx made of Go for the tests of python_adapter: a
// host table that notes what it is told, around the real queues, threads and
// interpreter.
//
//	func TestMain(m *testing.M) { os.Exit(hosttest.Main(m)) }
//
//	func TestHello(t *testing.T) {
//		r := hosttest.Run(t, hosttest.Request{App: `
//	def application(environ, start_response):
//	    start_response("200 OK", [])
//	    return [b"hello"]
//	`})
//		assert.Equal(t, "hello", r.Body())
//	}
//
// Python is started once, in Main, and ended there.
package hosttest

/*
#include "host.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/life"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
)

// The pools, by their indices.
const (
	Default = 0 // 4 threads, 256 jobs may wait
	One     = 1 // one thread, two jobs may wait
)

// Patience is how long anything may take before a test fails.
const Patience = 30 * time.Second

// maxApps is how many sources the tests of a package can have.
const maxApps = 4000

// host is the one that there is in the process.
var host struct {
	dir     string
	life    *life.Life
	runtime *C.nwsgi_runtime_t

	mu     sync.Mutex
	apps   map[source]uint32 // index
	calls  map[uint64]*Call
	last   uint64
	log    []Entry // of no request
	drains []Drain
}

// Entry is one entry of the error log.
type Entry struct {
	Level uint32 // 1 emerg, 2 alert, 3 crit, 4 err, 5 warn, ...
	Text  string
}

// Drain is a call of the host's drain().
type Drain struct {
	Reason string
	Soon   bool
}

// Main starts Python, runs the tests and ends Python; its value is for
// os.Exit.  "options" change the configuration before.
func Main(m *testing.M, options ...func(*config.Config)) int {
	dir, err := os.MkdirTemp("", "hosttest")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	host.dir = dir
	host.apps = map[source]uint32{}
	host.calls = map[uint64]*Call{}
	conf := configuration(dir)
	for _, option := range options {
		option(conf)
	}
	Attach()
	host.life = life.New(conf, adapter.MaxSlots, adapter.New(conf), clock.System{},
		func(level log.Level, text string) { adapter.Log(uint32(level), text) })
	if err := host.life.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	return max(code, stop())
}

// Attach exchanges the tables, for tests that start Python by themselves.
func Attach() {
	host.runtime = (*C.nwsgi_runtime_t)(adapter.Runtime(unsafe.Pointer(&C.hosttest_host)))
}

func stop() int {
	outcome := life.Again
	for outcome == life.Again {
		outcome = host.life.Stop(Patience)
	}
	if outcome != life.Done {
		fmt.Println("Python could not be ended:\n" + Log())
		return 1
	}
	return 0
}

func configuration(dir string) *config.Config {
	conf := &config.Config{
		StartTimeout:    Patience,
		ShutdownTimeout: Patience,
		Workers:         1,
		Ident:           "nginx/1.2.3",
		Path:            []string{filepath.Join(dir, "path")},
		Pools: []config.Pool{
			{Name: "default", Threads: 4, Queue: 256},
			{Name: "one", Threads: 1, Queue: 2},
		},
	}
	for i := range maxApps {
		conf.Apps = append(conf.Apps, config.App{Target: script(dir, i)})
	}
	return conf
}

func script(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("app_%d.py", i))
}

// source is that of a test's application.
type source struct {
	t    testing.TB
	text string
}

// app writes a source into the file of an application that was not used yet.
// Requests of a test with the same source meet the same module.
func app(t testing.TB, text string) uint32 {
	host.mu.Lock()
	defer host.mu.Unlock()
	if index, ok := host.apps[source{t, text}]; ok {
		return index
	}
	index := len(host.apps)
	if index == maxApps {
		t.Fatal("too many applications")
	}
	err := os.WriteFile(script(host.dir, index), []byte(text), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	host.apps[source{t, text}] = uint32(index)
	return uint32(index)
}

// Log is what was logged without the context of a request, since Python has
// started or Log was called before, one entry a line.
func Log() string {
	host.mu.Lock()
	defer host.mu.Unlock()
	defer func() { host.log = nil }()
	return text(host.log)
}

// Drains are the calls of drain() since Python has started or Drains was called
// before.
func Drains() []Drain {
	host.mu.Lock()
	defer host.mu.Unlock()
	defer func() { host.drains = nil }()
	return host.drains
}

func text(entries []Entry) string {
	var lines []string
	for _, entry := range entries {
		lines = append(lines, entry.Text)
	}
	return strings.Join(lines, "\n")
}

// Life is the life that the host leads, for tests that look behind it.
func Life() *life.Life {
	return host.life
}
