// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Libngx_wsgi.so is what an nginx worker loads to run WSGI applications.  This
// package is its seam: C calls what exports.go exports, and finds here the one
// life that there is in the process.
package main

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/life"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
)

// present is the life of this process, nil before start.
var present atomic.Pointer[life.Life]

// main is never called: the library has no program of its own.
func main() {}

// logger writes to the error log, and has nginx replace a worker that panicked.
// One that panics before it has served is left alone: its successor would too.
var logger log.Logger = func(level log.Level, text string) {
	if level != log.Panic {
		adapter.Log(uint32(level), text)
		return
	}
	adapter.Log(uint32(log.Crit), text)
	if l := present.Load(); l != nil && l.State() == life.Running {
		adapter.Drain("a panic in Go", false)
	}
}

// start begins the life.
func start(conf *config.Config) error {
	l, err := newLife(conf)
	if err != nil {
		return err
	}
	return l.Start()
}

// check is all there is of a life in the process that checks a configuration.
func check(conf *config.Config) (failures int, err error) {
	l, err := newLife(conf)
	if err != nil {
		return 0, err
	}
	return l.Check()
}

// newLife makes the life of this process, once.
func newLife(conf *config.Config) (*life.Life, error) {
	if err := conf.Validate(adapter.MaxSlots); err != nil {
		return nil, err
	}
	l := life.New(conf, adapter.MaxSlots, adapter.New(conf), clock.System{}, logger)
	if !present.CompareAndSwap(nil, l) {
		return nil, errors.New("Python has been started in this process before")
	}
	frugal()
	openPoller()
	return l, nil
}

// openPoller has Go open its poller, as the first timer does, and not later: when it
// cannot, since there are no descriptors left, Go ends the process.
func openPoller() {
	time.AfterFunc(0, func() {})
}

// frugal keeps Go small: it is idle while requests are served, and each worker
// has one.  Two goroutines at a time are plenty, the threads of the pools are
// in C and do not count; the heap, some hundred KB, need not grow to 4 MB
// before it is collected.
func frugal() {
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	debug.SetGCPercent(20)
}
