//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if err := the.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		the.finish()
		os.Exit(1)
	}
	code := m.Run()
	the.finish()
	os.Exit(code)
}
