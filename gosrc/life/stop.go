// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"fmt"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// Outcome is what Stop has come to.
type Outcome int

// The outcomes.
const (
	Again  Outcome = iota // call again
	Done                  // Python has ended, or there was none
	Undone                // it could not be ended: the process has to _exit()
)

// timeout is the reason for which requests are interrupted at the end, one of
// nwsgi.h's.
const timeout = 1

// Hurry has the end take no longer than "limit".  Before the first Stop.
func (l *Life) Hurry(limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deadline.IsZero() {
		l.shutdown = min(l.shutdown, limit)
	}
}

// Stop begins to end Python at its first call; each waits for at most "wait".
// All of it takes no longer than ShutdownTimeout, or than Hurry says.  Of that,
// running requests have one half before they are interrupted, and a quarter
// after that: the rest is for what applications do at exit, which is worth more
// than a thread that does not come back.
func (l *Life) Stop(wait time.Duration) Outcome {
	deadline := l.begin()
	if l.watch.Lost() {
		return l.giveUp("Python cannot end without the GIL")
	}
	passed, timer := clock.After(l.clock, min(wait, deadline.Sub(l.clock.Now())))
	defer timer.Stop()
	select {
	case <-l.over:
		return l.outcome()
	case <-passed:
	}
	if l.clock.Now().Before(deadline) {
		return Again
	}
	limit := "wsgi_shutdown_timeout"
	if l.shutdown < l.conf.ShutdownTimeout {
		limit = "fast shutdown"
	}
	return l.giveUp(fmt.Sprintf("Python has not ended within %v (%s)", l.shutdown, limit))
}

// begin begins to end Python, if that has not begun, and returns the deadline.
func (l *Life) begin() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.deadline.IsZero() {
		return l.deadline
	}
	l.deadline = l.clock.Now().Add(l.shutdown)
	close(l.stopping)
	if l.state == Idle {
		l.state = Ended
		close(l.over)
	}
	if l.state < Draining {
		l.state = Draining
		go l.drain()
	}
	return l.deadline
}

func (l *Life) outcome() Outcome {
	if l.State() == Stuck {
		return Undone
	}
	return Done
}

func (l *Life) giveUp(why string) Outcome {
	if was := l.State(); l.advance(Stuck) {
		l.log.Printf(log.Warn, "%s: it is %v", why, was)
	}
	return Undone
}

// drain waits until the pools' threads have left, or the time for it is over.
func (l *Life) drain() {
	defer l.log.Guard("the end of Python")
	defer close(l.drained)
	half, timer := clock.After(l.clock, l.shutdown/2)
	defer timer.Stop()
	rest, timer := clock.After(l.clock, l.shutdown*3/4)
	defer timer.Stop()
	l.python.Close()
	l.pools.Close()
	l.imports.endAll("the worker ends")
	select {
	case <-l.pools.Gone():
		return
	case <-half:
	}
	for _, job := range l.pools.Running() {
		l.watch.Post(job.Serial, timeout)
	}
	select {
	case <-l.pools.Gone():
	case <-rest:
	}
}

// end ends Python, on its main thread, unless Stop has given up meanwhile.
func (l *Life) end() {
	if l.advance(Joining) {
		l.python.Join()
	}
	if l.advance(Exiting) {
		l.python.Exit()
	}
	if !l.deserted() {
		l.advance(Stuck)
		return
	}
	if l.advance(Finalizing) {
		if err := l.python.Finalize(); err != nil {
			l.log(log.Err, err.Error())
		}
		l.advance(Ended)
	}
}

// deserted tells whether the main thread is the last one in Python.  If it is
// not, Python cannot be finalized: its memory would go under that thread.
func (l *Life) deserted() bool {
	if l.pools.Living() > 0 {
		for _, job := range l.pools.Running() {
			l.log.Printf(log.Warn, "thread %q is still in a request of application"+
				" %q, after %.1f s", job.Thread, l.conf.AppName(job.App),
				job.Age.Seconds())
		}
		return false
	}
	late, timer := clock.After(l.clock, l.begin().Sub(l.clock.Now()))
	defer timer.Stop()
	select {
	case <-l.gate.close():
		return true
	case <-late:
		return false
	}
}
