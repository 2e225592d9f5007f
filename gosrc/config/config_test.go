// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func good() Config {
	return Config{
		StartTimeout:    time.Minute,
		ShutdownTimeout: time.Second,
		Pools:           []Pool{{Name: "default", Threads: 8}, {Name: "slow", Threads: 2}},
		Apps:            []App{{Target: "app:wsgi"}, {Target: "/srv/x.py", Callable: "run"}},
	}
}

func TestValidate(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*Config)
		want  string
	}{
		{"good", func(*Config) {}, ""},
		{"no pool", func(c *Config) { c.Pools = nil }, "no pool or no application"},
		{"no application", func(c *Config) { c.Apps = nil }, "no pool or no application"},
		{"optimize", func(c *Config) { c.Optimize = 3 }, "wsgi_python_optimize is 3"},
		{"start", func(c *Config) { c.StartTimeout = 0 }, "wsgi_start_timeout"},
		{"shutdown", func(c *Config) { c.ShutdownTimeout = 0 }, "wsgi_shutdown_timeout"},
		{"nameless pool", func(c *Config) { c.Pools[1].Name = "" }, `pool "" has`},
		{"empty pool", func(c *Config) { c.Pools[1].Threads = 0 }, `pool "slow" has`},
		{"too many", func(c *Config) { c.Pools[1].Threads = 93 }, "have 101 threads, there can be 100"},
		{"nameless application", func(c *Config) { c.Apps[0].Target = "" }, "an application"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conf := good()
			c.spoil(&conf)
			err := conf.Validate(100)
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestAppName(t *testing.T) {
	conf := good()
	assert.Equal(t, "app:wsgi", conf.AppName(0))
	assert.Equal(t, "/srv/x.py run", conf.AppName(1))
	assert.Equal(t, "number 2", conf.AppName(2))
}
