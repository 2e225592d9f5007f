// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/pool"
)

// Long is how long a request runs before it is looked at, and the time between
// two looks.
const Long = 2 * time.Second

// Witness notes, for the report of a crash that leaves no time for it, where
// the threads are whose requests have run for at least "age".  It may wait for
// the GIL.
type Witness interface {
	Note(age time.Duration)
}

// Sampler has that noted, as long as there are such requests.  Who looks needs
// the GIL, so it is told as well if that cannot be had while no limit of a
// request passes.
type Sampler struct {
	witness Witness
	running func() []pool.Job
	watch   *Watch
	clock   clock.Clock
}

// NewSampler returns one that has not begun to look.
func NewSampler(witness Witness, running func() []pool.Job, w *Watch,
	c clock.Clock) *Sampler {

	return &Sampler{witness, running, w, c}
}

// Run looks until "stop" is closed.  The caller has locked its OS thread, which
// Python then knows.
func (s *Sampler) Run(stop <-chan struct{}) {
	for {
		passed, timer := clock.After(s.clock, Long)
		select {
		case <-stop:
			timer.Stop()
			return
		case <-passed:
		}
		for _, job := range s.running() {
			if job.Age >= Long {
				s.watch.Patiently(0, Looks, func() { s.witness.Note(Long) })
				break
			}
		}
	}
}
