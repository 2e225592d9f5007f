// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/watch"
)

func TestLifeFromBeginningToEnd(t *testing.T) {
	f := running(t)
	outcome, _ := f.stop(t, 0)
	assert.Equal(t, Done, outcome)
	assert.Equal(t, Ended, f.State())
	assert.Equal(t, "prepare, start, load 0, load 2, ready, 0 failed, close, join, exit, finalize",
		f.python.made())
	assert.Equal(t, "Python 3, started in 0s\n"+
		"application \"one\" imported in 0s\napplication \"three\" imported in 0s\n"+
		"ready after 0s", f.said.String())
	assert.Equal(t, Done, f.Stop(time.Second), "once more")
}

func TestStartDoesNotWait(t *testing.T) {
	f := fresh()
	gate := make(chan struct{})
	f.python.holdAt("start", gate)
	require.NoError(t, f.Start())
	assert.Equal(t, Starting, f.State())
	close(gate)
	f.await(t, Running)
}

func TestPoolsRunWhileApplicationsAreImported(t *testing.T) {
	f := fresh()
	gate := make(chan struct{})
	f.python.holdAt("load 0", gate)
	require.NoError(t, f.Start())
	f.python.work(0, 7)
	assert.Equal(t, Starting, f.State())
	close(gate)
	f.await(t, Running)
	f.python.work(0, 0)
}

func TestApplicationThatFailsEndsNothing(t *testing.T) {
	f := fresh()
	f.python.fails["load 0"] = errors.New("application one failed\nTraceback")
	require.NoError(t, f.Start())
	f.await(t, Running)
	assert.Contains(t, f.said.String(), "application one failed\nTraceback\napplication \"three\" imp")
	f.python.await("ready, 1 failed")
}

func TestPythonThatDoesNotStart(t *testing.T) {
	f := fresh()
	f.python.fails["start"] = errors.New("no such venv")
	require.NoError(t, f.Start())
	f.python.await("fail")
	assert.Equal(t, Failed, f.State())
	assert.Equal(t, "there is no Python in this worker: no such venv", f.said.String())
	assert.Equal(t, Done, f.Stop(time.Hour))
	assert.Equal(t, "prepare, start, fail, ready, 3 failed", f.python.made())
}

func TestPythonThatPanics(t *testing.T) {
	f := fresh()
	f.python.panics["load 0"] = true
	require.NoError(t, f.Start())
	f.python.await("fail")
	assert.Contains(t, f.said.String(), "panic in the main thread of Python: no reason")
	assert.Equal(t, Done, f.Stop(time.Hour))
}

func TestPrepareThatFails(t *testing.T) {
	f := fresh()
	f.python.fails["prepare"] = errors.New("no memory")
	assert.EqualError(t, f.Start(), "no memory")
	assert.Equal(t, Done, f.Stop(time.Hour))
	assert.Equal(t, "prepare", f.python.made())
}

func TestStopWithoutStart(t *testing.T) {
	f := fresh()
	assert.Equal(t, Done, f.Stop(time.Hour))
	assert.Equal(t, Done, f.Stop(time.Hour))
}

func TestStopWaitsForRequests(t *testing.T) {
	f := running(t)
	f.python.work(1, 42)
	go func() {
		f.python.await("close")
		f.python.work(1, 0)
	}()
	outcome, _ := f.stop(t, 0)
	assert.Equal(t, Done, outcome)
	assert.NotContains(t, f.python.made(), "interrupt")
	assert.Contains(t, f.python.made(), "finalize")
}

func TestStopInterruptsRequestsAtHalfTime(t *testing.T) {
	f := running(t)
	f.python.work(1, 42)
	f.beginStop(t)
	f.clock.Advance(4*time.Second - 1)
	assert.NotContains(t, f.python.made(), "interrupt")
	f.clock.Advance(1)
	f.python.await("interrupt 42")
	f.python.work(1, 0)
	outcome, _ := f.stop(t, 0)
	assert.Equal(t, Done, outcome)
	assert.True(t, strings.HasSuffix(f.python.made(),
		"close, interrupt 42, join, exit, finalize"), f.python.made())
}

func TestStuckThreadPreventsFinalization(t *testing.T) {
	f := running(t)
	f.python.work(1, 42)
	begin := f.clock.Now()
	f.beginStop(t)
	f.clock.Advance(4 * time.Second)
	f.python.await("interrupt 42")
	require.Eventually(t, func() bool {
		f.clock.Advance(time.Second / 64)
		return strings.Contains(f.python.made(), "join")
	}, 10*time.Second, time.Millisecond)
	assert.GreaterOrEqual(t, f.clock.Now().Sub(begin), 6*time.Second)
	<-f.over // before the time for it all is
	assert.Equal(t, Undone, f.Stop(time.Hour))
	assert.Equal(t, Stuck, f.State())
	assert.True(t, strings.HasSuffix(f.python.made(), "interrupt 42, join, exit"),
		f.python.made())
	assert.Contains(t, f.said.String(), `" is still in a request of application "one", after 60.0 s`)
	f.python.work(1, 0)
}

