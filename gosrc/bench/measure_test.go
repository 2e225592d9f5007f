// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
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
		usage{cpu: 10 * time.Millisecond, switches: 250})
	assert.Equal(t, sample{
		CPU: 10, Switches: 0.25, Rate: 2000, P50: 1.5, P99: 20, Busy: 0.02,
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

func TestRatioIsToTheBaseline(t *testing.T) {
	c := &contender{}
	c.add(sample{CPU: 11}, 5)
	assert.InDelta(t, 2.2, c.samples[0].Ratio, 1e-9)
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
