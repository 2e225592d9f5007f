// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// logs asserts the entries of a request, in their order.
func logs(t *testing.T, body string, want ...string) {
	t.Helper()
	r := serve(t, body+"\nstart_response('200 OK', [])\nreturn []")
	var got []string
	for _, entry := range r.Log {
		got = append(got, entry.Text)
	}
	assert.Equal(t, want, got)
}

func TestLines(t *testing.T) {
	logs(t, `print("one", 2, "three")`, "one 2 three")
	logs(t, `print("one\ntwo\n\nthree")`, "one", "two", "three")
	logs(t, `environ["wsgi.errors"].write("no "); environ["wsgi.errors"].write("newline")`, "no newline")
	logs(t, `environ["wsgi.errors"].writelines(["a\n", "b\n"])`, "a", "b")
	logs(t, `sys.stderr.write("x"); sys.stderr.flush(); sys.stderr.write("y")`, "x", "y")
	logs(t, `print("größe \udcff €")`, "größe \\udcff €")
	logs(t, `print("out", end=""); print("err", file=sys.stderr)`, "err", "out")
}

func TestLongLineIsSplit(t *testing.T) {
	r := serve(t, "print('x' * 10000)\nstart_response('200 OK', [])\nreturn []")
	assert.Greater(t, len(r.Log), 1)
	assert.Equal(t, strings.Repeat("x", 10000), strings.ReplaceAll(r.LogText(), "\n", ""))
}

func TestLoggingAndWarnings(t *testing.T) {
	r := serve(t, `
import logging, traceback, warnings
logging.getLogger("app").warning("from logging")
logging.StreamHandler().emit(logging.makeLogRecord({"msg": "from a handler"}))
warnings.warn("from warnings")
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
start_response('200 OK', [])
return []`)
	for _, words := range []string{
		"from logging", "from a handler", "UserWarning: from warnings",
		"ZeroDivisionError: division by zero",
	} {
		assert.Contains(t, r.LogText(), words)
	}
}

func TestStreamsAreLikeFiles(t *testing.T) {
	for expression, want := range map[string]string{
		"sys.stderr.fileno(), sys.stdout.isatty()":               "(2, False)",
		"sys.stderr.encoding, sys.stderr.errors":                 "('utf-8', 'backslashreplace')",
		"sys.stdout.closed, sys.stdout.writable()":               "(False, True)",
		"sys.__stderr__ is sys.stderr, sys.stdout.write('x\\n')": "(True, 2)",
	} {
		r := serve(t, "start_response('200 OK', [])\nreturn [repr(("+expression+")).encode()]")
		assert.Equal(t, want, r.Body())
	}
	refused(t, serve(t, `print(1, file=environ["wsgi.errors"]); environ["wsgi.errors"].write(b"x")`),
		"write() argument must be str, not bytes")
}

// A thread of the application's has no request.
func TestThreadsOfTheApplication(t *testing.T) {
	hosttest.Log()
	r := serve(t, `
import threading
def work():
    print("in a thread")
    raise ValueError("of a thread")
thread = threading.Thread(target=work, name="mine")
thread.start()
thread.join()
start_response('200 OK', [])
return []`)
	assert.Empty(t, r.LogText())
	said := hosttest.Log()
	assert.Contains(t, said, "in a thread\n")
	assert.Contains(t, said, "Exception in thread mine:")
	assert.Contains(t, said, "ValueError: of a thread")
}

// What a file's close() prints, in no request, does not wait for the next one.
func TestUnendedLineOfClose(t *testing.T) {
	served(t, serve(t, `
import tempfile
class File:
    def __init__(self, file):
        self.file, self.read = file, file.read
    def close(self):
        print("closed", end="")
file = tempfile.TemporaryFile()
file.write(b"x")
file.seek(0)
start_response('200 OK', [])
return environ["wsgi.file_wrapper"](File(file))`), "x")
	said := ""
	require.Eventually(t, func() bool {
		said += hosttest.Log()
		return strings.Contains(said, "closed")
	}, hosttest.Patience, time.Millisecond)
}

func TestFailureToImport(t *testing.T) {
	r := hosttest.Run(t, hosttest.Request{App: "x = (\n"})
	require.Equal(t, hosttest.Error, r.Result)
	assert.Regexp(t, `^application "/.*\.py" cannot be loaded: /.*\.py, line 1: SyntaxError: `, r.LogText())

	r = hosttest.Run(t, hosttest.Request{App: "import nosuchmodule\n"})
	assert.Contains(t, r.LogText(), "raised ModuleNotFoundError: No module named 'nosuchmodule' in import\nTraceback")
	assert.NotContains(t, r.LogText(), "ngx_wsgi_boot")

	for i := range 5 { // a second is over sooner than a busy machine comes back
		app := fmt.Sprintf("raise ValueError('as always')  # %d\n", i)
		r = hosttest.Run(t, hosttest.Request{App: app})
		assert.Contains(t, r.LogText(), "Traceback")
		r = hosttest.Run(t, hosttest.Request{App: app})
		if !strings.Contains(r.LogText(), "Traceback") {
			break
		}
	}
	assert.Regexp(t, `cannot be loaded: that failed 0\.\d s ago: ValueError: as always$`, r.LogText())
}

func TestTracebackIsTheApplicationsOwn(t *testing.T) {
	r := serve(t, `
def inner():
    raise ValueError("deep")
inner()`)
	lines := strings.Split(r.LogText(), "\n")
	assert.Regexp(t, `^application ".*" raised ValueError: deep in call$`, lines[0])
	assert.Equal(t, "Traceback (most recent call last):", lines[1])
	assert.Contains(t, lines[2], "in application")
	assert.NotContains(t, r.LogText(), "boot")
}