// A thread that was given up has had its time.
func TestThreadsGivenUpAreNotWaitedFor(t *testing.T) {
	f := running(t)
	f.python.work(1, 42)
	f.Interrupt(42, 1)
	f.python.await("interrupt 42")
	require.Eventually(t, func() bool {
		f.clock.Advance(pool.Grace / 100)
		return strings.Contains(f.said.String(), "does not come back")
	}, 10*time.Second, time.Millisecond)
	outcome, took := f.stop(t, 0)
	assert.Equal(t, Undone, outcome)
	assert.Less(t, took, time.Second)
	assert.True(t, strings.HasSuffix(f.python.made(), "close, join, exit"), f.python.made())
	f.python.work(1, 0)
}

// Without the GIL there is no end of Python that could be waited for.
func TestStopWithoutTheGIL(t *testing.T) {
	f := running(t)
	gate := make(chan struct{})
	f.python.holdAt("interrupt 42", gate)
	f.python.work(1, 42)
	f.Interrupt(42, 1)
	f.python.await("interrupt 42")
	f.clock.Advance(watch.Orders.Lose)
	assert.Contains(t, f.python.made(), "dump, drain: the GIL could not be had for 10s, refuse")
	assert.Equal(t, Undone, f.Stop(time.Hour))
	assert.Contains(t, f.said.String(), "Python cannot end without the GIL: it is waiting for requests")
	assert.NotContains(t, f.python.made(), "join")
	f.python.work(1, 0)
	close(gate)
	<-f.over
}

func TestExitThatTakesTooLong(t *testing.T) {
	for call, words := range map[string]string{
		"join":     "waiting for threads that applications have started",
		"exit":     "calling what applications have registered with atexit",
		"finalize": "finalizing",
	} {
		t.Run(call, func(t *testing.T) {
			f := running(t)
			gate := make(chan struct{})
			f.python.holdAt(call, gate)
			f.beginStop(t)
			f.python.await(call)
			outcome, took := f.stop(t, time.Second)
			assert.Equal(t, Undone, outcome)
			assert.GreaterOrEqual(t, took, 8*time.Second)
			assert.Contains(t, f.said.String(), "Python has not ended within 8s"+
				" (wsgi_shutdown_timeout): it is "+words)
			assert.Equal(t, Undone, f.Stop(time.Hour), "once more")
			close(gate)
			<-f.over
			assert.True(t, strings.HasSuffix(f.python.made(), call), "nothing follows")
		})
	}
}

func TestStopWhileImporting(t *testing.T) {
	f := fresh()
	gate := make(chan struct{})
	f.python.holdAt("load 0", gate)
	f.python.importer = 77
	require.NoError(t, f.Start())
	f.python.await("load 0")
	f.Importing(0, 77)
	go func() {
		f.python.await("end import 0")
		f.Importing(0, 0)
		close(gate)
	}()
	outcome, _ := f.stop(t, 0)
	assert.Equal(t, Done, outcome)
	assert.NotContains(t, f.python.made(), "load 2")
	assert.Contains(t, f.said.String(), "ended: the worker ends")
}

func TestImportThatTakesTooLong(t *testing.T) {
	f := running(t)
	f.python.importer = 77
	f.Importing(1, 76)
	f.Importing(1, 0)
	f.Importing(1, 77)
	f.clock.Advance(time.Minute - 1)
	assert.NotContains(t, f.python.made(), "end import")
	f.clock.Advance(1)
	assert.Contains(t, f.said.String(), "ended: its import has not ended within 1m0s (wsgi_start_timeout)")
	f.Importing(1, 0)
	require.Eventually(t, func() bool { return f.clock.Pending() == 1 }, // the sampler's
		10*time.Second, time.Millisecond)
}

func TestGateLetsNobodyInWhenShut(t *testing.T) {
	g := newGate()
	inside, leave := make(chan struct{}), make(chan struct{})
	go g.visit(func() {
		close(inside)
		<-leave
	})
	<-inside
	empty := g.close()
	g.visit(func() { t.Error("somebody came in") })
	select {
	case <-empty:
		t.Error("somebody is still inside")
	default:
	}
	close(leave)
	<-empty
}

func TestStatesGoForward(t *testing.T) {
	f := fresh()
	assert.True(t, f.advance(Running))
	assert.False(t, f.advance(Starting))
	assert.True(t, f.advance(Ended))
	assert.False(t, f.advance(Stuck), "an end is an end")
	assert.Equal(t, "ended", f.State().String())
	assert.Equal(t, "given up", Stuck.String())
}

// Stop comes at any moment of the start and of the work: it always ends, and
// Python is finalized only when nobody is in it.
func TestStress(t *testing.T) {
	for round := range 300 {
		f := fresh()
		require.NoError(t, f.Start())
		var group sync.WaitGroup
		group.Add(1)
		go func() {
			defer group.Done()
			for serial := range uint64(round % 17) {
				f.Importing(uint32(serial)%3, serial%2)
				f.Interrupt(serial, 1)
			}
		}()
		outcome, _ := f.stop(t, 0)
		group.Wait()
		assert.Equal(t, Done, outcome)
		assert.True(t, strings.HasSuffix(f.python.made(), "finalize"))
	}
}

// Changed source files end the looking, a stop does, too.
func TestReloading(t *testing.T) {
	f := fresh()
	f.conf.Reloading = true
	f.python.edited = "app.py"
	require.NoError(t, f.Start())
	require.Eventually(t, func() bool {
		f.clock.Advance(100 * time.Millisecond)
		return strings.Contains(f.python.made(), "replace")
	}, 10*time.Second, time.Millisecond)
	outcome, _ := f.stop(t, 0)
	assert.Equal(t, Done, outcome)
}
