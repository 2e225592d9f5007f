// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

func TestEachPoolHasItsThreads(t *testing.T) {
	f := start(t, 10, 2, 1)
	f.exec.await(3)
	assert.Equal(t, []string{"0:0:default-1", "1:0:default-2", "2:1:slow-1"}, f.exec.names())
}

func TestJobsAreFound(t *testing.T) {
	f := start(t, 10, 3)
	f.exec.await(3)
	assert.Empty(t, f.Running())
	f.exec.work(1, 42)
	want := Job{Serial: 42, Age: time.Minute, Ident: ident(1), Slot: 1, Thread: "default-2"}
	assert.Equal(t, []Job{want}, f.Running())
	job, ok := f.Find(42)
	assert.True(t, ok)
	assert.Equal(t, want, job)
	_, ok = f.Find(43)
	assert.False(t, ok)
	job, ok = f.FindThread(ident(1))
	assert.True(t, ok)
	assert.Equal(t, want, job)
	_, ok = f.FindThread(ident(0))
	assert.False(t, ok, "it runs none")
}

func TestThreadThatComesBackInTimeStays(t *testing.T) {
	f := start(t, 10, 2)
	f.exec.await(2)
	f.stick(t, 0, 7)
	f.exec.work(0, 0)
	f.exec.work(0, 8)
	f.clock.Advance(Grace)
	assert.Equal(t, []string{"0:0:default-1", "1:0:default-2"}, f.exec.names())
	assert.Empty(t, f.said.String())
}

func TestThreadThatDoesNotComeBackIsReplaced(t *testing.T) {
	f := start(t, 10, 2)
	f.exec.await(2)
	f.stick(t, 0, 7)
	f.clock.Advance(Grace - 1)
	assert.Equal(t, 2, f.exec.starts)
	f.clock.Advance(1)
	f.exec.await(3)
	assert.Contains(t, f.said.String(), `thread "default-1" does not come back from a`+
		` request of application "app:wsgi", which it runs for 60.0 s`)

	f.exec.work(0, 0)
	f.awaitLeft(t, 2)
	assert.Equal(t, []string{"1:0:default-2", "2:0:default-3"}, f.exec.names())

	f.stick(t, 1, 9)
	f.clock.Advance(Grace)
	f.exec.await(3)
	assert.Equal(t, "0:0:default-4", f.exec.names()[0], "a free slot is used again")
	assert.Contains(t, f.said.String(), `thread "default-1" has come back`)
}

func TestSecondInterruptionHasItsOwnGrace(t *testing.T) {
	f := start(t, 10, 1)
	f.exec.await(1)
	f.stick(t, 0, 7)
	f.exec.work(0, 0)
	f.clock.Advance(Grace / 2)
	f.stick(t, 0, 8)
	f.clock.Advance(Grace / 2)
	assert.Equal(t, 1, f.exec.starts, "the first grace is not the second job's")
	f.clock.Advance(Grace / 2)
	f.exec.await(2)
}

func TestAbandonedThreadIsNotReplacedTwice(t *testing.T) {
	f := start(t, 10, 1)
	f.exec.await(1)
	job := f.stick(t, 0, 7)
	f.clock.Advance(Grace)
	f.exec.await(2)
	f.Interrupted(job)
	assert.Zero(t, f.clock.Pending())
	f.Interrupted(Job{Slot: 9, Serial: 1})
	assert.Zero(t, f.clock.Pending())
}

// Half of the threads of one pool, not of all; and only those that are away.
func TestHalfOfAPoolHasTheWorkerReplaced(t *testing.T) {
	for _, c := range []struct{ threads, enough int }{{1, 1}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {8, 4}} {
		f := start(t, 30, 9, uint32(c.threads))
		f.exec.await(9 + c.threads)
		for i := range c.enough {
			assert.Empty(t, f.exec.drains(), "%d of %d", i, c.threads)
			f.stick(t, slotOf(t, f, fmt.Sprintf("slow-%d", i+1)), uint64(i)+1)
			f.clock.Advance(Grace)
			f.exec.await(9 + c.threads + i + 1)
		}
		want := fmt.Sprintf(`%d threads do not come back to pool "slow", which has %d`,
			c.enough, c.threads)
		assert.Equal(t, []string{want}, f.exec.drains())
	}
}

