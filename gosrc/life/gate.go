// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import "sync"

// gate counts the goroutines that visit Python from outside of its pools:
// nobody may be inside, or come, when Python is finalized.
type gate struct {
	mu     sync.Mutex
	inside int
	shut   bool
	empty  chan struct{}
}

func newGate() *gate {
	return &gate{empty: make(chan struct{})}
}

// visit calls f, unless the gate is shut.
func (g *gate) visit(f func()) {
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		return
	}
	g.inside++
	g.mu.Unlock()
	defer g.leave()
	f()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.shut && g.inside == 0 {
		close(g.empty)
	}
}

// close lets nobody in any more; the channel is closed when all have left.
// Call once.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	if g.inside == 0 {
		close(g.empty)
	}
	return g.empty
}
