// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used since they began.
type usage struct {
	cpu      time.Duration // of all threads, user and system
	switches int64         // how often a thread has waited, or was made to
}

func (u usage) since(before usage) usage {
	return usage{cpu: u.cpu - before.cpu, switches: u.switches - before.switches}
}

// used sums up the threads of all these processes.  The kernel's count in
// "schedstat" is exact, where "stat" is rounded to a hundredth of a second.
func used(pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil || len(tasks) == 0 {
			return sum, fmt.Errorf("process %d has gone", pid)
		}
		for _, task := range tasks {
			sum.cpu += time.Duration(number(read(task, "schedstat"), 0))
			status := read(task, "status")
			sum.switches += field(status, "voluntary_ctxt_switches:") +
				field(status, "nonvoluntary_ctxt_switches:")
		}
	}
	return sum, nil
}

// resident is the memory of all these processes in bytes.
func resident(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		sum += field(read("/proc", strconv.Itoa(pid), "status"), "VmRSS:") << 10
	}
	return sum
}

// descendants returns a process and all that come from it, but for the masters
// of nginx, which serve nothing.
func descendants(pid int) []int {
	var found []int
	if !strings.HasPrefix(read("/proc", strconv.Itoa(pid), "cmdline"), "nginx: master") {
		found = append(found, pid)
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		for _, child := range strings.Fields(read(list)) {
			id, _ := strconv.Atoi(child)
			found = append(found, descendants(id)...)
		}
	}
	return found
}

func read(path ...string) string {
	text, _ := os.ReadFile(filepath.Join(path...))
	return string(text)
}

// field returns the number behind a name in a file such as /proc/PID/status.
func field(text, name string) int64 {
	for _, line := range strings.Split(text, "\n") {
		if rest, found := strings.CutPrefix(line, name); found {
			return number(rest, 0)
		}
	}
	return 0
}

// number returns the i-th word as a number, and 0 when there is none.
func number(text string, i int) int64 {
	words := strings.Fields(text)
	if i >= len(words) {
		return 0
	}
	n, _ := strconv.ParseInt(words[i], 10, 64)
	return n
}
