//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
)

// "make asan": nginx, the module and the library are built with
// AddressSanitizer and UBSan.  Their reports go to the standard error, which
// nginx has made its error log, and there "trouble" of checks.go finds them.

var sanitized = os.Getenv("NWSGI_SANITIZED") != ""

// slack is by how much what a test allows of time and memory grows then: by
// shadow memory, freed memory that is kept for a while, and a Python without an
// allocator of its own.
func slack() int {
	if sanitized {
		return 4
	}
	return 1
}

// memory is a bound in bytes on the growth of a process.
func memory(bytes int) int { return bytes * slack() }

// sanitize prepares the environment of all that the tests start.
func sanitize() {
	if !sanitized {
		return
	}
	suppressions, _ := filepath.Abs("../../ci/lsan.supp")
	_ = os.Setenv("LSAN_OPTIONS", "print_suppressions=0:suppressions="+suppressions)
	_ = os.Setenv("UBSAN_OPTIONS", "print_stacktrace=1")
	_ = os.Setenv("ASAN_OPTIONS", strings.Join([]string{
		"detect_odr_violation=0", // nginx's modules have globals of the same name
		"handle_segv=0",          // Go's, and those that a test crashes by
		"handle_sigbus=0",
		"handle_abort=0",
		"use_sigaltstack=0",     // Go has its own
		"quarantine_size_mb=16", // of 256, of which tests of memory would think badly
		"detect_leaks=1",
		"exitcode=99", // which "nginx -t" never has
	}, ":"))
}