func TestThreadsThatHaveComeBackDoNotCount(t *testing.T) {
	f := start(t, 30, 4)
	f.exec.await(4)
	for i := range uint32(10) {
		slot := slotOf(t, f, fmt.Sprintf("default-%d", i+1))
		f.stick(t, slot, uint64(i)+1)
		f.clock.Advance(Grace)
		f.exec.await(5)
		f.exec.work(slot, 0)
		f.awaitLeft(t, 4)
	}
	assert.Empty(t, f.exec.drains())
}

func slotOf(t *testing.T, f *fixture, name string) uint32 {
	f.exec.mu.Lock()
	defer f.exec.mu.Unlock()
	for slot, th := range f.exec.threads {
		if th.name == name {
			return slot
		}
	}
	require.Fail(t, "there is no thread "+name)
	return 0
}

// A pool goes on with fewer, and is whole again when that can be.
func TestNoRoomForAThread(t *testing.T) {
	f := start(t, 10, 4)
	f.exec.await(4)
	f.exec.setFull(true)
	f.stick(t, 0, 7)
	f.clock.Advance(Grace)
	assert.Contains(t, f.said.String(),
		`pool "default" has 3 of its 4 threads left: another cannot be started: no room`)
	f.clock.Advance(10 * Retry)
	assert.Equal(t, 4, f.exec.starts)
	assert.Equal(t, 1, f.clock.Pending(), "it tries again, once at a time")
	assert.Equal(t, 1, strings.Count(f.said.String(), "no room"), "and says so once")

	f.exec.setFull(false)
	f.clock.Advance(Retry)
	f.exec.await(5)
	assert.Contains(t, f.said.String(), `pool "default" has all its threads again`)
}

func TestNoSlotIsLeft(t *testing.T) {
	f := start(t, 2, 1)
	f.exec.await(1)
	f.stick(t, 0, 7)
	f.clock.Advance(Grace)
	f.exec.await(2)
	f.stick(t, 1, 8)
	f.clock.Advance(Grace)
	assert.Contains(t, f.said.String(), `pool "default" has 0 of its 1 threads left`)

	f.exec.work(0, 0)
	require.Eventually(t, func() bool {
		return strings.Contains(f.said.String(), "all its threads again")
	}, 10*time.Second, time.Millisecond)
	f.exec.await(2)
	assert.Equal(t, []string{"0:0:default-3", "1:0:default-2"}, f.exec.names())
}

func TestThreadThatCannotBeStartedIsTriedAgain(t *testing.T) {
	f := start(t, 10, 1)
	f.exec.await(1)
	f.exec.mu.Lock()
	f.exec.refuse = true
	f.exec.mu.Unlock()
	f.stick(t, 0, 7)
	f.clock.Advance(Grace)
	require.Eventually(t, func() bool { return f.clock.Pending() == 1 },
		10*time.Second, time.Millisecond)
	assert.Contains(t, f.said.String(), `"default-2" has ended: no memory`)
	f.exec.mu.Lock()
	f.exec.refuse = false
	f.exec.mu.Unlock()
	f.clock.Advance(Retry)
	f.exec.await(2)
}

func TestCloseEndsReplacement(t *testing.T) {
	f := start(t, 10, 2)
	f.exec.await(2)
	f.stick(t, 0, 7)
	f.Close()
	f.Close()
	f.exec.close()
	f.clock.Advance(Grace)
	f.exec.await(1)
	select {
	case <-f.Gone():
		t.Fatal("a thread is still there")
	default:
	}
	assert.Len(t, f.Running(), 1)
	f.exec.work(0, 0)
	<-f.Gone()
	assert.Equal(t, 2, f.exec.starts)
}

