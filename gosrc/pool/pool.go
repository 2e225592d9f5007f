// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package pool keeps the threads of the pools.
//
// Each pool has as many threads that take jobs as its configuration says.  One
// that does not come back from a job in which an exception was raised is given
// up: it leaves when it comes back, and another takes its place at once.  What
// bounds that is the number of slots, which are handed out lowest first and
// come back when a thread has left.  When half of a pool's threads, as it is
// configured, were given up and have not come back, something is wrong that
// will not go away by itself, and the worker is to be replaced.  After Close no
// thread is started.
package pool

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// Grace is how long a thread may take to come back after an exception was
// raised in it.  Python code meets the exception within milliseconds, a second
// is enough for "finally" blocks, and the pool is one thread short meanwhile.
const Grace = time.Second

// Retry is the pause before a thread is started again that could not be: the
// system has no room for one, or it lacked memory, which more threads at once
// will not give back.
const Retry = time.Second

// Executor is what runs and stops a thread.
type Executor interface {
	// Room tells whether the system lets another thread start: Go does not
	// ask, and ends the process if it cannot have one.
	Room() error
	// Run makes the calling OS thread a thread of pool "pool", under "slot",
	// and returns when it has left.
	Run(slot, pool uint32, name string) error
	// Leave tells the thread to return from Run after its present job.
	Leave(slot uint32)
	// Job tells what the thread does: the serial of a request, 0 for none,
	// its application, the thread's identifier in Python and how long it has
	// run.
	Job(slot uint32) (serial uint64, app uint32, ident uint64, age time.Duration)
	// Drain has this worker replaced; "soon": whatever its clients wait for.
	// May be called again.
	Drain(reason string, soon bool)
}

// Job is a request in the hands of a thread.
type Job struct {
	Serial uint64
	App    uint32
	Ident  uint64 // of the thread, in Python
	Age    time.Duration
	Slot   uint32
	Thread string // its name, "default-1"
}

// Manager keeps the threads of all pools.  Safe for concurrent use.
type Manager struct {
	conf  *config.Config
	exec  Executor
	clock clock.Clock
	log   log.Logger
	limit int

	mu     sync.Mutex
	pools  []pool
	slots  []*thread // by slot; nil: free
	living int
	closed bool
	waits  bool // for Retry
	told   bool // gone is closed
	gone   chan struct{}
}

type pool struct {
	serving int // threads that were not given up
	started int // all that ever were: their names are numbered
	short   bool
}

// New returns a manager of the configuration's pools, without a thread yet.
// "slots" is the most that can live at a time.
func New(conf *config.Config, slots int, exec Executor, c clock.Clock,
	logger log.Logger) *Manager {

	return &Manager{
		conf: conf, exec: exec, clock: c, log: logger, limit: slots,
		pools: make([]pool, len(conf.Pools)),
		gone:  make(chan struct{}),
	}
}

// Start starts the threads of all pools.  Call once.
func (m *Manager) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fill()
}

// Close ends the starting of threads; the executor makes those that there are
// return from Run.  Gone tells when they have, but for those given up.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		m.tell()
	}
}

// Gone is closed when, after Close, the last thread has left that there is any
// hope of: those given up are not waited for.
func (m *Manager) Gone() <-chan struct{} {
	return m.gone
}

// Living is the number of threads that have not left.
func (m *Manager) Living() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.living
}

