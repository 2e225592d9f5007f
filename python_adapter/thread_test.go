// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	adapter "github.com/ngx-wsgi/ngx_wsgi/python_adapter"
	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// The reasons of interrupt().
const (
	timeout = 1
	cancel  = 2
)

// submit submits a request and waits until the application has said "ready".
func submit(t *testing.T, req hosttest.Request) *hosttest.Call {
	t.Helper()
	call, answer := hosttest.Submit(t, req)
	require.Equal(t, hosttest.OK, answer)
	require.Eventually(t, func() (ready bool) {
		call.Peek(func(r *hosttest.Response) {
			ready = strings.Contains(r.LogText(), "ready")
		})
		return ready
	}, hosttest.Patience, time.Millisecond)
	return call
}

func TestInterruption(t *testing.T) {
	cases := []struct{ name, body string }{
		{"busy loop", "while True: pass"},
		{"short sleeps", "while True: time.sleep(0.01)"},
		{"loop that survives exceptions", "while True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass"},
		{"file with a name that is not UTF-8", `exec(compile("while True: pass", "caf\udce9.py", "exec"))`},
		{"iteration", "start_response('200 OK', [])\nwhile True: pass\nyield b''"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			call := submit(t, hosttest.Request{App: function("print('ready')\n" + c.body)})
			call.Interrupt(timeout)
			r := call.Wait()
			assert.Equal(t, hosttest.Error, r.Result)
			assert.Contains(t, r.LogText(), `stack of thread "default-`)
			assert.Contains(t, r.LogText(), "in application")
		})
	}
}

func TestCancellation(t *testing.T) {
	call := submit(t, hosttest.Request{App: function(`
from ngx_wsgi import RequestCancelled
print("ready")
try:
    while not environ["nginx.disconnected"]() or True: time.sleep(0.01)
except RequestCancelled:
    print("cancelled")
    raise`)})
	call.Interrupt(cancel)
	r := call.Wait()
	assert.Equal(t, "ready\ncancelled", r.LogText(), "no stack, no traceback")
}

// interrupt does at once what the watch would, to the one request that runs,
// and tells whether an exception was raised.
func interrupt(reason uint32) bool {
	raised := make(chan bool)
	go func() {
		runtime.LockOSThread()
		for slot := range uint32(adapter.MaxSlots) {
			if serial, _, _, _ := python.Job(slot); serial != 0 {
				raised <- python.Interrupt(slot, serial, reason)
				return
			}
		}
		raised <- false
	}()
	return <-raised
}

// A client that goes does not keep the application from cleaning up, neither
// when the exception waits for the thread, nor when it comes during close().
func TestInterruptionSparesClose(t *testing.T) {
	for reason, found := range map[uint32]bool{cancel: false, timeout: true} {
		spareClose(t, reason, found)
	}
}

// spareClose interrupts a thread that is about to close, and one that closes:
// whether the latter is to be looked after is "found".
func spareClose(t *testing.T, reason uint32, found bool) {
	t.Helper()
	req := hosttest.Request{
		App: `
import threading
gate = threading.Event()

class Body:
    def __iter__(self):
        try:
            while True: yield b"x"
        finally:
            print("iterator")
    def close(self):
        print("ready")
        while not gate.wait(0.001): pass
        print("closed")

def application(environ, start_response):
    start_response("200 OK", [])
    if environ["QUERY_STRING"] == "open":
        gate.set()
        return []
    return Body()
` + fmt.Sprintf("\n# with a gate of its own, for reason %d\n", reason),
		OnSend: func(*hosttest.Response) hosttest.Answer { return hosttest.Again },
		OnWait: func() hosttest.Answer {
			assert.True(t, interrupt(reason))
			return hosttest.Gone
		},
	}
	call := submit(t, req)
	assert.Equal(t, found, interrupt(reason))
	hosttest.Run(t, hosttest.Request{App: req.App, Query: "open"})
	text := call.Wait().LogText()
	assert.Regexp(t, `(?s)^(.*\n)?iterator\n(.*\n)?ready\n(.*\n)?closed$`, text)
	assert.NotContains(t, text, "RequestTimeout", "nobody has met it")
}

