// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package reload is wsgi_script_reloading: it looks for changes of the source
// files that a worker has imported, and has the worker replaced when they are
// fit for that.
//
// A change is judged when nothing has changed since the look before: editors
// write in several steps, and git writes many files.  What does not compile
// leaves the worker as it is.  With wsgi_check, what cannot be imported does,
// too: requests wait while a process of its own tries, so that none that comes
// later gets the old code.
package reload

import (
	"context"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// Interval is the time between two looks, and Settle that between the look that
// finds a change and the one that finds it complete.
const (
	Interval = 300 * time.Millisecond
	Settle   = 100 * time.Millisecond
)

// Worker is what there is to be replaced.  The first two may wait for the GIL.
type Worker interface {
	// Changes describes what differs from what was imported, or is "".
	Changes() string
	// Examine compiles what has changed: what is wrong with it, or "".
	Examine() string
	// Trial imports the applications in a process of its own: what is wrong
	// with them, or "".  Returns when "ctx" is done.
	Trial(ctx context.Context) string
	// Hold has requests wait (true) or be served again (false).
	Hold(on bool)
	// Replace ends what runs, then the worker.
	Replace(reason string)
}

// Reload looks and judges.  One goroutine.
type Reload struct {
	worker Worker
	clock  clock.Clock
	log    log.Logger
	check  bool
	limit  time.Duration // of a trial
}

// New returns one that has not begun to look.
func New(conf *config.Config, worker Worker, c clock.Clock, logger log.Logger) *Reload {
	return &Reload{
		worker: worker, clock: c, log: logger, check: conf.Check,
		limit: conf.StartTimeout * time.Duration(len(conf.Apps)),
	}
}

// Run looks until "stop" is closed, or the worker is to be replaced.  The
// caller has locked its OS thread, which Python then knows.
func (r *Reload) Run(stop <-chan struct{}) {
	judged := ""
	for r.pause(stop, Interval) {
		changes := r.worker.Changes()
		if changes == "" || changes == judged {
			continue
		}
		if !r.pause(stop, Settle) {
			return
		}
		if r.worker.Changes() != changes {
			continue
		}
		judged = changes
		if r.judge(stop, changes) {
			r.worker.Replace("its source files have changed")
			return
		}
	}
}

// pause returns false when there is nothing to wait for any more.
func (r *Reload) pause(stop <-chan struct{}, d time.Duration) bool {
	passed, timer := clock.After(r.clock, d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-passed:
		return true
	}
}

// judge tells whether the change may replace what runs, and logs why not.
func (r *Reload) judge(stop <-chan struct{}, changes string) bool {
	wrong, outdated := r.worker.Examine(), false
	if wrong == "" && r.check {
		r.worker.Hold(true)
		wrong, outdated = r.try(stop, changes)
		if wrong != "" || outdated {
			r.worker.Hold(false)
		}
	}
	if wrong != "" && !outdated {
		r.log(log.Err, "changed source files are refused, the old code serves on\n"+wrong)
	}
	return wrong == "" && !outdated
}

// try has the applications imported.  "outdated": the worker ends, or there are
// further changes; those who wait shall not wait for an import that hangs when
// that has been mended.
func (r *Reload) try(stop <-chan struct{}, changes string) (wrong string, outdated bool) {
	ctx, cancel := context.WithTimeout(context.Background(), r.limit)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer r.log.Guard("wsgi_script_reloading")
		if r.pauses(ctx, stop, changes) {
			outdated = true
			cancel()
		}
	}()
	wrong = r.worker.Trial(ctx)
	cancel()
	<-over
	return wrong, outdated
}

// pauses until "ctx" is done (false), "stop" is closed or there are other
// changes (true).
func (r *Reload) pauses(ctx context.Context, stop <-chan struct{}, changes string) bool {
	for {
		passed, timer := clock.After(r.clock, Settle)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-stop:
			timer.Stop()
			return true
		case <-passed:
		}
		if r.worker.Changes() != changes {
			return true
		}
	}
}
