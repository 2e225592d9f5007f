//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
)

// What no log of a healthy run has.
var trouble = regexp.MustCompile(
	`\[(alert|emerg|crit)\]|Sanitizer|panic:|Fatal Python|fatal error|SIGSEGV|runtime error:|WARNING: DATA RACE`)

// suspicious returns the lines of a log that must not be there, but for those
// that match one of "allow".
func suspicious(log string, allow []string) []string {
	var found []string
	for _, line := range strings.Split(log, "\n") {
		if trouble.MatchString(line) && !slices.ContainsFunc(allow, func(pattern string) bool {
			return regexp.MustCompile(pattern).MatchString(line)
		}) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// descriptors counts what a process has open, by what it is.
type descriptors map[string]int

var inode = regexp.MustCompile(`\[\d+\]`)

// openFDs describes the descriptors of a process.  Sockets of clients are told
// from listening ones, the numbers of the others do not matter.  What Python has
// open from its start is left out, since it may start late: wsgi_dump.c's memfd,
// and libffi, which keeps itself open to map ctypes' trampolines from.
func openFDs(pid int) descriptors {
	listening := listeningInodes(pid)
	found := descriptors{}
	for _, link := range fdLinks(pid) {
		switch {
		case strings.HasPrefix(link, "socket:") && listening[link]:
			found["listening socket"]++
		case strings.Contains(link, "/libffi.so."),
			strings.Contains(link, "memfd:ngx_wsgi stacks"):
		default:
			found[inode.ReplaceAllString(link, "")]++
		}
	}
	return found
}

// grown returns what "now" has more of, one entry a descriptor.
func (d descriptors) grown(now descriptors) []string {
	var more []string
	for _, kind := range slices.Sorted(maps.Keys(now)) {
		for range now[kind] - d[kind] {
			more = append(more, kind)
		}
	}
	return more
}

// markFDs takes what the workers have open now as what they may have.
func (n *instance) markFDs() {
	n.fds = map[int]descriptors{}
	for _, pid := range n.pids {
		n.fds[pid] = openFDs(pid)
	}
}

// checkFDs fails when a worker that has nothing to do any more has more
// descriptors open than it had at the start.
func (n *instance) checkFDs() {
	for pid, before := range n.fds {
		var more []string
		for end := time.Now().Add(patience); time.Now().Before(end); {
			if more = before.grown(openFDs(pid)); len(more) <= n.set.newFDs {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(n.t, len(more), n.set.newFDs,
			"descriptors that worker %d has not closed: %v", pid, more)
	}
}

func regularFiles(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// tail returns the last "max" bytes of text.
func tail(text string, max int) string {
	if len(text) > max {
		return "[...]" + text[len(text)-max:]
	}
	return text
}
