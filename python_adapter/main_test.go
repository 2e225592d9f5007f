// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"os"
	"testing"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

func TestMain(m *testing.M) {
	if conf := os.Getenv(probing); conf != "" {
		os.Exit(probe(conf))
	}
	os.Exit(hosttest.Main(m))
}
