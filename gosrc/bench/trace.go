// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// calls counts system calls by name.
type calls map[string]int64

// traceAll prints how many system calls of each kind a request makes.
func traceAll(ctx context.Context, o options, f *fleet) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("strace is not installed; on Debian and Ubuntu: apt-get install strace")
	}
	for _, c := range f.servers {
		counted, served, err := trace(ctx, c, o.generator(c.workload, f.workshop), o.duration)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		fmt.Printf("%s: %s\n", c.What, counted.perRequest(served))
	}
	return nil
}

// trace counts the system calls of a server under load, and the requests that
// it has served meanwhile.  It is far slower than without strace, so the mix of
// calls is not quite that of the benchmark.
func trace(ctx context.Context, c *contender, g generator, d time.Duration) (calls, int64, error) {
	file := filepath.Join(c.server.dir, "strace")
	args := []string{"-f", "-qq", "-c", "-o", file}
	pids := c.server.pids()
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	cmd := exec.Command("strace", args...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()

	err := awaitTraced(pids, ended)
	var l load
	if err == nil {
		l, err = g.run(ctx, c.server.url(c.request), c.workload, d)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	<-ended
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, said.String())
	}
	text, err := os.ReadFile(file)
	return parseCalls(string(text)), l.Requests, err
}

// awaitTraced returns when strace has hold of all threads.
func awaitTraced(pids []int, ended <-chan struct{}) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if traced(pids) {
			return nil
		}
		select {
		case <-ended:
			return errors.New("strace has ended")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("strace does not attach")
}

func traced(pids []int) bool {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			if field(read(task, "status"), "TracerPid:") == 0 {
				return false
			}
		}
	}
	return true
}

// parseCalls reads the table of strace -c: share, seconds, microseconds a
// call, calls, errors if any, name.
func parseCalls(table string) calls {
	found := calls{}
	for _, line := range strings.Split(table, "\n") {
		words := strings.Fields(line)
		if len(words) < 5 || words[len(words)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseInt(words[3], 10, 64); err == nil {
			found[words[len(words)-1]] += n
		}
	}
	return found
}

// perRequest says "total (name count, ...)", most frequent first, without
// those that hardly ever happen.
func (c calls) perRequest(requests int64) string {
	var total float64
	var names []string
	for name, n := range c {
		total += float64(n) / float64(requests)
		if float64(n)/float64(requests) >= 0.005 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c[b], c[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.2f", name, float64(c[name])/float64(requests))
	}
	return fmt.Sprintf("%.2f (%s)", total, strings.Join(names, ", "))
}
