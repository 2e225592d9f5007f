// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter

/*
#include <stdlib.h>
#include "wsgi_adapter.h"
#include "wsgi_start.h"
*/
import "C"

import (
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/go-python/cpy3"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
)

//go:embed ngx_wsgi_guest.py
var guestSource string

//go:embed ngx_wsgi_boot.py
var bootSource string

// Python is the interpreter of this process.
type Python struct {
	conf      *C.nwsgi_config_t
	apps      []config.App
	reloading bool
	boot      *python3.PyObject // the module, while Python lives
	sources   sources           // if reloading
	reserving sync.Mutex
}

// New copies the configuration; nothing is started.
func New(conf *config.Config) *Python {
	return &Python{conf: encode(conf), apps: conf.Apps, reloading: conf.Reloading}
}

// Ready tells nginx that the start has come to its end, well or not.
func (p *Python) Ready(failures int) { Ready(failures) }

// Prepare puts up the queues and the environment.  On nginx's loop.
func (p *Python) Prepare() error {
	if C.wsgi_start_environment(p.conf) != C.NWSGI_OK {
		return errors.New("wsgi_env: no memory")
	}
	if C.wsgi_queue_init(p.conf) != 0 {
		return errors.New("the queues: no memory")
	}
	C.wsgi_crash_start()
	return nil
}

// Start starts Python; the calling thread, which is locked, is its main thread
// from now on, and does not have the GIL when Start returns.
func (p *Python) Start() (about string, err error) {
	const size = 1024
	text := unsafe.SliceData(alloc[C.char](size))
	defer C.free(unsafe.Pointer(text))
	if C.wsgi_start_python(p.conf, text, size) != C.NWSGI_OK {
		return "", errors.New(C.GoString(text))
	}
	defer python3.PyEval_SaveThread()
	if err := p.startBoot(); err != nil {
		return "", fmt.Errorf("ngx_wsgi_boot: %w", err)
	}
	version, _, _ := strings.Cut(python3.Py_GetVersion(), " ")
	return "Python " + version + " in " + sysAttribute("prefix"), nil
}

func (p *Python) startBoot() error {
	guest, err := p.module("ngx_wsgi_guest", guestSource)
	if err != nil {
		return err
	}
	defer guest.DecRef()
	boot, err := p.module("ngx_wsgi_boot", bootSource)
	if err != nil {
		return err
	}
	p.boot = boot
	if C.wsgi_start_hook(unsafe.Pointer(boot)) != 0 ||
		C.wsgi_module_init(unsafe.Pointer(boot), p.conf) != 0 {
		return p.failure(-1, "start")
	}
	if err := p.do("start"); err != nil {
		return err
	}
	if p.reloading {
		if err := p.watchSources(); err != nil {
			return err
		}
	}
	return p.addApps()
}

func (p *Python) addApps() error {
	for _, app := range p.apps {
		middleware := strings.Join(app.Middleware, " ")
		if err := p.do("add", app.Target, app.Callable, middleware); err != nil {
			return err
		}
	}
	return nil
}

// module makes a module of a source.  Its name in tracebacks is none of a file.
func (p *Python) module(name, source string) (*python3.PyObject, error) {
	builtins := python3.PyImport_ImportModule("builtins")
	if builtins == nil {
		return nil, p.failure(-1, "start")
	}
	defer builtins.DecRef()
	code, err := p.call(builtins, "compile", source, "<"+name+">", "exec")
	if err != nil {
		return nil, err
	}
	defer code.DecRef()
	module := python3.PyImport_ExecCodeModule(name, code)
	if module == nil {
		return nil, p.failure(-1, "start")
	}
	return module, nil
}

// Load imports an application, or waits until another thread has.  The error
// is what belongs into the log.  Locked.
func (p *Python) Load(app uint32) error {
	defer enter()()
	value, err := p.call(p.boot, "load", int(app))
	if err == nil {
		value.DecRef()
	}
	return err
}

// EndImport raises an exception in the thread "ident" if it imports "app", and
// returns the text for the log, or "" if it does not.  Waits for the GIL.
// Locked.
func (p *Python) EndImport(app uint32, ident uint64, why string) string {
	defer enter()()
	value, err := p.call(p.boot, "expire", int(app), ident, why)
	if err != nil {
		return err.Error()
	}
	defer value.DecRef()
	if value == python3.Py_None {
		return ""
	}
	C.wsgi_thread_raise(C.ulong(ident))
	return text(value)
}

// Join waits for the threads that applications have started, but for daemons.
// On the main thread.
func (p *Python) Join() {
	p.last("join")
}

// Exit calls the functions registered with atexit.  On the main thread.
func (p *Python) Exit() {
	p.last("leave")
}

func (p *Python) last(function string) {
	defer enter()()
	if err := p.do(function); err != nil {
		Log(C.NWSGI_LOG_ERR, err.Error())
	}
}

// Finalize ends Python.  On the main thread, when no other thread is in it and
// none will come.
func (p *Python) Finalize() error {
	python3.PyGILState_Ensure()
	C.wsgi_module_free()
	release(p.boot, p.sources.module)
	p.boot = nil
	failed := python3.Py_FinalizeEx() != 0
	C.wsgi_dump_end()
	if failed {
		return errors.New("what Python had buffered could not be written at its end")
	}
	return nil
}

// enter takes the GIL for the calling thread; the function returned gives it
// back.
func enter() func() {
	runtime.LockOSThread()
	gil := python3.PyGILState_Ensure()
	return func() {
		python3.PyGILState_Release(gil)
		runtime.UnlockOSThread()
	}
}
