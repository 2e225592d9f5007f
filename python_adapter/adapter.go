// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Package adapter is the door between Go and Python.  The C files beside it
// serve the requests; the Go files, of which this package is the only one with
// cgo and cpy3, start Python, import applications and end it.
//
// There is one interpreter in a process, and so one value of type Python.
// Goroutines that call it are locked to their OS threads when a comment says
// "locked": Python keeps a state for each thread that it has met.
package adapter

/*
#cgo pkg-config: python3
#cgo CFLAGS: -fvisibility=hidden
#cgo LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include <time.h>
#include "wsgi_adapter.h"
#include "wsgi_start.h"

static inline void
wsgi_go_log(uint32_t level, const char *text, size_t len)
{
    wsgi_host->log(NULL, level, text, len);
}

static inline void
wsgi_go_ready(uint32_t failures)
{
    if (wsgi_host->ready) {
        wsgi_host->ready(failures);
    }
}

static inline void
wsgi_go_drain(const char *reason, size_t len, uint32_t flags)
{
    if (wsgi_host->drain) {
        wsgi_host->drain(reason, len, flags);
    }
}

static inline void
wsgi_go_hold(uint32_t on)
{
    if (wsgi_host->hold) {
        wsgi_host->hold(on);
    }
}

static inline void
wsgi_go_record(uint64_t serial, uint32_t level, const char *text, size_t len)
{
    if (wsgi_host->record) {
        wsgi_host->record(serial, level, text, len);
    }
}

const nwsgi_runtime_t *nwsgi_runtime(const nwsgi_host_t *host);
*/
import "C"

import (
	"errors"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// MaxSlots is the most threads that the pools can have at a time, those that
// were given up included.
const MaxSlots = C.WSGI_MAX_SLOTS

// dumpSize bounds what Dump returns: some hundred threads of some dozen frames.
const dumpSize = 256 * 1024

// Log writes an entry to nginx's error log, without the context of a request.
// Any goroutine.
func Log(level uint32, text string) {
	if text == "" || C.wsgi_host == nil {
		return
	}
	C.wsgi_go_log(C.uint32_t(level), (*C.char)(unsafe.Pointer(unsafe.StringData(text))),
		C.size_t(len(text)))
}

// Ready tells nginx that the start has come to its end, and how many of the
// applications cannot be imported.  Once, on any goroutine.
func Ready(failures int) {
	if C.wsgi_host != nil {
		C.wsgi_go_ready(C.uint32_t(failures))
	}
}

// Drain has nginx replace this worker, and tell the reason in its log.  "soon":
// without regard for idle connections, and for the turn of other workers.  Any
// goroutine; repetitions do nothing.
func Drain(reason string, soon bool) {
	if reason == "" || C.wsgi_host == nil {
		return
	}
	var flags C.uint32_t
	if soon {
		flags = C.NWSGI_DRAIN_SOON
	}
	C.wsgi_go_drain((*C.char)(unsafe.Pointer(unsafe.StringData(reason))),
		C.size_t(len(reason)), flags)
}

// Hold has requests wait outside of this worker (true), or be served again.  Any
// goroutine.
func Hold(on bool) {
	C.wsgi_go_hold(flag(on))
}

// Runtime exchanges a host table (nwsgi_host_t *) for the runtime's
// (nwsgi_runtime_t *), as nginx does; nil if the host's is of another version.
func Runtime(host unsafe.Pointer) unsafe.Pointer {
	return unsafe.Pointer(C.nwsgi_runtime((*C.nwsgi_host_t)(host)))
}

// Run makes the calling OS thread a thread of a pool, until it has to leave.
// Locked.
func (p *Python) Run(slot, pool uint32, name string) error {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	go p.reserve() // this one may have been of it
	if C.wsgi_thread_run(C.uint32_t(slot), C.uint32_t(pool), cname) != 0 {
		return errors.New("it could not be attached to Python")
	}
	return nil
}

// Room tells whether the system lets another thread start, and those that Go
// may need besides.
func (p *Python) Room() error {
	if errno := C.wsgi_spare_room(1 + spare); errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}

// spare is how many threads Go is to have in reserve: those that may run at a
// time, and as many that are in C.
const spare = 4

// reserve has Go start what it lacks of them, see wsgi_spare.c.
func (p *Python) reserve() {
	p.reserving.Lock()
	defer p.reserving.Unlock()
	var group sync.WaitGroup
	for range spare {
		group.Add(1)
		go func() {
			defer group.Done()
			C.wsgi_spare_gather(spare)
		}()
	}
	group.Wait()
}

// Leave tells the thread of a slot to leave when its present job has ended.
func (p *Python) Leave(slot uint32) {
	C.wsgi_thread_leave(C.uint32_t(slot))
}

// Job tells what the thread of a slot does: the serial of a request, 0 for
// none, its application, the thread's identifier in Python, and how long it has
// run.
func (p *Python) Job(slot uint32) (serial uint64, app uint32, ident uint64, age time.Duration) {
	var info C.wsgi_thread_info_t
	if C.wsgi_thread_info(C.uint32_t(slot), &info) == 0 || info.serial == 0 {
		return 0, 0, 0, 0
	}
	since := time.Duration(info.since) * time.Millisecond
	return uint64(info.serial), uint32(info.app), uint64(info.ident), monotonic() - since
}

// Dump tells which thread holds the GIL, by its identifier in Python, 0 for
// none, and what all are doing, in faulthandler's words; "" if that cannot be
// had.  Waits for a second at the most, never for the GIL.
func (p *Python) Dump() (holder uint64, text string) {
	var ident C.uint64_t
	buf := make([]byte, dumpSize)
	n := C.wsgi_dump(&ident, (*C.char)(unsafe.Pointer(&buf[0])), dumpSize)
	return uint64(ident), string(buf[:n])
}

// Record writes an entry to the error log with the context of the request
// "serial", if that is still known.  Any goroutine.
func (p *Python) Record(serial uint64, level log.Level, text string) {
	if text == "" {
		return
	}
	C.wsgi_go_record(C.uint64_t(serial), C.uint32_t(level),
		(*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.size_t(len(text)))
}

// Interrupt raises an exception in the thread of a slot, if it still runs the
// request "serial", and tells whether it did.  Waits for the GIL.  Locked.
func (p *Python) Interrupt(slot uint32, serial uint64, reason uint32) bool {
	return C.wsgi_thread_interrupt(C.uint32_t(slot), C.uint64_t(serial),
		C.uint32_t(reason)) != 0
}

// Drain has nginx replace this worker; "soon": it serves nobody any more.  Any
// goroutine.
func (p *Python) Drain(reason string, soon bool) {
	Drain(reason, soon)
}

// Note tells nginx where the threads are whose requests have run for "age" or
// longer.  Waits for the GIL.  Locked.
func (p *Python) Note(age time.Duration) {
	C.wsgi_thread_note(C.uint64_t(age.Milliseconds()))
}

// Close lets the queues take no more; threads leave when they are empty.
func (p *Python) Close() {
	C.wsgi_queue_close()
}

// Fail does so, and ends with an error what waits in them.
func (p *Python) Fail() {
	C.wsgi_queue_fail()
}

// Refuse ends what waits in the queues, and refuses what comes: no thread will
// take it for long.  Any goroutine.
func (p *Python) Refuse() {
	C.wsgi_queue_refuse()
}

// monotonic is the time that C's stamps are of.
func monotonic() time.Duration {
	var ts C.struct_timespec
	C.clock_gettime(C.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.tv_sec)*time.Second + time.Duration(ts.tv_nsec)
}
