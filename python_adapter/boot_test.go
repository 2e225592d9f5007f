// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestBoot runs the tests of ngx_wsgi_boot.py, which are Python and need
// nothing of this process.
func TestBoot(t *testing.T) {
	python := os.Getenv("NWSGI_PYTHON")
	if python == "" {
		t.Fatal("NWSGI_PYTHON is not set: source build/env.sh")
	}
	cmd := exec.Command(python, "-B", "-W", "ignore", "testdata/test_boot.py")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
