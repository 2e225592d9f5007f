// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

// python is a fake of both sides: jobs 1 to 999 run, in slots and on threads of
// their number; the GIL can be had while "gil" is not locked.
type python struct {
	holder      uint64
	dump        string
	drained     []string
	gil         sync.Mutex
	deaf        uint64 // ends while it is interrupted
	waiting     chan uint64
	mu          sync.Mutex
	interrupted []uint64
	told        chan uint64
	said        log.Recorder
}

func (p *python) Find(serial uint64) (pool.Job, bool) {
	return pool.Job{
		Serial: serial, Slot: uint32(serial), Ident: serial, Age: time.Minute,
		Thread: fmt.Sprintf("default-%d", serial),
	}, 0 < serial && serial < 1000
}

func (p *python) FindThread(ident uint64) (pool.Job, bool) { return p.Find(ident) }
func (p *python) Dump() (uint64, string)                   { return p.holder, p.dump }

func (p *python) Record(serial uint64, level log.Level, text string) {
	p.said.Log(level, fmt.Sprintf("request %d: %s", serial, text))
}

func (p *python) Drain(reason string, soon bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained = append(p.drained, fmt.Sprintf("%s, soon: %v", reason, soon))
}

func (p *python) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained = append(p.drained, "refused")
}

func (p *python) drains() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drained
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
}

func start(t *testing.T) *fixture {
	f := &fixture{
		python: &python{told: make(chan uint64, 1000)},
		clock:  clock.NewFake(),
	}
	conf := &config.Config{Apps: []config.App{{Target: "app:wsgi"}}}
	f.Watch = New(conf, f.python, f.python, f.clock, f.python.said.Log)
	return f
}

// stuck orders the interruption of request 1 while the GIL is away.
func stuck(t *testing.T) *fixture {
	f := start(t)
	f.python.waiting = make(chan uint64, 100)
	f.python.gil.Lock()
	f.run(t)
	f.Post(1, 1)
	<-f.python.waiting
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

func TestOrdersAreCarriedOutInOrder(t *testing.T) {
	f := start(t)
	for serial := uint64(1); serial < 100; serial++ {
		f.Post(serial, 1)
	}
	f.run(t)
	for serial := uint64(1); serial < 100; serial++ {
		assert.Equal(t, serial, <-f.python.told)
	}
	assert.Empty(t, f.python.said.String())
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
	f := stuck(t)
	f.python.holder = 2
	f.python.dump = `Thread 0x00000001 (most recent call first):
  File "/app/one.py", line 7 in lock
  File "/app/one.py", line 3 in application

Thread 0x00000002 (most recent call first):
  File "/app/two.py", line 9 in hold
  File "/app/two.py", line 5 in application
`
	f.clock.Advance(Orders.Accuse - 1)
	assert.Empty(t, f.python.said.String())
	f.clock.Advance(1)
	assert.Equal(t, `request 2: the GIL could not be had for 2s: thread "default-2"`+
		` holds it, which runs a request of application "app:wsgi" for 60.0 s
stack of thread "default-2" (most recent call last):
  File "/app/two.py", line 5, in application
  File "/app/two.py", line 9, in hold
request 1: thread "default-1" meanwhile
stack of thread "default-1" (most recent call last):
  File "/app/one.py", line 3, in application
  File "/app/one.py", line 7, in lock`, f.python.said.String())
	f.clock.Advance(Orders.Accuse)
	f.python.gil.Unlock()
	assert.Equal(t, uint64(1), <-f.python.told)
	assert.Contains(t, f.python.said.String(), "\nthe GIL could be had after 4.0 s")
	assert.Empty(t, f.python.drains())
}

func TestWhoHoldsTheGIL(t *testing.T) {
	const one = "Thread 0x1 (most recent call first):\n  File \"a.py\", line 1 in f\n"
	for _, c := range []struct {
		name   string
		holder uint64
		dump   string
		want   string
	}{
		{"itself, said once", 1, one, `request 1: the GIL could not be had for 2s: thread` +
			` "default-1" holds it, which runs a request of application "app:wsgi" for 60.0 s` +
			"\nstack of thread \"default-1\" (most recent call last):\n  File \"a.py\", line 1, in f"},
		{"no request's thread", 5000, one + "\nThread 0x1388 (most recent call first):\n" +
			"  File \"b.py\", line 2 in g\n", `the GIL could not be had for 2s: a thread that` +
			" runs no request holds it\nstack of thread (most recent call last):\n" +
			"  File \"b.py\", line 2, in g\nrequest 1: thread \"default-1\" meanwhile\n" +
			"stack of thread \"default-1\" (most recent call last):\n  File \"a.py\", line 1, in f"},
		{"nobody now", 0, one, `the GIL could not be had for 2s: no thread holds it now` +
			"\nrequest 1: thread \"default-1\" meanwhile\n" +
			"stack of thread \"default-1\" (most recent call last):\n  File \"a.py\", line 1, in f"},
		{"without a stack", 1, "", `request 1: the GIL could not be had for 2s: thread` +
			` "default-1" holds it, which runs a request of application "app:wsgi" for 60.0 s` +
			"\nits Python stack cannot be had"},
		{"not to be seen", 0, "", `the GIL could not be had for 2s: which thread holds it` +
			" cannot be said"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := stuck(t)
			f.python.holder, f.python.dump = c.holder, c.dump
			f.clock.Advance(Orders.Accuse)
			assert.Equal(t, c.want, f.python.said.String())
			f.python.gil.Unlock()
			<-f.python.told
		})
	}
}

