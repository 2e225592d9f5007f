// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
)

func TestConfigurationSurvivesC(t *testing.T) {
	whole := &config.Config{
		Optimize:        2,
		StartTimeout:    1500 * time.Millisecond,
		ShutdownTimeout: 2 * time.Second,
		Workers:         4,
		Check:           true,
		Reloading:       true,
		Ident:           "nginx/1.22.1",
		Home:            "/srv/venv",
		Executable:      "/srv/venv/bin/python",
		Directory:       "/srv",
		Path:            []string{"/one", "/two"},
		Env:             []config.Env{{Name: "A", Value: "1"}, {Name: "B", Value: ""}},
		Pools:           []config.Pool{{Name: "default", Threads: 8, Queue: 256}, {Name: "p", Threads: 1}},
		Apps: []config.App{
			{Target: "app:wsgi", Preload: true, Middleware: []string{"m:wrap", "n:wrap"}},
			{Target: "/srv/x.py", Callable: "run"},
		},
	}
	assert.Equal(t, whole, Decode(unsafe.Pointer(encode(whole))))
	empty := &config.Config{}
	assert.Equal(t, empty, Decode(unsafe.Pointer(encode(empty))))
}
