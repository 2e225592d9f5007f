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
	sampler := NewSampler(notes, func() []pool.Job { return <-looks }, fake)
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
