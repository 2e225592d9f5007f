// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter

/*
#include <stdlib.h>
#include "wsgi_adapter.h"
*/
import "C"

import (
	"time"
	"unsafe"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
)

// Decode copies a nwsgi_config_t, which is borrowed.
func Decode(from unsafe.Pointer) *config.Config {
	c := (*C.nwsgi_config_t)(from)
	conf := &config.Config{
		Optimize:        uint32(c.optimize),
		StartTimeout:    time.Duration(c.start_timeout) * time.Millisecond,
		ShutdownTimeout: time.Duration(c.shutdown_timeout) * time.Millisecond,
		Workers:         uint32(c.workers),
		Check:           c.check != 0,
		Reloading:       c.reloading != 0,
		Ident:           C.GoStringN(c.ident, C.int(c.ident_len)),
		Home:            C.GoString(c.home),
		Executable:      C.GoString(c.executable),
		Directory:       C.GoString(c.directory),
	}
	conf.Path = strs(c.path, c.npath)
	for _, env := range unsafe.Slice(c.env, c.nenv) {
		conf.Env = append(conf.Env, config.Env{
			Name: C.GoString(env.name), Value: C.GoString(env.value),
		})
	}
	for _, pool := range unsafe.Slice(c.pools, c.npools) {
		conf.Pools = append(conf.Pools, config.Pool{
			Name:    C.GoString(pool.name),
			Threads: uint32(pool.threads),
			Queue:   uint32(pool.queue),
		})
	}
	for _, app := range unsafe.Slice(c.apps, c.napps) {
		conf.Apps = append(conf.Apps, config.App{
			Target:     C.GoString(app.target),
			Callable:   C.GoString(app.callable),
			Middleware: strs(app.middleware, app.nmiddleware),
			Preload:    app.preload != 0,
		})
	}
	return conf
}

func strs(from **C.char, n C.uint32_t) []string {
	var list []string
	for _, s := range unsafe.Slice(from, n) {
		list = append(list, C.GoString(s))
	}
	return list
}

// encode makes a nwsgi_config_t in C's memory.  It is not freed: Python refers
// to it for as long as the process lives.
func encode(conf *config.Config) *C.nwsgi_config_t {
	c := &alloc[C.nwsgi_config_t](1)[0]
	*c = C.nwsgi_config_t{
		size:             C.uint32_t(unsafe.Sizeof(*c)),
		optimize:         C.uint32_t(conf.Optimize),
		start_timeout:    C.uint32_t(conf.StartTimeout / time.Millisecond),
		shutdown_timeout: C.uint32_t(conf.ShutdownTimeout / time.Millisecond),
		workers:          C.uint32_t(conf.Workers),
		check:            flag(conf.Check),
		reloading:        flag(conf.Reloading),
		npools:           C.uint32_t(len(conf.Pools)),
		napps:            C.uint32_t(len(conf.Apps)),
		nenv:             C.uint32_t(len(conf.Env)),
		npath:            C.uint32_t(len(conf.Path)),
		ident_len:        C.uint32_t(len(conf.Ident)),
		ident:            C.CString(conf.Ident),
		home:             cstring(conf.Home),
		executable:       cstring(conf.Executable),
		directory:        cstring(conf.Directory),
	}
	env := alloc[C.nwsgi_env_t](len(conf.Env))
	for i, e := range conf.Env {
		env[i] = C.nwsgi_env_t{name: C.CString(e.Name), value: C.CString(e.Value)}
	}
	c.path, c.env = cstrings(conf.Path), unsafe.SliceData(env)
	encodePools(c, conf.Pools)
	encodeApps(c, conf.Apps)
	return c
}

func encodePools(c *C.nwsgi_config_t, from []config.Pool) {
	pools := alloc[C.nwsgi_pool_conf_t](len(from))
	for i, pool := range from {
		pools[i] = C.nwsgi_pool_conf_t{
			size:    C.uint32_t(unsafe.Sizeof(pools[i])),
			threads: C.uint32_t(pool.Threads),
			queue:   C.uint32_t(pool.Queue),
			name:    C.CString(pool.Name),
		}
	}
	c.pools = unsafe.SliceData(pools)
}

func encodeApps(c *C.nwsgi_config_t, from []config.App) {
	apps := alloc[C.nwsgi_app_conf_t](len(from))
	for i, app := range from {
		apps[i] = C.nwsgi_app_conf_t{
			size:        C.uint32_t(unsafe.Sizeof(apps[i])),
			target:      C.CString(app.Target),
			callable:    cstring(app.Callable),
			middleware:  cstrings(app.Middleware),
			nmiddleware: C.uint32_t(len(app.Middleware)),
			preload:     flag(app.Preload),
		}
	}
	c.apps = unsafe.SliceData(apps)
}

// alloc returns zeroed memory of C; cgo's calloc panics when there is none.
func alloc[T any](n int) []T {
	var t T
	p := C.calloc(C.size_t(max(n, 1)), C.size_t(unsafe.Sizeof(t)))
	return unsafe.Slice((*T)(p), n)
}

func flag(on bool) C.uint32_t {
	if on {
		return 1
	}
	return 0
}

// cstring is NULL for what was not set.
func cstring(s string) *C.char {
	if s == "" {
		return nil
	}
	return C.CString(s)
}

func cstrings(from []string) **C.char {
	list := alloc[*C.char](len(from))
	for i, s := range from {
		list[i] = C.CString(s)
	}
	return unsafe.SliceData(list)
}
