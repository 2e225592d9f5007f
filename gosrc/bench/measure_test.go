// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewSample(t *testing.T) {
	s := newSample(
		load{Requests: 1000, Duration: 500_000, P50: 1500, P99: 20_000},
		usage{cpu: 10 * time.Millisecond, switches: 250}, 4)
	assert.Equal(t, sample{
		CPU: 10, PerMB: 2.5, Switches: 0.25, Rate: 2000, MBps: 8000, P50: 1.5, P99: 20, Busy: 0.02,
	}, s)
}

func TestSpread(t *testing.T) {
	of := func(values ...float64) spread {
		var samples []sample
		for _, v := range values {
			samples = append(samples, sample{CPU: v})
		}
		return spreadOf(samples, func(s sample) float64 { return s.CPU })
	}
	assert.Equal(t, spread{}, of())
	assert.Equal(t, spread{Median: 7, Min: 7, Max: 7}, of(7))
	assert.Equal(t, spread{Median: 2, Min: 1, Max: 9}, of(9, 1, 2))
	assert.Equal(t, spread{Median: 2.5, Min: 1, Max: 9}, of(9, 1, 2, 3))
}

// scripted is a load generator that says how many requests each URL has served.
type scripted map[string]int64

func (g scripted) run(_ context.Context, url string, _ workload, _ time.Duration) (load, error) {
	return load{Requests: g[url], Duration: 1}, nil
}

func TestRatioIsToTheBaselineOnBothSides(t *testing.T) {
	server := func(addr string) *server { return &server{addr: addr} }
	costs := []float64{11, 4, 6} // other, base before, base after
	b := &bench{
		generator: scripted{"http://base/": 1, "http://other/": 1}, rounds: 1,
		base:   &contender{server: server("base")},
		others: []*contender{{server: server("other")}},
		cost:   func(sample) float64 { c := costs[0]; costs = costs[1:]; return c },
	}
	require.NoError(t, b.round(context.Background()))
	assert.Len(t, b.base.samples, 2)
	assert.InDelta(t, 11.0/5, b.others[0].samples[0].Ratio, 1e-9)
}

func TestUsedCountsThisProcess(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := used(pids)
	require.NoError(t, err)
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
	}
	time.Sleep(time.Millisecond) // has the kernel count what ran until now
	after, err := used(pids)
	require.NoError(t, err)

	u := after.since(before)
	assert.Greater(t, u.cpu, time.Millisecond)
	assert.Less(t, u.cpu, time.Minute)
	assert.Positive(t, u.switches)
	assert.Greater(t, resident(pids), int64(1<<20))
}

func TestUsedOfNobody(t *testing.T) {
	_, err := used([]int{-1})
	assert.Error(t, err)
}

func TestDescendants(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()

	found := descendants(os.Getpid())
	assert.Contains(t, found, os.Getpid())
	assert.Contains(t, found, cmd.Process.Pid)
}

func TestField(t *testing.T) {
	text := "Name:\tnginx\nVmRSS:\t    4608 kB\n"
	assert.Equal(t, int64(4608), field(text, "VmRSS:"))
	assert.Zero(t, field(text, "VmSwap:"))
	assert.Zero(t, number("", 0))
}
