// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

// python is a fake of both sides: jobs 1 to 999 run, in slots of their number;
// the GIL can be had while "gil" is not locked.
type python struct {
	gil         sync.Mutex
	deaf        uint64 // ends while it is interrupted
	waiting     chan uint64
	mu          sync.Mutex
	interrupted []uint64
	told        chan uint64
}

func (p *python) Find(serial uint64) (pool.Job, bool) {
	return pool.Job{
		Serial: serial, Slot: uint32(serial), Thread: "default-1", Age: time.Minute,
	}, serial < 1000
}

func (p *python) Interrupt(slot uint32, serial uint64, reason uint32) bool {
	if p.waiting != nil {
		p.waiting <- serial
	}
	p.gil.Lock()
	defer p.gil.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if serial == 666 {
		panic("no reason")
	}
	if uint64(slot) == serial && reason == 1 {
		p.interrupted = append(p.interrupted, serial)
	}
	return serial != p.deaf
}

func (p *python) Interrupted(job pool.Job) { p.told <- job.Serial }

type fixture struct {
	*Watch
	python *python
	clock  *clock.Fake
	mu     sync.Mutex
	said   []string
}

func start(t *testing.T) *fixture {
	f := &fixture{
		python: &python{told: make(chan uint64, 1000)},
		clock:  clock.NewFake(),
	}
	conf := &config.Config{Apps: []config.App{{Target: "app:wsgi"}}}
	f.Watch = New(conf, f.python, f.python, f.clock, func(_ log.Level, text string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.said = append(f.said, text)
	})
	return f
}

func (f *fixture) run(t *testing.T) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		f.Run(stop)
		close(done)
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
}

func (f *fixture) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.said, "\n")
}

func TestOrdersAreCarriedOutInOrder(t *testing.T) {
	f := start(t)
	for serial := uint64(1); serial < 100; serial++ {
		f.Post(serial, 1)
	}
	f.run(t)
	for serial := uint64(1); serial < 100; serial++ {
		assert.Equal(t, serial, <-f.python.told)
	}
	assert.Empty(t, f.log())
	assert.Zero(t, f.clock.Pending())
}

func TestNothingIsLostWhileTheGILIsAway(t *testing.T) {
	f := start(t)
	f.python.waiting = make(chan uint64, 1000)
	f.python.gil.Lock()
	f.run(t)
	f.Post(1, 1)
	<-f.python.waiting
	var group sync.WaitGroup
	for serial := range uint64(500) {
		group.Add(1)
		go func() {
			defer group.Done()
			f.Post(serial+2, 1)
		}()
	}
	group.Wait()
	f.python.gil.Unlock()
	seen := map[uint64]bool{}
	for range 501 {
		seen[<-f.python.told] = true
	}
	assert.Len(t, seen, 501)
}

func TestRequestThatHasEnded(t *testing.T) {
	f := start(t)
	f.python.deaf = 2
	f.run(t)
	f.Post(1000, 1)
	f.Post(2, 1)
	f.Post(3, 1)
	assert.Equal(t, uint64(3), <-f.python.told, "neither 1000 nor 2 was interrupted")
}

func TestGILThatCannotBeHad(t *testing.T) {
	f := start(t)
	f.python.waiting = make(chan uint64, 1)
	f.python.gil.Lock()
	f.run(t)
	f.Post(1, 1)
	<-f.python.waiting
	f.clock.Advance(Patience - 1)
	assert.Empty(t, f.log())
	f.clock.Advance(1)
	assert.Equal(t, `Python has not run for 5s: C code does not release the GIL,`+
		` probably that of thread "default-1", which runs a request of application`+
		` "app:wsgi" for 65.0 s`, f.log())
	f.clock.Advance(2 * Patience)
	f.python.gil.Unlock()
	assert.Equal(t, uint64(1), <-f.python.told)
	assert.Contains(t, f.log(), "\nthe GIL could be had after 15.0 s")
}

func TestPanicEndsNothing(t *testing.T) {
	f := start(t)
	f.run(t)
	f.Post(666, 1)
	f.Post(2, 1)
	assert.Equal(t, uint64(2), <-f.python.told)
	assert.Contains(t, f.log(), "panic in the watch: no reason")
}

func TestPostDoesNotAllocate(t *testing.T) {
	f := start(t)
	f.run(t)
	allocs := testing.AllocsPerRun(100, func() {
		f.Post(1000, 1)
	})
	assert.Zero(t, allocs)
}

func BenchmarkPost(b *testing.B) {
	p := &python{}
	w := New(&config.Config{}, p, p, clock.System{}, func(log.Level, string) {})
	stop := make(chan struct{})
	go w.Run(stop)
	for range b.N {
		w.Post(1000, 1)
	}
	close(stop)
}
