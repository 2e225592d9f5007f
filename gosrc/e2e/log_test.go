//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Whatever an application writes anywhere is a line of the error log, with the
// context of the request that it ran for.
func TestLog(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for endpoint, lines := range map[string][]string{
		"errors": {"errors first", "errors second", "errors third", "errors fourth",
			"errors printed"},
		"streams":           {"stdout printed", "stderr printed", "stderr in pieces"},
		"records":           {"WARNING kitchen a warning of logging", "ERROR kitchen an exception of logging", "LookupError: for logging"},
		"unicode":           {"print žluťoučký ☃ 🐍", "errors žluťoučký ☃ 🐍", "lone .* surrogate"},
		"traceback_printed": {"Traceback", `ValueError: shown by traceback`, `in traceback_printed`},
		"warning":           {"RuntimeWarning: a warning of warnings"},
		"unraisable":        {"ValueError: in __del__"},
	} {
		t.Run(endpoint, func(t *testing.T) {
			assert.Equal(t, 200, n.get(t, "/logs/"+endpoint).Status)
			for _, line := range lines {
				n.waitLog(`\[\w+\] .*` + line + inContext + `GET /logs/` + endpoint + ` HTTP`)
			}
		})
	}
}

// What threads of the application write has no request, and is logged as well.
func TestLogOfThreads(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 200, n.get(t, "/logs/thread_fails").Status)
	n.waitLog(`Exception in thread failing-thread`)
	n.waitLog(`ValueError: in a thread of the application`)
	n.waitLog(`File ".*logs\.py", line \d+, in run`)

	assert.Equal(t, 200, n.get(t, "/logs/thread_prints").Status)
	n.waitLog(`printed by a thread`)
}

// Every line of a traceback stands on its own, and causes are told.
func TestLogChainedTraceback(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 500, n.get(t, "/logs/chained").Status)
	for _, line := range []string{
		"KeyError: 'the cause'", "direct cause of the following exception",
		"ValueError: the effect", `logs\.py", line \d+, in chained`,
	} {
		n.waitLog(`\[error\] .*` + line + inContext + `GET /logs/chained HTTP`)
	}
}

// Nothing is lost of what is long or much, and lines keep their order.
func TestLogLong(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 200, n.get(t, "/logs/long_line").Status)
	n.waitLog(`begin-xxx`)
	n.waitLog(`xxx-end`)
	assert.GreaterOrEqual(t, strings.Count(n.log(), "x"), 10000)

	assert.Equal(t, 200, n.get(t, "/logs/many_lines").Status)
	n.waitLog(`many 499\b`)
	assert.Equal(t, 500, n.countLog(`many \d+`+inContext))
	log := n.log()
	assert.Less(t, strings.Index(log, "many 10,"), strings.Index(log, "many 11,"))
	assert.Less(t, strings.Index(log, "many 0,"), strings.Index(log, "many 499,"))
}

// A long line is divided between characters, never within one.
func TestLogLongUnicode(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 200, n.get(t, "/logs/long_unicode").Status)
	n.waitLogTimes("wide-", 4)
	assert.NotContains(t, n.log(), "\ufffd")
	assert.Equal(t, 12000, strings.Count(n.log(), "\u2603"))
}

// What is not ended with a newline is a line when the request has ended.
func TestLogUnended(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 200, n.get(t, "/logs/unended").Status)
	for _, line := range []string{"errors without an end", "stdout without an end"} {
		n.waitLog(`\[\w+\] .*` + line + `, client: 127\.0\.0\.1, .*request: "GET /logs/unended`)
	}
}

// Text of an application cannot be taken for a line of nginx's.
func TestLogCannotBeForged(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowLog("wsgi: .*forged"))
	assert.Equal(t, 200, n.get(t, "/logs/forged").Status)
	n.waitLog(`\[error\] .*wsgi: \S+ \S+ \[alert\] 1#1: forged` + inContext)
}

// The streams are text, UTF-8, no terminal.
func TestLogStreams(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, "utf-8 utf-8 false true", n.text(t, "/logs/streams_are_text"))
}

// What is printed at import and at the end is logged too.
func TestLogOutsideRequests(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen+`
    server { listen {{.Addr2}}; location / { wsgi_pass talks; } }`,
		file("apps/talks.py", `
import atexit, sys
print("said at import")
print("complained at import", file=sys.stderr)
atexit.register(print, "said at exit")

def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]
`))
	n.waitLog(`\[\w+\] .*said at import`)
	n.waitLog(`\[\w+\] .*complained at import`)
	n.quit()
	assert.Equal(t, 1, n.countLog(`said at exit`))
}

// The error_log of a location is that of its application, too.
func TestLogOfLocation(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /logs/streams { error_log {{.Dir}}/own.log; wsgi_pass kitchen; }
    }`)
	assert.Equal(t, 200, n.get(t, "/logs/streams").Status)
	assert.Equal(t, 200, n.get(t, "/logs/errors").Status)
	n.waitLog("errors printed")
	n.wait("the location's log", func() bool {
		return strings.Contains(readFile(n.Dir+"/own.log"), "stderr in pieces")
	})
	assert.Zero(t, n.countLog("stderr in pieces"))
	assert.NotContains(t, readFile(n.Dir+"/own.log"), "errors printed")
}

// Levels: what an application says is no error of the server.
func TestLogLevels(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	n.get(t, "/logs/streams")
	n.get(t, "/failing/before")
	assert.Contains(t, n.waitLog("ValueError: before the headers"), "[error]")
	assert.NotContains(t, n.waitLog("stdout printed"), "[emerg]")
}
