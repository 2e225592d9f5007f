// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// stacks are the frames of Python's threads, each a line of the log, by the
// threads' identifiers, the most recent call last.
type stacks map[uint64][]string

var (
	threadLine = regexp.MustCompile(`^(?:Current thread|Thread) 0x([0-9a-f]+)`)
	frameLine  = regexp.MustCompile(`^  File (.+), line (\S+) in (.+)$`)
)

// ours begins the file names of frames that are no application's.
const ours = `"<ngx_wsgi_`

// parseStacks reads what faulthandler has written, or the beginning of it: for
// each thread a line that names it and its frames, the most recent call first.
// They become what a traceback looks like.
func parseStacks(text string) stacks {
	found := stacks{}
	thread := uint64(0)
	for _, line := range strings.SplitAfter(text, "\n") {
		line, whole := strings.CutSuffix(line, "\n")
		if m := threadLine.FindStringSubmatch(line); m != nil {
			thread, _ = strconv.ParseUint(m[1], 16, 64)
			found[thread] = []string{}
		} else if whole && thread != 0 && strings.HasPrefix(line, "  ") {
			found.add(thread, line)
		}
	}
	for _, frames := range found {
		slices.Reverse(frames)
	}
	return found
}

func (s stacks) add(thread uint64, line string) {
	if m := frameLine.FindStringSubmatch(line); m != nil {
		if strings.HasPrefix(m[1], ours) {
			return
		}
		line = "  File " + m[1] + ", line " + m[2] + ", in " + m[3]
	}
	s[thread] = append(s[thread], line)
}

// of is the stack of a thread as an entry of the log has it, after its first
// line.  "name" is empty for a thread that is not of a pool.
func (s stacks) of(thread uint64, name string) string {
	frames, ok := s[thread]
	switch {
	case !ok:
		return "\nits Python stack cannot be had"
	case len(frames) == 0:
		return "\nit runs no Python code"
	}
	if name != "" {
		name = strconv.Quote(name) + " "
	}
	return "\nstack of thread " + name + "(most recent call last):\n" +
		strings.Join(frames, "\n")
}
