// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
)

// imports bounds the time that each import of an application takes, on
// whatever thread it runs.  Safe for concurrent use.
type imports struct {
	clock clock.Clock
	limit time.Duration
	stop  func(app uint32, ident uint64, why string)

	mu      sync.Mutex
	running map[uint32]*importing // by application
}

type importing struct {
	ident uint64 // of the thread, as Python names it
	timer clock.Timer
}

func newImports(c clock.Clock, limit time.Duration,
	stop func(app uint32, ident uint64, why string)) *imports {

	return &imports{clock: c, limit: limit, stop: stop, running: map[uint32]*importing{}}
}

// changed: the thread "ident" imports "app" from now on, or nobody does (0).
// Called with the GIL held: it waits for nothing.
func (i *imports) changed(app uint32, ident uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if was := i.running[app]; was != nil {
		was.timer.Stop()
		delete(i.running, app)
	}
	if ident == 0 {
		return
	}
	i.running[app] = &importing{ident, i.clock.AfterFunc(i.limit, func() {
		i.end(app, ident, fmt.Sprintf("its import has not ended within %v"+
			" (wsgi_start_timeout)", i.limit))
	})}
}

// endAll ends what is being imported, on goroutines of their own.
func (i *imports) endAll(why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for app, running := range i.running {
		go i.end(app, running.ident, why)
	}
}

// end has an OS thread of its own, because Python keeps a state for it.
func (i *imports) end(app uint32, ident uint64, why string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.stop(app, ident, why)
}
