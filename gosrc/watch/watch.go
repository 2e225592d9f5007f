// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package watch interrupts requests that nginx has given up.
//
// nginx's loop posts the order and goes on; one goroutine carries the orders
// out, one after another, because each has to wait for the GIL.  If the GIL
// cannot be had, nothing of Python runs: that is said in the log once, with
// the request that is suspected of it.
package watch

import (
	"sync"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

// Patience is how long it may take to get the GIL.  Python's threads hand it
// over every 5 ms if asked to, so seconds mean that C code keeps it.
const Patience = 5 * time.Second

// Interrupter raises an exception in the thread of "slot", if it still runs
// request "serial", and tells whether it did.  It may wait for the GIL.
type Interrupter interface {
	Interrupt(slot uint32, serial uint64, reason uint32) bool
}

// Pools knows which thread runs a request, and what to do when an exception
// was raised in it.
type Pools interface {
	Find(serial uint64) (pool.Job, bool)
	Interrupted(job pool.Job)
}

// Watch takes orders and carries them out.  Safe for concurrent use.
type Watch struct {
	conf  *config.Config
	exec  Interrupter
	pools Pools
	clock clock.Clock
	log   log.Logger

	mu     sync.Mutex
	orders []order
	spare  []order // the other of two slices that take turns
	wake   chan struct{}
}

type order struct {
	serial uint64
	reason uint32
}

// New returns a watch that takes orders already; Run carries them out.
func New(conf *config.Config, exec Interrupter, pools Pools, c clock.Clock,
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
	w.Patiently(func() {
		raised = w.exec.Interrupt(job.Slot, job.Serial, o.reason)
	}, func() {
		w.log.Printf(log.Err, "Python has not run for %v: C code does not"+
			" release the GIL, probably that of thread %q, which runs a request"+
			" of application %q for %.1f s", Patience, job.Thread,
			w.conf.AppName(job.App), job.Age.Seconds()+Patience.Seconds())
	})
	if raised {
		w.pools.Interrupted(job)
	}
}

// Patiently calls "f", which has to have the GIL, and "complain" once if that
// takes longer than Patience.
func (w *Watch) Patiently(f, complain func()) {
	begin := w.clock.Now()
	timer := w.clock.AfterFunc(Patience, func() {
		defer w.log.Guard("the watch")
		complain()
	})
	f()
	if !timer.Stop() {
		w.log.Printf(log.Notice, "the GIL could be had after %.1f s",
			w.clock.Now().Sub(begin).Seconds())
	}
}
