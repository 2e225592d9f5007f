// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package hosttest

/*
#include <stdlib.h>
#include "host.h"
*/
import "C"

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// Response is what the adapter has told the host of a request.
type Response struct {
	Result Answer // of end(): OK or Error

	Heads   int // how often a head was sent: one is right, and 0 for a failure
	Status  uint32
	Reason  string
	Header  []Field
	Length  int64  // -1: not known
	User    string // with Access
	HasUser bool

	Chunks []string // of the body, as they were sent
	Files  int      // how many of them were NWSGI_SEND_FILE
	Last   bool     // the response was complete
	Late   bool     // something came after that
	Hints  [][]Field

	Log []Entry // with the context of the request
}

// Body is all chunks together.
func (r *Response) Body() string {
	return strings.Join(r.Chunks, "")
}

// Get is the value of the first header field with this name, "" if there is
// none.
func (r *Response) Get(name string) string {
	for _, field := range r.Header {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// LogText is the log, one entry a line.
func (r *Response) LogText() string {
	return text(r.Log)
}

// Call is a request on its way.  Its methods are for the test's goroutine.
type Call struct {
	t      testing.TB
	req    Request
	job    *C.hosttest_job_t
	body   *os.File
	unread string
	done   chan struct{}

	mu       sync.Mutex
	response Response
	owners   []uint64
	gone     bool
}

// Run submits a request and waits for its end.
func Run(t testing.TB, req Request) *Response {
	t.Helper()
	call, answer := Submit(t, req)
	if answer != OK {
		t.Fatalf("submit() answered %d", answer)
	}
	return call.Wait()
}

// Submit puts a request into the queue; if the answer is OK, Wait or Withdraw
// has to be called.
func Submit(t testing.TB, req Request) (*Call, Answer) {
	req.defaults()
	host.mu.Lock()
	host.last++
	id := host.last
	host.mu.Unlock()
	call := &Call{t: t, req: req, unread: req.Body, done: make(chan struct{})}
	call.job = (*C.hosttest_job_t)(C.calloc(1, C.size_t(unsafe.Sizeof(*call.job))))
	call.job.id = C.uint64_t(id)
	call.job.job.pool = C.uint32_t(req.Pool)
	call.job.job.block, call.body = req.block(t, id)
	host.mu.Lock()
	host.calls[id] = call
	host.mu.Unlock()
	answer := Answer(C.hosttest_submit(host.runtime, call.job))
	if answer != OK {
		call.free()
	}
	return call, answer
}

// Done is closed at the end of the request.
func (c *Call) Done() <-chan struct{} {
	return c.done
}

// Wait waits for the end of the request.
func (c *Call) Wait() *Response {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(Patience):
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("the request does not end:\n%s\n%s", c.response.LogText(), Log())
	}
	for _, owner := range c.owners {
		C.hosttest_release(host.runtime, C.uint64_t(owner))
	}
	c.free()
	return &c.response
}

// Withdraw takes the request out of the queue: OK, or Again: it has begun.
func (c *Call) Withdraw() Answer {
	answer := Answer(C.hosttest_withdraw(host.runtime, c.job))
	if answer == OK {
		c.free()
	}
	return answer
}

// GiveUp lets gone() be true from now on, as nginx does when the client has
// gone.
func (c *Call) GiveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

// Interrupt gives the request up and interrupts it, as nginx does when
// wsgi_timeout has passed (1) or for wsgi_cancel (2).
func (c *Call) Interrupt(reason uint32) {
	c.GiveUp()
	C.hosttest_interrupt(host.runtime, c.job, C.uint32_t(reason))
}

// Peek calls f with what has come so far.
func (c *Call) Peek(f func(*Response)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.response)
}

func (c *Call) free() {
	host.mu.Lock()
	delete(host.calls, uint64(c.job.id))
	host.mu.Unlock()
	if c.body != nil {
		_ = c.body.Close()
	}
	C.free(unsafe.Pointer(c.job.job.block))
	C.free(unsafe.Pointer(c.job))
	c.job = nil
}
