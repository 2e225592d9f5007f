// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/python_adapter/internal/hosttest"
)

// What applications do that embedding breaks elsewhere.
func TestPythonIsWhole(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"names of threads",
			`import threading
result = threading.current_thread().name.startswith("default-"), threading.main_thread().name`,
			"(True, 'MainThread')"},
		{"argv", "result = sys.argv, sys.orig_argv if sys.version_info >= (3, 10) else ['ngx_wsgi']",
			"(['ngx_wsgi'], ['ngx_wsgi'])"},
		{"UTF-8 mode",
			"result = sys.flags.utf8_mode, sys.getfilesystemencoding(), open('/dev/null').encoding.lower()",
			"(1, 'utf-8', 'utf-8')"},
		{"no signal is blocked",
			"import signal\nresult = signal.pthread_sigmask(signal.SIG_BLOCK, [])", "set()"},
		{"subprocess", `import subprocess
result = subprocess.run(["/bin/sh", "-c", "echo out; exit 3"], stdout=subprocess.PIPE).returncode`, "3"},
		{"a child is terminated", `import subprocess
child = subprocess.Popen(["/bin/sleep", "60"])
child.terminate()
result = child.wait()`, "-15"},
		{"a child of sys.executable", `import subprocess
result = subprocess.check_output([sys.executable, "-c", "import sys; print(sys.version_info[:2])"], text=True).strip() == str(sys.version_info[:2])`,
			"True"},
		{"multiprocessing by fork", `import multiprocessing, os
process = multiprocessing.get_context("fork").Process(target=os.getpid)
process.start()
process.join(30)
result = process.exitcode`, "0"},
		{"a forked child is terminated", `import multiprocessing
process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
process.start()
process.terminate()
process.join(30)
result = process.exitcode`, "-15"},
		{"multiprocessing by spawn", `import multiprocessing, operator
with multiprocessing.get_context("spawn").Pool(1) as pool:
    result = pool.apply(operator.mul, (6, 7))`, "42"},
		{"concurrent.futures", `from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    result = list(pool.map(abs, [-1, -2]))`, "[1, 2]"},
		{"asyncio", `import asyncio
async def work():
    await asyncio.sleep(0)
    return 42
result = asyncio.run(work())`, "42"},
		{"C extensions", `import ctypes, decimal, json, sqlite3, ssl, zlib
result = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()`, "(42,)"},
		{"recursion", `def deep(n):
    return n and 1 + deep(n - 1)
try:
    result = deep(10 ** 6)
except RecursionError:
    result = deep(500)`, "500"},
		{"os.fork by hand", `import os
pid = os.fork()
if pid == 0:
    os._exit(7)
result = os.waitpid(pid, 0)[1] >> 8`, "7"},
		{"a child that comes back into the server", `import os
pid = os.fork()
if pid == 0:
    sys.exit(5)
result = os.waitpid(pid, 0)[1] >> 8`, "5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, "start_response('200 OK', [])\n"+c.body+"\nreturn [repr(result).encode()]")
			assert.Equal(t, c.want, r.Body(), r.LogText())
		})
	}
}

// forking is the head of an application whose objects fork when they go, or are
// closed; a child that stayed would be killed by its alarm.
const forking = `
import os, signal, tempfile

def fork(code=0):
    pid = os.fork()
    if pid:
        return print("ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    signal.alarm(5)
    if code:
        raise SystemExit(code)

class Body(list):
    def __del__(self): fork()

class File:
    def __init__(self, file):
        self.file, self.read = file, file.read
    def close(self): fork()

class Closing(list):
    def __init__(self, code): self.code = code
    def close(self): fork(self.code)

class Value(str):
    def __del__(self): fork()

def application(environ, start_response):
`

// A child ends where it comes back into the server, wherever that has called
// the application.
func TestForkedChildrenEnd(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"close", "start_response('200 OK', [])\n    return Closing(0)", "ended with 0"},
		{"close with a status", "start_response('200 OK', [])\n    return Closing(3)", "ended with 3"},
		{"the end of an iterable", "start_response('200 OK', [])\n    return Body()", "ended with 0"},
		{"the end of a header", "start_response('200 OK', [('X', Value('y'))])\n    return []", "ended with 0"},
		{"close of a file", "file = tempfile.TemporaryFile()\n    file.write(b'x')\n    file.seek(0)\n" +
			"    start_response('200 OK', [])\n    return environ['wsgi.file_wrapper'](File(file))", "ended with 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := hosttest.Run(t, hosttest.Request{App: forking + "    " + c.body})
			assert.Equal(t, hosttest.OK, r.Result, r.LogText())
			said := r.LogText()
			require.Eventually(t, func() bool {
				said += hosttest.Log() // of a file, which is closed later
				return strings.Contains(said, "ended with")
			}, hosttest.Patience, time.Millisecond)
			assert.Contains(t, said, c.want)
		})
	}
}

func TestSignalIsIgnoredWithAWarning(t *testing.T) {
	r := serve(t, `
import ngx_wsgi_guest, signal
ngx_wsgi_guest._warned.clear()
before = signal.getsignal(signal.SIGTERM)
assert signal.signal(signal.SIGTERM, print) is before
assert signal.getsignal(signal.SIGTERM) is before
start_response("200 OK", [])
return []`)
	assert.Equal(t, hosttest.OK, r.Result)
	assert.Regexp(t, `^signal\.signal\(SIGTERM\) is ignored, the signals of a worker are nginx's`+
		` \(called at /.*\.py:\d+\)$`, r.LogText())
}

func TestThreadLocalsLiveAsLongAsTheThread(t *testing.T) {
	app := `
import threading
local = threading.local()

def application(environ, start_response):
    local.n = getattr(local, "n", 0) + 1
    start_response("200 OK", [])
    return [str(local.n).encode()]
`
	for _, want := range []string{"1", "2", "3"} {
		r := hosttest.Run(t, hosttest.Request{App: app, Pool: hosttest.One})
		assert.Equal(t, want, r.Body())
	}
}
