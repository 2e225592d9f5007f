// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package hosttest

/*
#include <stdlib.h>
#include "host.h"
*/
import "C"

import (
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Field is a header field, or a variable of environ.
type Field struct{ Name, Value string }

// Place is where a request's body is.
type Place int

// The places.
const (
	Memory Place = iota // in the block
	File                // in a file, as a large one that nginx has buffered
	Stream              // read from the client when the application reads
)

// Answer is what a hook answers to the adapter.
type Answer int32

// The answers.
const (
	OK    Answer = C.NWSGI_OK
	Error Answer = C.NWSGI_ERROR
	Again Answer = C.NWSGI_AGAIN
	Busy  Answer = C.NWSGI_BUSY
	Gone  Answer = C.NWSGI_GONE
)

// Request is what the fake nginx asks for.  What is not set is a GET of "/".
type Request struct {
	App    string // Python source with a function "application"
	Pool   uint32
	Method string
	Path   string
	Query  string
	Header []Field // "Content-Type": becomes CONTENT_TYPE
	Vars   []Field // variables of environ, applied last

	Body    string
	In      Place
	Unknown bool // the length of a Stream is
	Access  bool // as for wsgi_access

	// Hooks, called on the thread that runs the application; each may be nil.
	OnBegin func() Answer          // before the application is called
	OnSend  func(*Response) Answer // after the message was noted
	OnWait  func() Answer          // after a send that was answered Again
	OnRead  func(len int) []byte   // Stream: nil ends it; default: Body
}

func (r *Request) defaults() {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Path == "" {
		r.Path = "/"
	}
}

// vars lists the variables of environ as nginx's module does.
func (r *Request) vars() []Field {
	uri := r.Path
	if r.Query != "" {
		uri += "?" + r.Query
	}
	vars := []Field{
		{"REQUEST_METHOD", r.Method},
		{"SCRIPT_NAME", ""},
		{"PATH_INFO", r.Path},
		{"QUERY_STRING", r.Query},
		{"REQUEST_URI", uri},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"SERVER_NAME", "localhost"},
		{"SERVER_PORT", "80"},
		{"REMOTE_ADDR", "192.0.2.1"},
		{"wsgi.url_scheme", "http"},
	}
	if r.Body != "" && !r.Unknown {
		vars = append(vars, Field{"CONTENT_LENGTH", fmt.Sprint(len(r.Body))})
	}
	for _, field := range r.Header {
		name := strings.ToUpper(strings.ReplaceAll(field.Name, "-", "_"))
		if name != "CONTENT_TYPE" && name != "CONTENT_LENGTH" {
			name = "HTTP_" + name
		}
		vars = append(vars, Field{name, field.Value})
	}
	return append(vars, r.Vars...)
}

// varsOffset is where vars[] begins, which Go does not see.
const varsOffset = int(unsafe.Offsetof(C.nwsgi_block_t{}.nvars) +
	unsafe.Sizeof(C.nwsgi_block_t{}.nvars))

// block fills a block in C's memory, which the call frees at its end.
func (r *Request) block(t testing.TB, serial uint64) (*C.nwsgi_block_t, *os.File) {
	vars := r.vars()
	texts := len(r.Method) + len(r.Path) + len("192.0.2.1")
	for _, v := range vars {
		texts += len(v.Name) + len(v.Value)
	}
	size := varsOffset + len(vars)*int(unsafe.Sizeof(C.nwsgi_var_t{}))
	memory := C.calloc(1, C.size_t(size+texts+len(r.Body)))
	b := (*C.nwsgi_block_t)(memory)
	writer := &writer{unsafe.Slice((*byte)(memory), size+texts+len(r.Body)), size}
	entries := unsafe.Slice((*C.nwsgi_var_t)(unsafe.Add(memory, varsOffset)), len(vars))
	for i, v := range vars {
		entries[i] = C.nwsgi_var_t{
			name: writer.put(v.Name), value: writer.put(v.Value), hash: hash(v.Name),
		}
	}
	b.serial = C.uint64_t(serial)
	b.queued_usec = C.uint64_t(time.Now().UnixMicro())
	b.app = C.uint32_t(app(t, r.App))
	b.client = writer.put("192.0.2.1")
	b.method = writer.put(r.Method)
	b.uri = writer.put(r.Path)
	b.nvars = C.uint32_t(len(vars))
	b.body_fd = -1
	if r.Method == "HEAD" {
		b.flags |= C.NWSGI_BLOCK_HEAD
	}
	if r.Access {
		b.flags |= C.NWSGI_BLOCK_ACCESS
	}
	file := r.body(t, b, writer)
	b.size = C.uint32_t(writer.end)
	return b, file
}

func (r *Request) body(t testing.TB, b *C.nwsgi_block_t, w *writer) *os.File {
	b.body_len = C.uint64_t(len(r.Body))
	switch {
	case r.In == Stream:
		b.flags |= C.NWSGI_BLOCK_BODY_STREAM
		if r.Unknown {
			b.body_len = C.NWSGI_UNKNOWN
		}
	case r.Body == "":
	case r.In == Memory:
		b.flags |= C.NWSGI_BLOCK_BODY_MEMORY
		b.body = w.put(r.Body)
	case r.In == File:
		file, err := os.CreateTemp(host.dir, "body")
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(file.Name())
		if _, err := file.WriteString(r.Body); err != nil {
			t.Fatal(err)
		}
		b.flags |= C.NWSGI_BLOCK_BODY_FILE
		b.body_fd = C.int32_t(file.Fd())
		return file
	}
	return nil
}

// writer puts texts one after another into a block.
type writer struct {
	memory []byte
	end    int
}

func (w *writer) put(s string) C.nwsgi_str_t {
	at := w.end
	w.end += copy(w.memory[at:], s)
	return C.nwsgi_str_t{off: C.uint32_t(at), len: C.uint32_t(len(s))}
}

var seed = maphash.MakeSeed()

// hash depends on the name and on nothing that a client knows.
func hash(name string) C.uint32_t { return C.uint32_t(maphash.String(seed, name)) }
