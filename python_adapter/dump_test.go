// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

var python = new(adapter.Python) // its Dump needs nothing of a configuration

// Who holds the GIL is told without it, and where that is.
func TestDump(t *testing.T) {
	call := submit(t, hosttest.Request{App: `
import ctypes, threading

def hold():
    ctypes.PyDLL(None).usleep(5000000)

def application(environ, start_response):
    print("ready", hex(threading.get_ident()))
    hold()
    start_response("200 OK", [])
    return []
`})
	var holder uint64
	var text string
	top := regexp.MustCompile(`first\):\n  File ".*", line \d+ in hold\n`) // not what loads the library
	require.Eventually(t, func() bool {
		holder, text = python.Dump()
		return top.MatchString(text)
	}, hosttest.Patience, time.Millisecond)
	select {
	case <-call.Done():
		t.Fatal("it took until the GIL was there")
	default:
	}
	ident := regexp.MustCompile(`ready (0x[0-9a-f]+)`).FindStringSubmatch(call.Wait().LogText())[1]
	assert.Equal(t, ident, "0x"+strconv.FormatUint(holder, 16))
	assert.Regexp(t, `(?m)^Thread 0x0*`+ident[2:]+`\b.*\n  File ".*", line 5 in hold\n`+
		`  File ".*", line 9 in application$`, text)
}

// Threads call, return and switch while their frames are read: whatever that
// does to the one who reads, all goes on here, and no child is left.
func TestDumpOfMovingThreads(t *testing.T) {
	app := function(`
import os
def deep(n):
    return n and deep(n - 1) + len([deep(0) for i in range(3)])
print("ready")
while not environ["nginx.disconnected"](): deep(50)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    start_response("200 OK", [])
    return [b"no child"]`)
	var calls []*hosttest.Call
	for range 4 {
		calls = append(calls, submit(t, hosttest.Request{App: app}))
	}
	held := 0
	for range 100 {
		began := time.Now()
		holder, text := python.Dump()
		assert.Less(t, time.Since(began), hosttest.Patience/2)
		if holder != 0 && strings.Contains(text, "in deep\n") {
			held++
		}
	}
	assert.Greater(t, held, 20, "somebody holds it nearly always")
	for _, call := range calls {
		call.GiveUp()
		assert.Equal(t, "no child", call.Wait().Body())
	}
}

// With nobody at work no thread holds the GIL.
func TestDumpAtRest(t *testing.T) {
	require.Eventually(t, func() bool {
		holder, text := python.Dump()
		return holder == 0 && strings.Contains(text, "Thread 0x")
	}, hosttest.Patience, time.Millisecond)
}
