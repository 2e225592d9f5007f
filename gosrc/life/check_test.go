// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestCheck(t *testing.T) {
	f := fresh()
	failures, err := f.Check()
	assert.NoError(t, err)
	assert.Zero(t, failures)
	assert.Equal(t, "prepare, start, load 0, load 1, load 2, exit", f.python.made(),
		"what is not preloaded, too")
}

func TestCheckCountsFailures(t *testing.T) {
	f := fresh()
	f.python.fails["load 0"] = errors.New("no module one")
	f.python.fails["load 2"] = errors.New("no module three")
	failures, err := f.Check()
	assert.NoError(t, err)
	assert.Equal(t, 2, failures)
	assert.Equal(t, "no module one\nno module three", f.said.String())
}

func TestCheckWithoutPython(t *testing.T) {
	for _, call := range []string{"prepare", "start"} {
		f := fresh()
		f.python.fails[call] = errors.New("not there")
		_, err := f.Check()
		assert.EqualError(t, err, "not there", call)
	}
	f := fresh()
	f.python.panics["start"] = true
	_, err := f.Check()
	assert.Error(t, err)
}

func TestCheckThatHangs(t *testing.T) {
	f := fresh()
	f.python.hold["load 1"] = make(chan struct{})
	go func() {
		f.python.await("load 1")
		for f.clock.Pending() == 0 {
			time.Sleep(time.Millisecond) // Check sets its timer beside us
		}
		f.clock.Advance(3*time.Minute + time.Second)
	}()
	failures, err := f.Check()
	assert.NoError(t, err)
	assert.Equal(t, 1, failures)
	assert.Contains(t, f.said.String(), "does not end")
}
