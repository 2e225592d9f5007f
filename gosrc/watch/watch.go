// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package watch interrupts requests that nginx has given up.
//
// nginx's loop posts the order and goes on; one goroutine carries the orders
// out, one after another, because each has to wait for the GIL.  If the GIL
// cannot be had, nothing of Python runs.  The log then says which thread holds
// it and where that is, as another process can see it; and if it does not come
// back, the worker is replaced.
package watch

import (
	"fmt"
	"sync"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

// Patience is how long it may take to get the GIL before the log says who has
// it.  Python's threads hand it over every 5 ms if asked to, so seconds mean
// that C code keeps it, or that the machine is very busy.
const Patience = 2 * time.Second

// Limit is how long it may take before the worker is given up and replaced.
const Limit = 10 * time.Second

// Python is the interpreter as the watch sees it.
type Python interface {
	// Interrupt raises an exception in the thread of "slot", if it still runs
	// request "serial", and tells whether it did.  It may wait for the GIL.
	Interrupt(slot uint32, serial uint64, reason uint32) bool
	// Dump tells the identifier of the thread that holds the GIL, 0 for none,
	// and what all threads are doing, in faulthandler's words; "" if that
	// cannot be had.  It does not wait for the GIL.
	Dump() (holder uint64, text string)
	// Record writes an entry with the context of a request.
	Record(serial uint64, level log.Level, text string)
	// Drain has this worker replaced; "soon": it serves nobody any more.
	Drain(reason string, soon bool)
	// Refuse ends what waits in the queues, and refuses what comes.
	Refuse()
}

// Pools knows which thread runs a request, and what to do when an exception
// was raised in it.
type Pools interface {
	Find(serial uint64) (pool.Job, bool)
	FindThread(ident uint64) (pool.Job, bool)
	Interrupted(job pool.Job)
}

// Watch takes orders and carries them out.  Safe for concurrent use.
type Watch struct {
	conf  *config.Config
	exec  Python
	pools Pools
	clock clock.Clock
	log   log.Logger

	mu     sync.Mutex
	orders []order
	spare  []order // the other of two slices that take turns
	lost   int     // calls that have waited for the GIL beyond Limit, and do
	wake   chan struct{}
}

type order struct {
	serial uint64
	reason uint32
}

// New returns a watch that takes orders already; Run carries them out.
func New(conf *config.Config, exec Python, pools Pools, c clock.Clock,
	logger log.Logger) *Watch {

	return &Watch{
		conf: conf, exec: exec, pools: pools, clock: c, log: logger,
		orders: make([]order, 0, 32),
		spare:  make([]order, 0, 32),
		wake:   make(chan struct{}, 1),
	}
}

// Post orders the interruption of request "serial".  For nginx's loop: the
// lock is held for an append and nothing else.  There is no limit to run into:
// nginx gives a request up once, and no more run than there are threads.
func (w *Watch) Post(serial uint64, reason uint32) {
	w.mu.Lock()
	w.orders = append(w.orders, order{serial, reason})
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run carries orders out until "stop" is closed.  The caller has locked its OS
// thread, which Python then knows.
func (w *Watch) Run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-w.wake:
		}
		for _, o := range w.take() {
			w.carryOut(o)
		}
	}
}

func (w *Watch) take() []order {
	w.mu.Lock()
	defer w.mu.Unlock()
	orders := w.orders
	w.orders, w.spare = w.spare[:0], orders
	return orders
}

func (w *Watch) carryOut(o order) {
	defer w.log.Guard("the watch")
	job, ok := w.pools.Find(o.serial)
	if !ok {
		return
	}
	raised := false
	w.Patiently(job.Ident, func() {
		raised = w.exec.Interrupt(job.Slot, job.Serial, o.reason)
	})
	if raised {
		w.pools.Interrupted(job)
	}
}

// call is one that has to have the GIL.  Guarded by the watch's lock.
type call struct{ lost, over bool }

// Patiently calls "f", which has to have the GIL, on behalf of the thread
// "ident".  If that takes too long, see Patience and Limit.
func (w *Watch) Patiently(ident uint64, f func()) {
	begin := w.clock.Now()
	late := w.clock.AfterFunc(Patience, func() {
		defer w.log.Guard("the watch")
		w.accuse(ident)
	})
	c := &call{}
	limit := w.clock.AfterFunc(Limit, func() {
		defer w.log.Guard("the watch")
		w.lose(c)
	})
	f()
	if !late.Stop() {
		w.log.Printf(log.Notice, "the GIL could be had after %.1f s",
			w.clock.Now().Sub(begin).Seconds())
	}
	if !limit.Stop() {
		w.regain(c)
	}
}

// accuse says who holds the GIL, and what the thread does that is to have it.
func (w *Watch) accuse(ident uint64) {
	holder, text := w.exec.Dump()
	seen := parseStacks(text)
	what := fmt.Sprintf("the GIL could not be had for %v: ", Patience)
	job, ok := w.pools.FindThread(holder)
	switch {
	case text == "" && holder == 0:
		w.log(log.Err, what+"which thread holds it cannot be said")
	case holder == 0:
		w.log(log.Err, what+"no thread holds it now")
	case !ok:
		w.log(log.Err, what+"a thread that runs no request holds it"+seen.of(holder, ""))
	default:
		w.exec.Record(job.Serial, log.Err, fmt.Sprintf("%sthread %q holds it, which"+
			" runs a request of application %q for %.1f s%s", what, job.Thread,
			w.conf.AppName(job.App), job.Age.Seconds(), seen.of(holder, job.Thread)))
	}
	if job, ok = w.pools.FindThread(ident); ok && ident != holder && text != "" {
		w.exec.Record(job.Serial, log.Err, fmt.Sprintf("thread %q meanwhile%s",
			job.Thread, seen.of(ident, job.Thread)))
	}
}

// lose gives this worker up, unless the GIL could be had meanwhile.
func (w *Watch) lose(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.over {
		c.lost = true
		w.lost++
		w.exec.Drain(fmt.Sprintf("the GIL could not be had for %v", Limit), true)
		w.exec.Refuse()
	}
}

func (w *Watch) regain(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.over = true
	if c.lost {
		w.lost--
	}
}

// Lost tells whether the GIL cannot be had, and could not for longer than
// Limit.
func (w *Watch) Lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost > 0
}