// Running lists the jobs that are being run, also by threads given up.
func (m *Manager) Running() []Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	var jobs []Job
	for _, t := range m.slots {
		if job, ok := m.job(t); ok {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// Find returns the job with this serial, if a thread runs it.
func (m *Manager) Find(serial uint64) (Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.slots {
		if job, ok := m.job(t); ok && job.Serial == serial {
			return job, true
		}
	}
	return Job{}, false
}

// FindThread returns the job that the thread with this identifier runs, if it
// runs one.
func (m *Manager) FindThread(ident uint64) (Job, bool) {
	for _, job := range m.Running() {
		if job.Ident == ident {
			return job, true
		}
	}
	return Job{}, false
}

// Interrupted says that an exception was raised in the thread that runs "job":
// if it still runs the same one after Grace, it is given up.
func (m *Manager) Interrupted(job Job) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.at(job.Slot)
	if t == nil || !t.advance(suspect) {
		return
	}
	t.serial = job.Serial
	m.clock.AfterFunc(Grace, func() {
		defer m.log.Guard("a pool")
		m.judge(t, job.Serial)
	})
}

func (m *Manager) judge(t *thread, serial uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.state != suspect || t.serial != serial || m.closed {
		return
	}
	job, ok := m.job(t)
	if !ok || job.Serial != serial {
		t.advance(serving)
		return
	}
	t.advance(abandoned)
	m.pools[t.pool].serving--
	m.exec.Leave(t.slot)
	m.log.Printf(log.Warn, "thread %q does not come back from a request of"+
		" application %q, which it runs for %.1f s: another takes its place,"+
		" %d such threads are waited for", t.name, m.conf.AppName(job.App),
		job.Age.Seconds(), m.abandoned(anyPool))
	m.fill()
	pool := m.conf.Pools[t.pool]
	if n := m.abandoned(int(t.pool)); 2*n >= int(pool.Threads) {
		m.exec.Drain(fmt.Sprintf("%d threads do not come back to pool %q, which has"+
			" %d", n, pool.Name, pool.Threads), false)
	}
}

// fill starts what the pools lack.  All that follows is called with the lock.
func (m *Manager) fill() {
	if m.closed {
		return
	}
	for i := range m.pools {
		p := &m.pools[i]
		want := int(m.conf.Pools[i].Threads)
		var err error
		for p.serving < want && err == nil {
			err = m.start(uint32(i))
		}
		if short := err != nil; short != p.short {
			p.short = short
			m.complain(i, want, err)
		}
	}
}

func (m *Manager) complain(i int, want int, err error) {
	name, p := m.conf.Pools[i].Name, &m.pools[i]
	if err != nil {
		m.log.Printf(log.Crit, "pool %q has %d of its %d threads left: %v", name,
			p.serving, want, err)
	} else {
		m.log.Printf(log.Notice, "pool %q has all its threads again", name)
	}
}

// start starts a thread, or says why there cannot be one now.
func (m *Manager) start(pool uint32) error {
	slot := 0
	for slot < len(m.slots) && m.slots[slot] != nil {
		slot++
	}
	if slot == m.limit {
		return fmt.Errorf("those that do not come back take all %d places", m.limit)
	}
	if err := m.exec.Room(); err != nil {
		m.later()
		return fmt.Errorf("another cannot be started: %w", err)
	}
	if slot == len(m.slots) {
		m.slots = append(m.slots, nil)
	}
	p := &m.pools[pool]
	p.serving++
	p.started++
	m.living++
	t := &thread{
		slot: uint32(slot),
		pool: pool,
		name: fmt.Sprintf("%s-%d", m.conf.Pools[pool].Name, p.started),
	}
	m.slots[slot] = t
	go m.run(t)
	return nil
}

// run is the life of a thread.  The OS thread is never unlocked: it ends with
// the goroutine, and what Python has kept for it goes as well.
func (m *Manager) run(t *thread) {
	runtime.LockOSThread()
	err := fmt.Errorf("it panicked")
	defer func() { m.left(t, err) }()
	defer m.log.Guard("thread " + t.name)
	err = m.exec.Run(t.slot, t.pool, t.name)
}

func (m *Manager) left(t *thread, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := t.state
	t.advance(gone)
	m.slots[t.slot] = nil
	m.living--
	if was == abandoned {
		m.log.Printf(log.Notice, "thread %q has come back and left", t.name)
	} else {
		m.pools[t.pool].serving--
	}
	m.tell()
	if err == nil || m.closed {
		m.fill()
		return
	}
	m.log.Printf(log.Err, "thread %q has ended: %v; it is started again in %v",
		t.name, err, Retry)
	m.later()
}

// later fills the pools after Retry.
func (m *Manager) later() {
	if m.waits {
		return
	}
	m.waits = true
	m.clock.AfterFunc(Retry, func() {
		defer m.log.Guard("a pool")
		m.mu.Lock()
		defer m.mu.Unlock()
		m.waits = false
		m.fill()
	})
}

func (m *Manager) tell() {
	if m.closed && !m.told && m.living == m.abandoned(anyPool) {
		m.told = true
		close(m.gone)
	}
}

func (m *Manager) at(slot uint32) *thread {
	if int(slot) >= len(m.slots) {
		return nil
	}
	return m.slots[slot]
}

func (m *Manager) job(t *thread) (Job, bool) {
	if t == nil {
		return Job{}, false
	}
	serial, app, ident, age := m.exec.Job(t.slot)
	return Job{serial, app, ident, age, t.slot, t.name}, serial != 0
}

const anyPool = -1

// abandoned counts the threads given up that have not left.
func (m *Manager) abandoned(pool int) int {
	n := 0
	for _, t := range m.slots {
		if t != nil && t.state == abandoned && (pool == anyPool || int(t.pool) == pool) {
			n++
		}
	}
	return n
}
