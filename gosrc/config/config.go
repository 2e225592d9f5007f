// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package config is nwsgi_config_t in Go: what nginx's configuration says of
// Python, its threads and its applications.  It holds no memory of C.
package config

import (
	"errors"
	"fmt"
	"time"
)

// Config is immutable once it was validated.  A string that was not set is
// empty.
type Config struct {
	Optimize        uint32
	StartTimeout    time.Duration // of an import
	ShutdownTimeout time.Duration
	Workers         uint32
	Check           bool   // wsgi_check import
	Reloading       bool   // wsgi_script_reloading
	Ident           string // "nginx/1.22.1"
	Home            string
	Executable      string
	Directory       string
	Path            []string
	Env             []Env
	Pools           []Pool // [0] is "default"
	Apps            []App
}

// Env is a variable of the environment.
type Env struct{ Name, Value string }

// Pool is a number of threads with a queue in front of them.
type Pool struct {
	Name    string
	Threads uint32
	Queue   uint32
}

// App is a WSGI application.
type App struct {
	Target     string   // "module:callable", "/path/script.py", ...
	Callable   string   // of a script
	Middleware []string // "module:callable"; the first is the outermost
	Preload    bool
}

// String is how log entries name the application.
func (a App) String() string {
	if a.Callable == "" {
		return a.Target
	}
	return a.Target + " " + a.Callable
}

// Validate returns what nginx could not see is wrong, or what it should not
// have let pass, as a sentence.  "slots" is the number of threads that there
// can be.
func (c *Config) Validate(slots int) error {
	if len(c.Pools) == 0 || len(c.Apps) == 0 {
		return errors.New("there is no pool or no application")
	}
	if c.Optimize > 2 {
		return fmt.Errorf("wsgi_python_optimize is %d, not 0, 1 or 2", c.Optimize)
	}
	if c.StartTimeout <= 0 || c.ShutdownTimeout <= 0 {
		return errors.New("wsgi_start_timeout and wsgi_shutdown_timeout cannot be 0")
	}
	total := 0
	for _, pool := range c.Pools {
		if pool.Name == "" || pool.Threads == 0 {
			return fmt.Errorf("pool %q has no name or no thread", pool.Name)
		}
		total += int(pool.Threads)
	}
	if total > slots {
		return fmt.Errorf("the pools have %d threads, there can be %d in a worker",
			total, slots)
	}
	for _, app := range c.Apps {
		if app.Target == "" {
			return errors.New("an application has no name")
		}
	}
	return nil
}

// AppName is how log entries name the application with this index.
func (c *Config) AppName(index uint32) string {
	if int(index) >= len(c.Apps) {
		return fmt.Sprintf("number %d", index)
	}
	return c.Apps[index].String()
}
