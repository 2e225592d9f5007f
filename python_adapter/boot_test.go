// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestBoot runs the tests of what is Python here, which need nothing of this
// process.
func TestBoot(t *testing.T) {
	python := os.Getenv("NWSGI_PYTHON")
	if python == "" {
		t.Fatal("NWSGI_PYTHON is not set: source build/env.sh")
	}
	for _, script := range []string{"testdata/test_boot.py", "testdata/test_guest.py",
		"testdata/test_sources.py"} {
		t.Run(script, func(t *testing.T) {
			cmd := exec.Command(python, "-B", "-W", "ignore", script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
