// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package log

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGuardEndsAPanicAndTellsWhere(t *testing.T) {
	var level Level
	var text string
	logger := Logger(func(l Level, s string) { level, text = l, s })

	func() {
		defer logger.Guard("the test")
		panic("no reason")
	}()

	assert.Equal(t, Panic, level)
	assert.Contains(t, text, "panic in the test: no reason\n")
	assert.Contains(t, text, "log_test.go")
}

func TestGuardSaysNothingWithoutAPanic(t *testing.T) {
	logger := Logger(func(Level, string) { t.Error("something was logged") })
	logger.Guard("the test")
}
