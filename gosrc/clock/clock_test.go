// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFakeCallsInOrderOfTime(t *testing.T) {
	c := NewFake()
	var calls []string
	note := func(s string) func() { return func() { calls = append(calls, s) } }

	c.AfterFunc(2*time.Second, note("two"))
	c.AfterFunc(time.Second, func() {
		calls = append(calls, "one")
		c.AfterFunc(time.Second/2, note("one and a half"))
	})
	never := c.AfterFunc(time.Second, note("never"))
	c.AfterFunc(4*time.Second, note("four"))
	assert.True(t, never.Stop())
	assert.False(t, never.Stop())

	c.Advance(3 * time.Second)
	assert.Equal(t, []string{"one", "one and a half", "two"}, calls)
	assert.Equal(t, time.Unix(3, 0), c.Now())
	assert.Equal(t, 1, c.Pending())
}

func TestAfterClosesItsChannel(t *testing.T) {
	passed, _ := After(System{}, time.Millisecond)
	<-passed

	c := NewFake()
	passed, timer := After(c, time.Second)
	select {
	case <-passed:
		t.Fatal("too early")
	default:
	}
	c.Advance(time.Second)
	<-passed
	assert.False(t, timer.Stop())
}
