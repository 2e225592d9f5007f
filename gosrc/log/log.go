// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package log is the way to nginx's error log for what is not said by an
// application.
package log

import (
	"fmt"
	"runtime"
)

// Level is one of nginx's, the numbers are those of nwsgi.h.  There is no use
// for emerg and alert: they mean that nginx itself is in trouble.
type Level uint32

// The levels in use.
const (
	Crit   Level = 3
	Err    Level = 4
	Warn   Level = 5
	Notice Level = 6
	Info   Level = 7
)

// Panic is what Crit is, and of a panic: the process can no longer be trusted
// and has to be replaced.
const Panic Level = 0

// Logger writes one entry, which may have several lines.  It is safe for
// concurrent use and does not wait.
type Logger func(level Level, text string)

// Printf formats and writes one entry.
func (l Logger) Printf(level Level, format string, args ...any) {
	l(level, fmt.Sprintf(format, args...))
}

// Guard is for "defer": it logs a panic and ends it, because a panic that
// leaves a goroutine would end the nginx worker.
func (l Logger) Guard(where string) {
	if reason := recover(); reason != nil {
		l.Panicked(where, reason)
	}
}

// Panicked logs what recover() returned, with the stack, as a Panic, in the
// deferred function that called recover().
func (l Logger) Panicked(where string, reason any) {
	stack := make([]byte, 4096)
	stack = stack[:runtime.Stack(stack, false)]
	l.Printf(Panic, "panic in %s: %v\n%s", where, reason, stack)
}
