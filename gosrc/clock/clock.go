// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package clock is time as the other packages see it, so that their tests need
// not wait.
package clock

import "time"

// Clock tells the time and calls functions later, on goroutines of their own.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call that is still to come.
type Timer interface {
	// Stop prevents it; false: it has begun already.
	Stop() bool
}

// System is the clock of the machine.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (System) AfterFunc(d time.Duration, f func()) Timer {
	return time.AfterFunc(d, f)
}

// After returns a channel that is closed when "d" has passed, and its timer.
func After(c Clock, d time.Duration) (<-chan struct{}, Timer) {
	passed := make(chan struct{})
	return passed, c.AfterFunc(d, func() { close(passed) })
}
