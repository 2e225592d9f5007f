// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// sample is one measurement of one server.
type sample struct {
	CPU      float64 `json:"cpu_us"`      // per request, user and system
	PerMB    float64 `json:"cpu_us_mb"`   // the same, per 10⁶ bytes
	Ratio    float64 `json:"ratio"`       // to the baseline just before and after
	Switches float64 `json:"switches"`    // of context, per request
	Rate     float64 `json:"requests_s"`  // requests a second
	MBps     float64 `json:"mb_s"`        // 10⁶ bytes a second
	P50      float64 `json:"p50_ms"`      // latency, as the load generator sees it
	P99      float64 `json:"p99_ms"`      //
	Busy     float64 `json:"cpus_in_use"` // how many CPUs the server has kept busy
}

// contender is a server that is measured, and what has been found so far.
type contender struct {
	workload
	server  *server
	samples []sample
	rss     int64
}

// bench measures all contenders in turn, again and again, each between two
// measurements of the baseline: whatever else the machine does then weighs on
// both, and their ratio says more than either.
type bench struct {
	generator generator
	cost      func(sample) float64 // what is compared with the baseline's
	duration  time.Duration
	rounds    int
	base      *contender
	others    []*contender
	progress  func(format string, args ...any)
}

// run fills in the samples of all contenders.
func (b *bench) run(ctx context.Context) error {
	for _, c := range append([]*contender{b.base}, b.others...) {
		if _, err := b.measure(ctx, c, time.Second); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		if err := b.round(ctx); err != nil {
			return err
		}
		b.progress("round %d of %d", round+1, b.rounds)
	}
	for _, c := range append([]*contender{b.base}, b.others...) {
		c.rss = resident(c.server.pids())
	}
	return nil
}

func (b *bench) round(ctx context.Context) error {
	before, err := b.measure(ctx, b.base, b.duration)
	if err != nil {
		return err
	}
	b.base.add(before, 1)

	for _, c := range b.others {
		s, err := b.measure(ctx, c, b.duration)
		if err != nil {
			return err
		}
		after, err := b.measure(ctx, b.base, b.duration)
		if err != nil {
			return err
		}
		b.base.add(after, 1)
		c.add(s, b.cost(s)/((b.cost(before)+b.cost(after))/2))
		before = after
	}
	return nil
}

func (c *contender) add(s sample, ratio float64) {
	s.Ratio = ratio
	c.samples = append(c.samples, s)
}

// measure puts load on one server while all others are idle.
func (b *bench) measure(ctx context.Context, c *contender, d time.Duration) (sample, error) {
	pids := c.server.pids()
	before, err := used(pids)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	l, err := b.generator.run(ctx, c.server.url(c.request), c.workload, d)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w%s", c.Name, err, c.server.logs())
	}
	after, err := used(pids)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w%s", c.Name, err, c.server.logs())
	}
	return newSample(l, after.since(before), c.megabytes()), nil
}

func newSample(l load, u usage, megabytes float64) sample {
	requests, elapsed := float64(l.Requests), float64(l.Duration)
	cpu := float64(u.cpu.Microseconds())
	return sample{
		CPU:      cpu / requests,
		PerMB:    cpu / requests / megabytes,
		Switches: float64(u.switches) / requests,
		Rate:     requests / elapsed * 1e6,
		MBps:     requests * megabytes / elapsed * 1e6,
		P50:      float64(l.P50) / 1000,
		P99:      float64(l.P99) / 1000,
		Busy:     cpu / elapsed,
	}
}

// spread is the middle of some numbers, and their ends.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func (s spread) String() string {
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

func spreadOf(samples []sample, of func(sample) float64) spread {
	var all []float64
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	n := len(all)
	if n == 0 {
		return spread{}
	}
	return spread{Median: (all[(n-1)/2] + all[n/2]) / 2, Min: all[0], Max: all[n-1]}
}
