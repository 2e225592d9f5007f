// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A fast shutdown has a limit of its own, if that is the shorter one, and once
// the end has begun it has its limit.
func TestHurry(t *testing.T) {
	for limit, words := range map[time.Duration]string{
		2 * time.Second:  "within 2s (fast shutdown)",
		60 * time.Second: "within 8s (wsgi_shutdown_timeout)",
	} {
		f := running(t)
		gate := make(chan struct{})
		f.python.holdAt("exit", gate)
		f.Hurry(limit)
		assert.Equal(t, Again, f.Stop(0))
		f.Hurry(time.Millisecond)
		f.python.await("exit")
		outcome, took := f.stop(t, time.Second)
		assert.Equal(t, Undone, outcome)
		assert.Contains(t, f.said.String(), "Python has not ended "+words)
		assert.GreaterOrEqual(t, took, min(limit, 8*time.Second))
		close(gate)
		<-f.over
	}
}