func TestDisconnectedIsSeen(t *testing.T) {
	call := submit(t, hosttest.Request{App: function(`
print("ready")
while not environ["nginx.disconnected"](): time.sleep(0.01)
start_response("200 OK", [])
return []`)})
	call.GiveUp()
	assert.Equal(t, hosttest.OK, call.Wait().Result)
}

// The application ends at the moment it is interrupted: the exception must not
// hit the thread's next request.
func TestInterruptionDoesNotHitTheNextRequest(t *testing.T) {
	quick := function("start_response('200 OK', [])\nreturn [b'fine']")
	for range 200 {
		call, answer := hosttest.Submit(t, hosttest.Request{Pool: hosttest.One,
			App: function("print('ready')\nfor i in range(2000): pass\nstart_response('200 OK', [])\nreturn []")})
		require.Equal(t, hosttest.OK, answer)
		call.Interrupt(timeout)
		call.Wait()
		r := hosttest.Run(t, hosttest.Request{Pool: hosttest.One, App: quick})
		served(t, r, "fine")
	}
}

// A thread that waits for a lock does not see the exception: another takes its
// place, so that the pool of one thread serves the next request.
func TestThreadThatDoesNotComeBackIsReplaced(t *testing.T) {
	app := `
import threading
lock = threading.Lock()
lock.acquire()

def application(environ, start_response):
    if environ["QUERY_STRING"] == "stick":
        print("ready", threading.current_thread().name)
        lock.acquire()
    elif environ["QUERY_STRING"] == "release":
        lock.release()
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]
`
	req := hosttest.Request{App: app, Pool: hosttest.One}
	before := hosttest.Run(t, req).Body()
	req.Query = "stick"
	call := submit(t, req)
	call.Interrupt(timeout)
	hosttest.Log()
	req.Query = ""
	after := hosttest.Run(t, req).Body()
	assert.NotEqual(t, before, after)
	assert.Contains(t, hosttest.Log(), `thread "`+before+`" does not come back`)
	req.Query = "release"
	hosttest.Run(t, req)
	r := call.Wait()
	assert.Equal(t, hosttest.Error, r.Result)
	assert.Contains(t, r.LogText(), "lock.acquire()")
	require.Eventually(t, func() bool {
		return strings.Contains(hosttest.Log(), "has come back and left")
	}, hosttest.Patience, time.Millisecond)
	req.Query = ""
	assert.Equal(t, after, hosttest.Run(t, req).Body())
}

// looking has the sampler look until a request has begun.
const looking = `
import threading
import ngx_wsgi_boot as boot
begun, gate, noted = threading.Event(), threading.Event(), []
real = boot.current_frames, boot.place

def look():
    print("looks")
    begun.wait()
    return real[0]()

def application(environ, start_response):
    start_response("200 OK", [])
    what = environ["QUERY_STRING"]
    if what == "arm":
        boot.current_frames, boot.place = look, lambda *args: noted.append(args)
    elif what == "run":
        print("ready")
        begun.set()
        gate.wait()
    elif what == "end":
        boot.current_frames, boot.place = real
        gate.set()
        return [str(len(noted)).encode()]
    return []
`

// A request that begins while the sampler looks has not run for long.
func TestNoteLeavesTheYoungAlone(t *testing.T) {
	hosttest.Run(t, hosttest.Request{App: looking, Query: "arm"})
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		python.Note(time.Hour)
	}()
	said := ""
	require.Eventually(t, func() bool {
		said += hosttest.Log()
		return strings.Contains(said, "looks")
	}, hosttest.Patience, 5*time.Millisecond)
	call := submit(t, hosttest.Request{App: looking, Query: "run"})
	<-over
	r := hosttest.Run(t, hosttest.Request{App: looking, Query: "end"})
	assert.Equal(t, "0", r.Body())
	call.Wait()
}

// block is an application that holds its thread until the gate is opened.
const block = `
import threading
gate = threading.Event()

def application(environ, start_response):
    print("ready")
    if environ["QUERY_STRING"] == "open":
        gate.set()
    elif environ["QUERY_STRING"] == "close":
        gate.clear()
    else:
        gate.wait()
    start_response("200 OK", [])
    return []
`

