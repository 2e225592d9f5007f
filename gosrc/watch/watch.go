// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package watch interrupts requests that nginx has given up.
//
// nginx's loop posts the order and goes on; one goroutine carries the orders
// out, one after another, because each has to wait for the GIL.  Another looks
// where requests are that run for long, which needs it, too.  If the GIL cannot
// be had, nothing of Python runs.  The log then says which thread holds it and
// where that is, as another process can see it; and if it does not come back,
// the worker is replaced.
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

// Patience is how long it may take to get the GIL: before the log says who has
// it, and before the worker is given up and replaced.  Python's threads hand it
// over every 5 ms if asked to, so seconds mean that C code keeps it, or that the
// machine is very busy.
type Patience struct {
	Accuse, Lose time.Duration
}

var (
	// Orders is the patience of who has to end something whose time is over.
	Orders = Patience{2 * time.Second, 10 * time.Second}
	// Looks is that of who only looks: no limit of anybody's has passed, so
	// what C code does may be meant to take long, but a deadlock does not end.
	Looks = Patience{5 * time.Second, 5 * time.Minute}
)

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

	mu      sync.Mutex
	orders  []order
	spare   []order // the other of two slices that take turns
	lost    int     // calls that have waited for the GIL too long, and do
	accused bool    // a call that waits has said who holds it
	wake    chan struct{}
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
	w.Patiently(job.Ident, Orders, func() {
		raised = w.exec.Interrupt(job.Slot, job.Serial, o.reason)
	})
	if raised {
		w.pools.Interrupted(job)
	}
}

// call is one that has to have the GIL.  Guarded by the watch's lock.
type call struct{ accuser, lost, over bool }

// Patiently calls "f", which has to have the GIL, on behalf of the thread
// "ident", or of none (0).  If that takes too long, see Patience.
func (w *Watch) Patiently(ident uint64, patience Patience, f func()) {
	begin := w.clock.Now()
	c := &call{}
	late := w.clock.AfterFunc(patience.Accuse, func() {
		defer w.log.Guard("the watch")
		w.accuse(c, ident, patience.Accuse)
	})
	limit := w.clock.AfterFunc(patience.Lose, func() {
		defer w.log.Guard("the watch")
		w.lose(c, patience.Lose)
	})
	defer func() { // also if f panics
		late.Stop()
		limit.Stop()
		if w.regain(c) {
			w.log.Printf(log.Notice, "the GIL could be had after %.1f s",
				w.clock.Now().Sub(begin).Seconds())
		}
	}()
	f()
}

// accuse says who holds the GIL, once while it is away, and what the thread
// does that is to have it.
func (w *Watch) accuse(c *call, ident uint64, after time.Duration) {
	first, waits := w.isLate(c)
	if !waits {
		return
	}
	holder, text := w.exec.Dump()
	seen := parseStacks(text)
	what := fmt.Sprintf("the GIL could not be had for %v: ", after)
	if first {
		w.accuseHolder(holder, seen, what)
		what = ""
	}
	job, ok := w.pools.FindThread(ident)
	if ok && ident != holder && text != "" {
		w.exec.Record(job.Serial, log.Err, fmt.Sprintf("%sthread %q meanwhile%s",
			what, job.Thread, seen.of(ident, job.Thread)))
	}
}

func (w *Watch) accuseHolder(holder uint64, seen stacks, what string) {
	job, ok := w.pools.FindThread(holder)
	switch {
	case len(seen) == 0 && holder == 0:
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
}

// isLate notes that a call takes too long, if it waits still, and tells whether
// it is the first one now.
func (w *Watch) isLate(c *call) (first, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.over {
		return false, false
	}
	c.accuser = !w.accused
	w.accused = true
	return c.accuser, true
}

// lose gives this worker up, unless the GIL could be had meanwhile.
func (w *Watch) lose(c *call, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.over {
		c.lost = true
		w.lost++
		w.exec.Drain(fmt.Sprintf("the GIL could not be had for %v", after), true)
		w.exec.Refuse()
	}
}

// regain ends a call, and tells whether it was the one that has accused.
func (w *Watch) regain(c *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.over = true
	if c.lost {
		w.lost--
	}
	if c.accuser {
		w.accused = false
	}
	return c.accuser
}

// Lost tells whether the GIL cannot be had, and could not for so long that the
// worker was given up.
func (w *Watch) Lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost > 0
}
