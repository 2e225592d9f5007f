// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// oracle does the same to wsgi.input and to an io.BytesIO with the same bytes,
// as the query string says, and reports the first difference.
const oracle = `
import io, random

def application(environ, start_response):
    start_response("200 OK", [])
    return [check(environ).encode()]

def check(environ):
    random_ = random.Random(int(environ["QUERY_STRING"]))
    body = bytes(environ["test.body"], "latin-1")
    one, two = environ["wsgi.input"], io.BytesIO(body)
    done = []
    for _ in range(40):
        n = random_.choice([None, -1, 0, 1, 2, 5, 100, 16384, 100000])
        name, args = random_.choice([
            ("read", (n,)), ("readline", (n,)), ("readline", ()), ("readlines", (n,)),
            ("next", ()), ("read", (random_.randrange(300),)), ("readinto", (n or 0,)),
        ])
        done.append((name, args))
        a, b = call(one, name, args), call(two, name, args)
        if a != b:
            return f"{done}: {a!r:.100} is not {b!r:.100}"
    rest, want = one.read(), two.read()
    return "same" if rest == want and one.read() == b"" else f"the rest after {done}"

def call(file, name, args):
    if name == "next":
        return next(file, None)
    if name == "readinto":
        buffer = bytearray(max(args[0], 0))
        n = file.readinto(buffer)
        return bytes(buffer[:n])
    return getattr(file, name)(*args)
`

func TestInputIsLikeBytesIO(t *testing.T) {
	bodies := map[string]string{
		"nothing":       "",
		"a line":        "one line\n",
		"no newline":    "one line",
		"lines":         "one\n\ntwo\r\nthree\n" + strings.Repeat("x", 100) + "\nlast",
		"large lines":   strings.Repeat(strings.Repeat("y", 20000)+"\n", 5),
		"one long line": strings.Repeat("z", 70000),
		"windows":       strings.Repeat("0123456789abcde\n", 2048),
	}
	places := map[string]hosttest.Request{
		"memory":         {In: hosttest.Memory},
		"file":           {In: hosttest.File},
		"stream":         {In: hosttest.Stream},
		"unknown length": {In: hosttest.Stream, Unknown: true},
	}
	for where, req := range places {
		for what, body := range bodies {
			t.Run(where+"/"+what, func(t *testing.T) {
				for seed := range 25 {
					req.App, req.Body, req.Method = oracle, body, "POST"
					req.Query = fmt.Sprint(seed)
					req.Vars = []hosttest.Field{{Name: "test.body", Value: body}}
					r := hosttest.Run(t, req)
					require.Equal(t, "same", r.Body(), "seed %d: %s", seed, r.LogText())
				}
			})
		}
	}
}

func input(t *testing.T, body string, req hosttest.Request) *hosttest.Response {
	t.Helper()
	req.App = function("start_response('200 OK', [])\ninput = environ['wsgi.input']\n" + body)
	return hosttest.Run(t, req)
}

func TestStreamIsReadAsItComes(t *testing.T) {
	pieces := []string{"one\ntw", "o\n", "three"}
	next := func(int) []byte {
		if len(pieces) == 0 {
			return nil
		}
		piece := pieces[0]
		pieces = pieces[1:]
		return []byte(piece)
	}
	r := input(t, `
for line in input:
    yield b"<" + line + b">"`,
		hosttest.Request{In: hosttest.Stream, Unknown: true, OnRead: next})
	served(t, r, "<one\n><two\n><three>")
}

func TestStreamEndsWhenTheClientGoes(t *testing.T) {
	var call *hosttest.Call
	ready := make(chan struct{})
	call, answer := hosttest.Submit(t, hosttest.Request{
		In: hosttest.Stream, Unknown: true,
		App: function("start_response('200 OK', [])\nreturn [environ['wsgi.input'].read()]"),
		OnRead: func(int) []byte {
			<-ready
			call.GiveUp()
			return []byte("some")
		},
	})
	require.Equal(t, hosttest.OK, answer)
	close(ready)
	r := call.Wait()
	assert.Equal(t, hosttest.Error, r.Result)
	assert.Empty(t, r.Chunks)
}

func TestTextIOWrapperReadsTheInput(t *testing.T) {
	r := input(t, `
import io
text = io.TextIOWrapper(io.BufferedReader(input), encoding="utf-8").read()
return [text.upper().encode()]`,
		hosttest.Request{Body: "größe", In: hosttest.File})
	served(t, r, "GRÖSSE")
}

func TestTwoThreadsCannotReadAtOnce(t *testing.T) {
	said := hosttest.Log()
	r := hosttest.Run(t, hosttest.Request{
		In: hosttest.Stream, Unknown: true,
		App: `
import sys, threading

def other(input):
    while True:
        try:
            input.read(1)
        except RuntimeError as exc:
            print(exc, file=sys.stderr)
            if "by another thread" in str(exc):
                return

def application(environ, start_response):
    start_response("200 OK", [])
    thread = threading.Thread(target=other, args=(environ["wsgi.input"],))
    thread.start()
    yield environ["wsgi.input"].read()
    thread.join()
`,
		OnRead: func(int) []byte {
			if strings.Contains(said, "by another thread") {
				return nil
			}
			for !strings.Contains(said, "by another thread") {
				said = hosttest.Log()
			}
			return []byte("whole")
		},
	})
	served(t, r, "whole")
}
