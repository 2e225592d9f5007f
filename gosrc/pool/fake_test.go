// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// executor is a fake: its threads run what they are given by work(), and look
// after it whether they are to leave.
type executor struct {
	t       *testing.T
	mu      sync.Mutex
	changed *sync.Cond
	threads map[uint32]*fakeThread
	closed  bool
	refuse  bool
	full    bool // the system is
	starts  int
	most    int
	drained []string
}

type fakeThread struct {
	pool   uint32
	name   string
	serial uint64
	leave  bool
}

func newExecutor(t *testing.T) *executor {
	e := &executor{t: t, threads: map[uint32]*fakeThread{}}
	e.changed = sync.NewCond(&e.mu)
	return e
}

func (e *executor) Run(slot, pool uint32, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.changed.Broadcast()
	e.starts++
	if e.refuse {
		return errors.New("no memory")
	}
	if e.threads[slot] != nil {
		e.t.Errorf("slot %d is used twice", slot)
	}
	th := &fakeThread{pool: pool, name: name}
	e.threads[slot] = th
	e.most = max(e.most, len(e.threads))
	e.changed.Broadcast()
	for th.serial != 0 || !th.leave && !e.closed {
		e.changed.Wait()
	}
	delete(e.threads, slot)
	return nil
}

func (e *executor) Room() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full {
		return errors.New("no room")
	}
	return nil
}

func (e *executor) setFull(full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = full
}

func (e *executor) Leave(slot uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if th := e.threads[slot]; th != nil {
		th.leave = true
	}
	e.changed.Broadcast()
}

func (e *executor) Job(slot uint32) (uint64, uint32, uint64, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if th := e.threads[slot]; th != nil {
		return th.serial, 0, ident(slot), time.Minute
	}
	return 0, 0, 0, 0
}

// ident is the identifier that Python has given to the thread of a slot.
func ident(slot uint32) uint64 { return 0x7f0000000000 + uint64(slot) }

func (e *executor) Drain(reason string, _ bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drained = append(e.drained, reason)
}

// drains returns why the worker was to be replaced, each time.
func (e *executor) drains() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drained
}

// work gives a job to an idle thread that may take one, 0 ends the job.
func (e *executor) work(slot uint32, serial uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	th := e.threads[slot]
	if th == nil || serial != 0 && (th.serial != 0 || th.leave) {
		return false
	}
	th.serial = serial
	e.changed.Broadcast()
	return true
}

func (e *executor) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.changed.Broadcast()
}

// await waits until there are "n" threads.
func (e *executor) await(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.threads) != n {
		e.changed.Wait()
	}
}

func (e *executor) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for slot := uint32(0); len(names) < len(e.threads); slot++ {
		if th := e.threads[slot]; th != nil {
			names = append(names, fmt.Sprintf("%d:%d:%s", slot, th.pool, th.name))
		}
	}
	return names
}

type fixture struct {
	*Manager
	exec  *executor
	clock *clock.Fake
	said  *log.Recorder
}

func start(t *testing.T, slots int, threads ...uint32) *fixture {
	conf := &config.Config{Apps: []config.App{{Target: "app:wsgi"}}}
	for i, n := range threads {
		name := []string{"default", "slow"}[i]
		conf.Pools = append(conf.Pools, config.Pool{Name: name, Threads: n})
	}
	f := &fixture{exec: newExecutor(t), clock: clock.NewFake(), said: &log.Recorder{}}
	f.Manager = New(conf, slots, f.exec, f.clock, f.said.Log)
	f.Start()
	t.Cleanup(func() {
		f.Close()
		f.exec.close()
		for slot := range uint32(slots) {
			f.exec.work(slot, 0)
		}
		<-f.Gone()
		f.exec.await(0)
	})
	return f
}

// stick lets the thread of a slot run a job and not come back from it.
func (f *fixture) stick(t *testing.T, slot uint32, serial uint64) Job {
	require.True(t, f.exec.work(slot, serial))
	job, ok := f.Find(serial)
	require.True(t, ok)
	f.Interrupted(job)
	return job
}

// awaitLeft waits until "n" threads are left, and the manager knows that.
func (f *fixture) awaitLeft(t *testing.T, n int) {
	f.exec.await(n)
	require.Eventually(t, func() bool { return f.Living() == n }, 10*time.Second, time.Millisecond)
}
