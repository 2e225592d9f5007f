// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package reload

import (
	"cmp"
	"context"
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

// worker is a fake one that notes what is done to it.
type worker struct {
	mu                    sync.Mutex
	calls                 []string
	state, syntax, broken string
	hangs                 bool
	limit                 time.Duration // 0: an hour
}

func (w *worker) note(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *worker) made() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.calls, ", ")
}

func (w *worker) set(state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
}

func (w *worker) Changes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *worker) Examine() string {
	w.note("examine")
	return w.syntax
}

func (w *worker) Trial(ctx context.Context) string {
	w.note("trial")
	if w.hangs {
		<-ctx.Done()
		return "given up"
	}
	return w.broken
}

func (w *worker) Hold(on bool) {
	if on {
		w.note("hold")
	} else {
		w.note("serve")
	}
}

func (w *worker) Replace(string) { w.note("replace") }

type fixture struct {
	t    *testing.T
	w    *worker
	c    *clock.Fake
	said log.Recorder
	stop chan struct{}
	over chan struct{}
}

func begin(t *testing.T, check bool, w *worker) *fixture {
	f := &fixture{t: t, w: w, c: clock.NewFake(),
		stop: make(chan struct{}), over: make(chan struct{})}
	conf := &config.Config{
		Check: check, StartTimeout: cmp.Or(w.limit, time.Hour), Apps: make([]config.App, 1),
	}
	r := New(conf, w, f.c, f.said.Log)
	go func() {
		defer close(f.over)
		r.Run(f.stop)
	}()
	return f
}

// pass lets a time pass, between two moments at which it waits.
func (f *fixture) pass(d time.Duration) {
	f.t.Helper()
	f.waits()
	f.c.Advance(d)
	f.waits()
}

func (f *fixture) waits() {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return f.c.Pending() == 1 || f.isOver() },
		10*time.Second, time.Millisecond)
}

// until lets time pass until these calls have been made.
func (f *fixture) until(calls string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		f.c.Advance(Settle)
		return f.w.made() == calls
	}, 10*time.Second, time.Millisecond, calls)
}

// some lets time pass in which there is nothing to be done.
func (f *fixture) some() {
	for range 50 {
		f.c.Advance(Settle)
		time.Sleep(time.Millisecond)
	}
}

func (f *fixture) isOver() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// end stops it and returns what it has done and said.
func (f *fixture) end() (made, said string) {
	close(f.stop)
	<-f.over
	return f.w.made(), f.said.String()
}

func TestNothingChanges(t *testing.T) {
	f := begin(t, true, &worker{})
	f.some()
	made, said := f.end()
	assert.Empty(t, made)
	assert.Empty(t, said)
}

func TestChangeReplaces(t *testing.T) {
	f := begin(t, false, &worker{state: "a"})
	f.until("examine, replace")
	<-f.over
}

func TestChangeIsTried(t *testing.T) {
	f := begin(t, true, &worker{state: "a"})
	f.until("examine, hold, trial, replace")
	<-f.over
}

func TestChangeThatGoesOnIsNotJudged(t *testing.T) {
	w := &worker{state: "a"}
	f := begin(t, false, w)
	for _, state := range []string{"b", "c", "d"} {
		f.pass(Interval)
		w.set(state)
		f.pass(Settle)
	}
	made, _ := f.end()
	assert.Empty(t, made)
}

func TestRefusedOnce(t *testing.T) {
	for _, c := range []struct {
		w    *worker
		made string
	}{
		{&worker{state: "a", syntax: "bad"}, "examine"},
		{&worker{state: "a", broken: "bad"}, "examine, hold, trial, serve"},
	} {
		f := begin(t, true, c.w)
		f.until(c.made)
		f.some()
		assert.Equal(t, c.made, c.w.made(), "and not again until something changes")
		c.w.set("b")
		f.until(c.made + ", " + c.made)
		f.some()
		_, said := f.end()
		assert.Equal(t, 2, strings.Count(said, "old code serves on\nbad"))
	}
}

func TestTrialThatHangs(t *testing.T) {
	f := begin(t, true, &worker{state: "a", hangs: true, limit: 50 * time.Millisecond})
	f.until("examine, hold, trial, serve")
	f.some()
	_, said := f.end()
	assert.Contains(t, said, "given up")
}

func TestFurtherChangeEndsATrial(t *testing.T) {
	w := &worker{state: "a", hangs: true}
	f := begin(t, true, w)
	f.until("examine, hold, trial")
	w.set("b")
	f.until("examine, hold, trial, serve, examine, hold, trial")
	_, said := f.end()
	assert.Empty(t, said)
	assert.Equal(t, "examine, hold, trial, serve, examine, hold, trial, serve", w.made())
}
