// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

type witness chan time.Duration

func (w witness) Note(age time.Duration) { w <- age }

// Only requests that have run for long are looked at, and only while there are
// some is the GIL asked for.
func TestSamplerLooksAtLongRequests(t *testing.T) {
	fake := clock.NewFake()
	looks := make(chan []pool.Job)
	notes := make(witness)
	stop, ended := make(chan struct{}), make(chan struct{})
	w := New(nil, nil, nil, clock.NewFake(), nil)
	sampler := NewSampler(notes, func() []pool.Job { return <-looks }, w, fake)
	go func() {
		defer close(ended)
		sampler.Run(stop)
	}()
	waits := func() {
		require.Eventually(t, func() bool { return fake.Pending() == 1 }, 10*time.Second,
			time.Millisecond)
	}
	step := func(ages ...time.Duration) {
		var jobs []pool.Job
		for _, age := range ages {
			jobs = append(jobs, pool.Job{Serial: 1, Age: age})
		}
		waits()
		fake.Advance(Long)
		looks <- jobs
	}
	step()
	step(Long - 1)
	step(0, Long, 2*Long)
	assert.Equal(t, Long, <-notes, "one note for all")
	step(Long)
	assert.Equal(t, Long, <-notes)
	waits()
	close(stop)
	<-ended
	assert.Zero(t, fake.Pending())
}

// The GIL is away, and no request has a limit that would pass: the log says so,
// and after a long time it is a deadlock.
func TestSamplerMissesTheGIL(t *testing.T) {
	f := start(t)
	f.python.holder = 1
	notes := make(witness)
	stop, ended := make(chan struct{}), make(chan struct{})
	running := func() []pool.Job { return []pool.Job{{Serial: 1, Age: Long}} }
	sampler := NewSampler(notes, running, f.Watch, f.clock)
	go func() {
		defer close(ended)
		sampler.Run(stop)
	}()
	waits := func(timers int) {
		require.Eventually(t, func() bool { return f.clock.Pending() == timers },
			10*time.Second, time.Millisecond)
	}
	waits(1)
	f.clock.Advance(Long)
	waits(2)
	f.clock.Advance(Looks.Accuse - 1)
	assert.Empty(t, f.python.said.String())
	f.clock.Advance(1)
	assert.Contains(t, f.python.said.String(), `request 1: the GIL could not be had for 5s: thread "default-1"`)
	f.clock.Advance(Looks.Lose - Looks.Accuse - 1)
	assert.Empty(t, f.python.drains())
	f.clock.Advance(1)
	assert.Equal(t, []string{"the GIL could not be had for 5m0s, soon: true", "refused"},
		f.python.drains())
	assert.True(t, f.Lost())
	<-notes
	waits(1)
	assert.False(t, f.Lost())
	close(stop)
	<-ended
}
