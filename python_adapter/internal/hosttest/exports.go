// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package hosttest

/*
#include "nwsgi.h"
*/
import "C"

import (
	"fmt"
	"io"
	"os"
	"unsafe"
)

// The host table's functions, called by host.c on Python's threads.

func find(id C.uint64_t) *Call {
	host.mu.Lock()
	defer host.mu.Unlock()
	return host.calls[uint64(id)]
}

//export goHostLog
func goHostLog(id C.uint64_t, level C.uint32_t, text *C.char, n C.size_t) {
	entry := Entry{uint32(level), C.GoStringN(text, C.int(n))}
	if c := find(id); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.response.Log = append(c.response.Log, entry)
		return
	}
	host.mu.Lock()
	defer host.mu.Unlock()
	host.log = append(host.log, entry)
}

//export goHostDrain
func goHostDrain(reason *C.char, n C.size_t, flags C.uint32_t) {
	host.mu.Lock()
	defer host.mu.Unlock()
	host.drains = append(host.drains,
		Drain{C.GoStringN(reason, C.int(n)), flags&C.NWSGI_DRAIN_SOON != 0})
}

//export goHostBegin
func goHostBegin(id C.uint64_t) C.int32_t {
	c := find(id)
	if c.req.OnBegin != nil {
		return C.int32_t(c.req.OnBegin())
	}
	return C.int32_t(c.answer())
}

//export goHostSend
func goHostSend(id C.uint64_t, m *C.nwsgi_message_t) C.int32_t {
	c := find(id)
	c.note(m)
	if answer := c.answer(); answer != OK || c.req.OnSend == nil {
		return C.int32_t(answer)
	}
	return C.int32_t(c.req.OnSend(&c.response))
}

func (c *Call) note(m *C.nwsgi_message_t) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.response
	r.Late = r.Late || r.Last
	if m.flags&C.NWSGI_SEND_HEAD != 0 {
		r.Heads++
		r.Status = uint32(m.status)
		r.Reason = C.GoStringN(m.reason, C.int(m.reason_len))
		r.Header = fields(m.fields, m.nfields)
		r.Length = int64(m.content_length)
		r.HasUser = m.user != nil
		r.User = C.GoStringN(m.user, C.int(m.user_len))
	}
	if m.flags&C.NWSGI_SEND_FILE != 0 {
		r.Files++
		r.Chunks = append(r.Chunks, readFile(m))
	} else if m.body_len > 0 {
		r.Chunks = append(r.Chunks, string(C.GoBytes(m.body, C.int(m.body_len))))
	}
	r.Last = r.Last || m.flags&C.NWSGI_SEND_LAST != 0
	if m.owner != 0 {
		c.owners = append(c.owners, uint64(m.owner))
	}
}

func readFile(m *C.nwsgi_message_t) string {
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", m.fd))
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, int64(m.offset), int64(m.body_len)))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func fields(from *C.nwsgi_field_t, n C.uint32_t) []Field {
	var to []Field
	for _, f := range unsafe.Slice(from, n) {
		to = append(to, Field{
			C.GoStringN(f.name, C.int(f.name_len)),
			C.GoStringN(f.value, C.int(f.value_len)),
		})
	}
	return to
}

//export goHostWait
func goHostWait(id C.uint64_t) C.int32_t {
	c := find(id)
	if c.req.OnWait != nil {
		return C.int32_t(c.req.OnWait())
	}
	return C.int32_t(c.answer())
}

//export goHostRead
func goHostRead(id C.uint64_t, buf unsafe.Pointer, n C.uint64_t) C.int64_t {
	c := find(id)
	if c.answer() == Gone {
		return C.int64_t(Gone)
	}
	to := unsafe.Slice((*byte)(buf), n)
	if c.req.OnRead != nil {
		return C.int64_t(copy(to, c.req.OnRead(len(to))))
	}
	m := copy(to, c.unread)
	c.unread = c.unread[m:]
	return C.int64_t(m)
}

//export goHostHints
func goHostHints(id C.uint64_t, from *C.nwsgi_field_t, n C.uint32_t) C.int32_t {
	c := find(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.response.Hints = append(c.response.Hints, fields(from, n))
	return C.NWSGI_OK
}

//export goHostGone
func goHostGone(id C.uint64_t) C.int32_t {
	if find(id).answer() == Gone {
		return 1
	}
	return 0
}

//export goHostEnd
func goHostEnd(id C.uint64_t, result C.int32_t) {
	c := find(id)
	c.mu.Lock()
	c.response.Result = Answer(result)
	c.mu.Unlock()
	close(c.done)
}

func (c *Call) answer() Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return Gone
	}
	return OK
}

// What gosrc's main package exports in the library.

//export nwsgi_go_interrupt
func nwsgi_go_interrupt(serial C.uint64_t, reason C.uint32_t) {
	if host.life != nil {
		host.life.Interrupt(uint64(serial), uint32(reason))
	}
}

//export nwsgi_go_import
func nwsgi_go_import(app C.uint32_t, ident C.uint64_t) C.int32_t {
	if host.life != nil {
		host.life.Importing(uint32(app), uint64(ident))
	}
	return C.NWSGI_OK
}