func TestQueue(t *testing.T) {
	req := hosttest.Request{App: block, Pool: hosttest.One}
	running := submit(t, req)
	one, answer := hosttest.Submit(t, req)
	require.Equal(t, hosttest.OK, answer)
	two, answer := hosttest.Submit(t, req)
	require.Equal(t, hosttest.OK, answer)
	_, answer = hosttest.Submit(t, req)
	assert.Equal(t, hosttest.Busy, answer, "two may wait")

	assert.Equal(t, hosttest.Again, running.Withdraw(), "it has begun")
	assert.Equal(t, hosttest.OK, one.Withdraw())
	three, answer := hosttest.Submit(t, req)
	assert.Equal(t, hosttest.OK, answer, "there is room again")

	open := hosttest.Request{App: block, Query: "open"}
	hosttest.Run(t, open)
	for _, call := range []*hosttest.Call{running, two, three} {
		assert.Equal(t, hosttest.OK, call.Wait().Result)
	}
	open.Query = "close"
	hosttest.Run(t, open)
}

func TestRequestsRunAtTheSameTime(t *testing.T) {
	app := `
import threading
barrier = threading.Barrier(4, timeout=30)

def application(environ, start_response):
    barrier.wait()
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]
`
	var calls []*hosttest.Call
	for range 4 {
		call, answer := hosttest.Submit(t, hosttest.Request{App: app})
		require.Equal(t, hosttest.OK, answer)
		calls = append(calls, call)
	}
	names := map[string]bool{}
	for _, call := range calls {
		r := call.Wait()
		assert.Equal(t, hosttest.OK, r.Result, r.LogText())
		names[r.Body()] = true
	}
	assert.Len(t, names, 4)
}

func TestManyRequestsAtOnce(t *testing.T) {
	app := function("start_response('200 OK', [])\nreturn [environ['PATH_INFO'].encode()]")
	for range 20 {
		var calls []*hosttest.Call
		for i := range 200 {
			path := "/" + strings.Repeat("x", i)
			call, answer := hosttest.Submit(t, hosttest.Request{App: app, Path: path})
			require.Equal(t, hosttest.OK, answer)
			calls = append(calls, call)
		}
		for i, call := range calls {
			served(t, call.Wait(), "/"+strings.Repeat("x", i))
		}
	}
}

func TestOneImportForManyRequests(t *testing.T) {
	app := `
import threading, time
time.sleep(0.2)
where = threading.current_thread().name
count = 0

def application(environ, start_response):
    global count
    count += 1
    start_response("200 OK", [])
    return [str(count).encode()]
`
	var calls []*hosttest.Call
	for range 4 {
		call, _ := hosttest.Submit(t, hosttest.Request{App: app})
		calls = append(calls, call)
	}
	seen := map[string]bool{}
	for _, call := range calls {
		seen[call.Wait().Body()] = true
	}
	assert.Len(t, seen, 4, "one module has counted")
}

// A request that waits for another's import can be interrupted.
func TestInterruptionWhileWaitingForAnImport(t *testing.T) {
	app := `
import __main__, threading
__main__.gate = threading.Event()
__main__.gate.wait()
application = None
`
	importer, _ := hosttest.Submit(t, hosttest.Request{App: app})
	require.Eventually(t, func() bool {
		r := hosttest.Run(t, hosttest.Request{
			App: function("start_response('200 OK', [])\nimport __main__\nreturn [str(hasattr(__main__, 'gate')).encode()]")})
		return r.Body() == "True"
	}, hosttest.Patience, time.Millisecond)
	begun := make(chan struct{})
	waiter, _ := hosttest.Submit(t, hosttest.Request{App: app, OnBegin: func() hosttest.Answer {
		close(begun)
		return hosttest.OK
	}})
	<-begun
	require.Eventually(t, func() bool {
		waiter.Interrupt(timeout)
		select {
		case <-waiter.Done():
			return true
		default:
			return false
		}
	}, hosttest.Patience, 10*time.Millisecond)
	refused(t, waiter.Wait(), `" waits for the import of application "/`)
	hosttest.Run(t, hosttest.Request{
		App: function("start_response('200 OK', [])\nimport __main__\n__main__.gate.set()\ndel __main__.gate\nreturn []")})
	refused(t, importer.Wait(), "is None, which is not a WSGI application")
}