// Those given up are not waited for at the end.
func TestCloseDoesNotWaitForThreadsGivenUp(t *testing.T) {
	f := start(t, 10, 2)
	f.exec.await(2)
	f.stick(t, 0, 7)
	f.clock.Advance(Grace)
	f.exec.await(3)
	f.Close()
	f.exec.close()
	<-f.Gone()
	assert.Equal(t, 1, f.Living())
	f.exec.work(0, 0)
	require.Eventually(t, func() bool { return f.Living() == 0 },
		10*time.Second, time.Millisecond)
}

func TestCloseBeforeStart(t *testing.T) {
	conf := &config.Config{Pools: []config.Pool{{Name: "default", Threads: 4}}}
	m := New(conf, 10, newExecutor(t), clock.NewFake(), (&log.Recorder{}).Log)
	m.Close()
	<-m.Gone()
	m.Start()
	assert.Zero(t, m.living)
}

func TestPanicOfAThreadIsKept(t *testing.T) {
	said := &log.Recorder{}
	c := clock.NewFake()
	conf := &config.Config{Pools: []config.Pool{{Name: "default", Threads: 1}}}
	m := New(conf, 10, panicking{}, c, said.Log)
	m.Start()
	require.Eventually(t, func() bool { return c.Pending() == 1 },
		10*time.Second, time.Millisecond)
	assert.Contains(t, said.String(), "panic in thread default-1: no reason")
	m.Close()
	<-m.Gone()
}

type panicking struct{}

func (panicking) Run(uint32, uint32, string) error { panic("no reason") }
func (panicking) Room() error                      { return nil }
func (panicking) Leave(uint32)                     {}
func (panicking) Drain(string, bool)               {}
func (panicking) Job(uint32) (uint64, uint32, uint64, time.Duration) {
	return 0, 0, 0, 0
}

func TestStates(t *testing.T) {
	th := &thread{}
	assert.False(t, th.advance(abandoned), "only a suspect is given up")
	assert.True(t, th.advance(suspect))
	assert.True(t, th.advance(abandoned))
	assert.False(t, th.advance(serving), "there is no way back")
	assert.True(t, th.advance(gone))
	assert.False(t, th.advance(suspect))
	assert.Equal(t, "serving suspect abandoned gone",
		fmt.Sprint(serving, " ", suspect, " ", abandoned, " ", gone))
}

// Jobs begin, end, get stuck and come back at random while time passes: the
// pools keep their size, no slot is lost or used twice, all leave at the end.
func TestStress(t *testing.T) {
	const slots, threads = 40, 8
	f := start(t, slots, threads, threads)
	f.exec.await(2 * threads)
	var group sync.WaitGroup
	for seed := range int64(4) {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewSource(seed))
			for i := range 3000 {
				slot := uint32(random.Intn(slots))
				switch random.Intn(4) {
				case 0:
					f.exec.work(slot, 0)
				case 1:
					f.exec.work(slot, uint64(seed*1e6)+uint64(i)+1)
				case 2:
					if jobs := f.Running(); len(jobs) > 0 {
						f.Interrupted(jobs[random.Intn(len(jobs))])
					}
				case 3:
					f.clock.Advance(Grace / 8)
				}
			}
		}()
	}
	group.Wait()
	for slot := range uint32(slots) {
		f.exec.work(slot, 0)
	}
	f.clock.Advance(2 * Grace)
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.living == 2*threads
	}, 10*time.Second, time.Millisecond)
	f.exec.await(2 * threads)
	assert.LessOrEqual(t, f.exec.most, slots)
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.Equal(t, []int{threads, threads}, []int{f.pools[0].serving, f.pools[1].serving})
}
