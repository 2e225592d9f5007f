// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package log

import (
	"strings"
	"sync"
)

// Recorder keeps what is logged, for tests.  Its zero value is empty.  Safe for
// concurrent use.
type Recorder struct {
	mu    sync.Mutex
	lines []string
}

// Log is a Logger.
func (r *Recorder) Log(_ Level, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, text)
}

// Reset forgets what was logged.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
}

// String is all entries, in their order, a line end between two.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}