func TestGILThatDoesNotComeBack(t *testing.T) {
	f := stuck(t)
	f.clock.Advance(Orders.Lose - 1)
	assert.False(t, f.Lost())
	assert.Empty(t, f.python.drains())
	f.clock.Advance(1)
	assert.True(t, f.Lost())
	f.clock.Advance(3 * Orders.Lose)
	assert.Equal(t, []string{"the GIL could not be had for 10s, soon: true", "refused"}, f.python.drains())
	f.python.gil.Unlock()
	assert.Equal(t, uint64(1), <-f.python.told)
	assert.False(t, f.Lost(), "it came back")
	f.Post(2, 1)
	assert.Equal(t, uint64(2), <-f.python.told)
	assert.Zero(t, f.clock.Pending())
}

// The limit passes when the GIL has just been had.
func TestLimitThatComesTooLate(t *testing.T) {
	f := start(t)
	c := &call{}
	f.regain(c)
	f.lose(c, time.Second)
	f.accuse(c, 1, time.Second)
	assert.False(t, f.Lost())
	assert.Empty(t, f.python.drains())
	assert.Empty(t, f.python.said.String())
}

// Several wait for the GIL: who holds it is said once, then what each waits for,
// and all that again when it goes another time.
func TestHolderIsToldOnce(t *testing.T) {
	f := start(t)
	f.python.holder = 3
	f.python.dump = "Thread 0x3 (most recent call first):\n  File \"c.py\", line 3 in f\n"
	for range 2 {
		f.python.said.Reset()
		back, ended := make(chan struct{}), make(chan struct{})
		for _, ident := range []uint64{0, 1, 2} {
			go func() {
				f.Patiently(ident, Patience{Orders.Accuse + time.Duration(ident), Orders.Lose},
					func() { <-back })
				ended <- struct{}{}
			}()
		}
		assert.Eventually(t, func() bool { return f.clock.Pending() == 6 }, 10*time.Second,
			time.Millisecond)
		f.clock.Advance(Orders.Accuse + 2)
		close(back)
		for range 3 {
			<-ended
		}
		assert.Equal(t, `request 3: the GIL could not be had for 2s: thread "default-3"`+
			` holds it, which runs a request of application "app:wsgi" for 60.0 s
stack of thread "default-3" (most recent call last):
  File "c.py", line 3, in f
request 1: the GIL could not be had for 2.000000001s: thread "default-1" meanwhile
its Python stack cannot be had
request 2: the GIL could not be had for 2.000000002s: thread "default-2" meanwhile
its Python stack cannot be had
the GIL could be had after 2.0 s`, f.python.said.String())
		assert.Zero(t, f.clock.Pending())
	}
}

func TestPanicEndsNothing(t *testing.T) {
	f := start(t)
	f.run(t)
	f.Post(666, 1)
	f.Post(2, 1)
	assert.Equal(t, uint64(2), <-f.python.told)
	assert.Contains(t, f.python.said.String(), "panic in the watch: no reason")
	assert.Zero(t, f.clock.Pending())
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
