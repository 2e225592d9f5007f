// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

/*
#include "nwsgi.h"
*/
import "C"

import (
	"time"
	"unsafe"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/life"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
)

// The functions that C calls; contracts in nwsgi.h and wsgi_start.h.  A panic
// ends here: the answer is then an error.

//export nwsgi_go_start
func nwsgi_go_start(conf *C.nwsgi_config_t) (rc C.int32_t) {
	rc = C.NWSGI_ERROR
	defer logger.Guard("start()")
	if err := start(adapter.Decode(unsafe.Pointer(conf))); err != nil {
		logger(log.Crit, "there is no Python in this worker: "+err.Error())
		return C.NWSGI_ERROR
	}
	return C.NWSGI_OK
}

//export nwsgi_go_check
func nwsgi_go_check(conf *C.nwsgi_config_t) (rc C.int32_t) {
	rc = C.NWSGI_ERROR
	defer logger.Guard("check()")
	failures, err := check(adapter.Decode(unsafe.Pointer(conf)))
	if err != nil {
		logger(log.Crit, "Python does not start: "+err.Error())
		return C.NWSGI_ERROR
	}
	return C.int32_t(failures)
}

//export nwsgi_go_interrupt
func nwsgi_go_interrupt(serial C.uint64_t, reason C.uint32_t) {
	defer logger.Guard("interrupt()")
	if l := present.Load(); l != nil {
		l.Interrupt(uint64(serial), uint32(reason))
	}
}

//export nwsgi_go_import
func nwsgi_go_import(app C.uint32_t, ident C.uint64_t) (rc C.int32_t) {
	rc = C.NWSGI_ERROR
	defer logger.Guard("an import")
	if l := present.Load(); l != nil {
		l.Importing(uint32(app), uint64(ident))
	}
	return C.NWSGI_OK
}

//export nwsgi_go_stop
func nwsgi_go_stop(wait, limit C.uint32_t) (rc C.int32_t) {
	rc = C.NWSGI_ERROR
	defer logger.Guard("stop()")
	l := present.Load()
	if l == nil {
		return C.NWSGI_OK
	}
	if limit > 0 {
		l.Hurry(time.Duration(limit) * time.Millisecond)
	}
	switch l.Stop(time.Duration(wait) * time.Millisecond) {
	case life.Done:
		return C.NWSGI_OK
	case life.Again:
		return C.NWSGI_AGAIN
	default:
		return C.NWSGI_ERROR
	}
}
