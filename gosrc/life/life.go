// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package life leads Python through its life in an nginx worker: it is started
// once, beside nginx's loop, which does not wait for it; applications are
// imported; and when the worker ends, Python ends as it would in a program of
// its own, within a time.
//
// One goroutine, locked to its OS thread, is Python's main thread: it starts
// Python, imports, and ends it.
package life

import (
	"runtime"
	"sync"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/reload"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/watch"
)

// Python is the interpreter.  Prepare is called on nginx's loop; Start, Load,
// Join, Exit and Finalize on the main thread; the others on any.
type Python interface {
	pool.Executor
	watch.Python
	watch.Witness
	reload.Worker

	// Prepare does what must have been done when nginx goes on: the queues
	// and the environment are there.
	Prepare() error
	// Start starts the interpreter and says which one it is.
	Start() (about string, err error)
	// Load imports an application; the error is the text for the log.
	Load(app uint32) error
	// EndImport raises an exception in the thread "ident" if it imports "app";
	// the text for the log, or "" if it does not.  May wait for the GIL.
	EndImport(app uint32, ident uint64, why string) string
	// Ready tells nginx that the start has come to its end, and how many
	// applications cannot be imported.
	Ready(failures int)
	// Close refuses new requests; threads leave when the queues are empty.
	Close()
	// Fail does so, and ends with an error what waits in the queues.
	Fail()
	// Join waits for the threads that applications have started.
	Join()
	// Exit calls the functions registered with atexit.
	Exit()
	// Finalize ends the interpreter.
	Finalize() error
}

// Life is one interpreter.  Its methods are called on nginx's loop, if not
// said otherwise.
type Life struct {
	conf    *config.Config
	python  Python
	clock   clock.Clock
	log     log.Logger
	gate    *gate
	imports *imports
	pools   *pool.Manager
	watch   *watch.Watch
	sampler *watch.Sampler
	reload  *reload.Reload

	mu       sync.Mutex
	state    State
	shutdown time.Duration // what the end may take; fixed when it begins
	deadline time.Time     // of the end
	stopping chan struct{} // closed by the first Stop
	drained  chan struct{} // closed when the pools' threads have left, or not
	over     chan struct{} // closed when the main thread has nothing to do
}

// New returns a life that has not begun.  "slots" is the number of threads
// that there can be.
func New(conf *config.Config, slots int, python Python, c clock.Clock,
	logger log.Logger) *Life {

	l := &Life{
		conf: conf, python: python, clock: c, log: logger, gate: newGate(),
		shutdown: conf.ShutdownTimeout,
		stopping: make(chan struct{}),
		drained:  make(chan struct{}),
		over:     make(chan struct{}),
	}
	l.imports = newImports(c, conf.StartTimeout, l.endImport)
	l.pools = pool.New(conf, slots, python, c, logger)
	l.watch = watch.New(conf, visitor{python, l.gate}, l.pools, c, logger)
	l.sampler = watch.NewSampler(visitor{python, l.gate}, l.pools.Running, l.watch, c)
	l.reload = reload.New(conf, visitor{python, l.gate}, c, logger)
	return l
}

// Start begins the life and does not wait for Python.
func (l *Life) Start() error {
	if err := l.python.Prepare(); err != nil {
		l.advance(Failed)
		close(l.over)
		return err
	}
	l.advance(Starting)
	go l.main()
	return nil
}

// Interrupt orders that the request "serial" be interrupted.
func (l *Life) Interrupt(serial uint64, reason uint32) {
	l.watch.Post(serial, reason)
}

// Importing is told that thread "ident" imports "app", or nobody does (0).
// Called on that thread, with the GIL.
func (l *Life) Importing(app uint32, ident uint64) {
	l.imports.changed(app, ident)
}

// State tells how far it has come.  On any goroutine.
func (l *Life) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// main is Python's main thread.
func (l *Life) main() {
	runtime.LockOSThread()
	defer close(l.over)
	defer func() {
		if reason := recover(); reason != nil {
			l.log.Panicked("the main thread of Python", reason)
			l.fail()
		}
	}()
	begin := l.clock.Now()
	about, err := l.python.Start()
	if err != nil {
		l.log(log.Crit, "there is no Python in this worker: "+err.Error())
		l.fail()
		return
	}
	l.log.Printf(log.Info, "%s, started in %v", about, l.since(begin))
	l.pools.Start()
	go l.watching()
	go l.sampling()
	failures := l.preload()
	if l.advance(Running) {
		l.log.Printf(log.Info, "ready after %v", l.since(begin))
	}
	l.python.Ready(failures)
	if l.conf.Reloading {
		go l.reloading()
	}
	<-l.drained
	l.end()
}

func (l *Life) fail() {
	l.advance(Failed)
	l.python.Fail()
	l.python.Ready(len(l.conf.Apps))
}

func (l *Life) watching() {
	runtime.LockOSThread()
	defer l.log.Guard("the watch")
	l.watch.Run(l.over)
}

func (l *Life) sampling() {
	runtime.LockOSThread()
	defer l.log.Guard("the sampler")
	l.sampler.Run(l.over)
}

func (l *Life) reloading() {
	runtime.LockOSThread()
	defer l.log.Guard("wsgi_script_reloading")
	l.reload.Run(l.stopping)
}

// preload imports, in the configuration's order, what is not left to the first
// request, and counts what cannot be.  A request may come meanwhile and import
// another, on its thread.
func (l *Life) preload() (failures int) {
	for i, app := range l.conf.Apps {
		if !app.Preload {
			continue
		}
		if l.State() >= Draining {
			return failures
		}
		begin := l.clock.Now()
		if err := l.python.Load(uint32(i)); err != nil {
			l.log(log.Err, err.Error())
			failures++
			continue
		}
		l.log.Printf(log.Info, "application %q imported in %v", app, l.since(begin))
	}
	return failures
}

// endImport is called when an import takes too long, or the worker ends.
func (l *Life) endImport(app uint32, ident uint64, why string) {
	defer l.log.Guard("an import")
	text := ""
	l.gate.visit(func() {
		l.watch.Patiently(ident, watch.Orders, func() {
			text = l.python.EndImport(app, ident, why)
		})
	})
	if text == "" {
		return
	}
	l.log(log.Err, text)
	if job, ok := l.pools.FindThread(ident); ok {
		l.pools.Interrupted(job)
	}
}

// advance changes the state if that is forward, and tells whether it was.
func (l *Life) advance(to State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to <= l.state || l.state >= Ended {
		return false
	}
	l.state = to
	return true
}

func (l *Life) since(begin time.Time) time.Duration {
	return l.clock.Now().Sub(begin).Round(time.Millisecond)
}

// visitor calls what takes the GIL while Python is there.
type visitor struct {
	Python
	gate *gate
}

func (v visitor) Interrupt(slot uint32, serial uint64, reason uint32) (raised bool) {
	v.gate.visit(func() { raised = v.Python.Interrupt(slot, serial, reason) })
	return raised
}

func (v visitor) Note(age time.Duration) {
	v.gate.visit(func() { v.Python.Note(age) })
}

func (v visitor) Changes() (text string) {
	v.gate.visit(func() { text = v.Python.Changes() })
	return text
}

func (v visitor) Examine() (text string) {
	v.gate.visit(func() { text = v.Python.Examine() })
	return text
}

func (v visitor) Dump() (holder uint64, text string) {
	v.gate.visit(func() { holder, text = v.Python.Dump() })
	return holder, text
}
