//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a master, root as a rule, reads of processes that run applications.

// spoiling is imported by the check, where it writes to the pipe; a worker that
// imports it is told to leave that be.
const spoiling = deployed + `
import ctypes, fcntl, os
libc = ctypes.PyDLL(None)

def pipes(mode):
    for name in os.listdir("/proc/self/fd"):
        try:
            fd = int(name)
            if (fd > 2 and os.readlink("/proc/self/fd/" + name).startswith("pipe:")
                    and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == mode):
                yield fd
        except OSError:
            pass

def write(data):
    for fd in pipes(os.O_WRONLY):
        while data:
            data = data[os.write(fd, data):]

def attack():
%s

try:
    os.close(os.open(os.environ["MARKS"] + "/attacked", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    pass
else:
    attack()
`

// What an import writes to the pipe of its check; what the log says then, and
// whether the configuration is refused.
var hostileImports = map[string]struct {
	code    string
	says    []string
	refused bool
}{
	"levels": {`
    for b in range(256):
        write(b"%cbyte %d\n" % (b, b))`,
		[]string{`\[emerg\] .*: wsgi: byte 49$`, `\[debug\] .*: wsgi: byte 56$`,
			`\[error\] .*: wsgi: \\x00byte 0$`, `\[error\] .*: wsgi: \\x01byte 1$`,
			`\[error\] .*: wsgi: 0byte 48$`, `\[error\] .*: wsgi: 9byte 57$`,
			`\[error\] .*: wsgi: \\xFFbyte 255$`}, false},
	"escapes": {`
    write(b"6\x1b[31m \r \t \x7f \x00 \xc2\x85 \xc2\x9b \xe2\x80\xa8 \x9b \xff caf\xc3\xa9\r\n")`,
		[]string{`\[notice\] .*: wsgi: \\x1B\[31m \\x0D \\x09 \\x7F \\x00 \\xC2\\x85 \\xC2\\x9B` +
			` \\xE2\\x80\\xA8 \\x9B \\xFF café$`}, false},
	"passes before and after": {`
    write(b"\1\n\2\n\1\n")`, []string{`not all applications can be imported`}, true},
	"passes and crashes": {`
    write(b"\1\n")
    os.abort()`, []string{`applications crashed with signal 6`}, true},
	"passes and exits": {`
    write(b"\1\n")
    os._exit(3)`, []string{`ended its process with code 3`}, true},
	"no whole verdict": {`
    write(b"\1\1\n\1 \n\n4\1\n" + b"4" * 2048 + b"\1\n\1")
    os._exit(0)`, []string{`ended its process with code 0`}, true},
	"floods": {`
    for i in range(500):
        write(b"4" + b"A" * 9999)
        write(b"\n" + b"4x\n" * 3000)`, []string{`applications logs too much`}, false},
	"floods without end": {`
    while True:
        write(b"4" + b"A" * 999 + b"\n")`,
		[]string{`applications logs too much`, `not all applications can be imported`}, true},
	"leaves some that flood": {`
    for kept in [os.dup(fd) for fd in pipes(os.O_WRONLY)]:
        fcntl.fcntl(kept, 1031, 1 << 20)  # F_SETPIPE_SZ
        for i in range(4):
            if libc.fork() == 0:
                try:
                    while True:  # whole pages of whole lines
                        os.write(kept, b"4xx\n" * (1 << 18))
                finally:
                    os._exit(0)`, []string{`applications logs too much`}, false},
	"reads": {`
    write(b"6pipes to read: %d\n" % len(list(pipes(os.O_RDONLY))))`,
		[]string{`wsgi: pipes to read: 0$`}, false},
}

// Whatever comes through the pipe of a check, the master lives, its log can be
// read, and the next deploy is one as any other.
func TestDistrustCheck(t *testing.T) {
	t.Parallel()
	for name, c := range hostileImports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_env MARKS {{.Var}};"+deployServer, debugLog(), allowRespawn(),
				file("app/site_app.py", deployed),
				allowLog(`wsgi`, `Fatal Python error: Aborted`, `exited on signal`))
			size := len(n.log())
			deploy(t, n.Dir, fmt.Sprintf(spoiling, c.code))

			old := n.worker()
			began := time.Now()
			n.signal(syscall.SIGHUP)
			if c.refused {
				n.waitLog(refused)
				assert.Equal(t, old, n.worker())
			} else {
				n.waitLogTimes(pythonReady, 2)
				n.wait("the old worker's end", func() bool { return !alive(old) })
			}
			assert.Less(t, time.Since(began), 5*time.Second*time.Duration(slack()),
				"the limit is 10.5 s")
			for _, says := range c.says {
				n.waitLog(says)
			}
			assert.Equal(t, "works", n.text(t, "/"))
			assert.Less(t, n.wsgiBytes()-size, 4*1024*1024)
			n.needPrintable(t)

			deploy(t, n.Dir, deployed+"# mended\n")
			n.reload()
			assert.Equal(t, "works", n.text(t, "/"))
			n.needPrintable(t)
		})
	}
}

// wsgiBytes returns how long the lines are that the module has logged.
func (n *instance) wsgiBytes() (size int) {
	for _, line := range strings.Split(n.log(), "\n") {
		if strings.Contains(line, "wsgi: ") {
			size += len(line)
		}
	}
	return size
}

var unprintable = regexp.MustCompile("[\x00-\x09\x0b-\x1f\x7f\u0080-\u009f\u2028\u2029]")

// needPrintable fails if the module has logged what a terminal obeys.
func (n *instance) needPrintable(t *testing.T) {
	t.Helper()
	text := readFile(filepath.Join(n.Dir, "error.log"))
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "wsgi: ") {
			require.False(t, unprintable.MatchString(line), "%q", line)
			require.Equal(t, strings.ToValidUTF8(line, "?"), line)
		}
	}
}

// The time of all imports is no number that has begun again at 0.
func TestDistrustLongTime(t *testing.T) {
	t.Parallel()
	out, ok := check(t, strings.Replace(strings.Replace(deployServer, "500ms",
		"9223372036854770808ms", 1), "site_app;", "site_app; } location /2 { wsgi_pass site_app2;", 1),
		file("app/site_app.py", deployed), file("app/site_app2.py", deployed))
	assert.True(t, ok, out)
}

// overwriting is an application that overwrites all memory that its worker
// shares with others, and if it is told so, what lies before each piece of it.
const overwriting = `
import ctypes, os, time

while os.path.exists(os.environ["MARKS"] + "/closed"):
    time.sleep(0.01)

def regions():
    before = 0, 0, ""
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split(None, 5)
            start, end = (int(x, 16) for x in fields[0].split("-"))
            if fields[1] == "rw-s" and "/dev/zero" in line:
                yield start, end, before[1] == start and before[2] == "rw-p"
            before = start, end, fields[1]

def application(environ, start_response):
    _, what, fill = environ["PATH_INFO"].split("/")
    for start, end, own in list(regions()):
        if what == "peers":  # pid, generation, state: ready, failures, able
            words = [os.getppid(), int(fill), 2, 0, 1] * ((end - start) // 40 - 9)
            (ctypes.c_uint64 * len(words)).from_address(start + 9 * 40)[:] = words
        elif what != "none":
            ctypes.memset(start, int(fill), end - start)
    for start, end, own in list(regions()):
        if what == "layout" and own:  # the last, as it may be the end of this worker
            ctypes.memset(start - 8192, int(fill), 8192)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`

const overwritten = `
    wsgi_env MARKS {{.Var}};
    wsgi_python_path {{.Dir}}/app;
    server {
        listen {{.Addr}};
        location / { wsgi_pass overwriting; }
        location /broken { wsgi_pass absent; }
    }`

const crashed = `exited on signal [1-8]\b`

// A worker that has overwritten the memory that it shares with others, nginx's
// own included, and is killed then, takes nobody along; after a reload all is
// as before, except that a crash may not be reported.
func TestDistrustSharedMemory(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "wsgi_zone mine 1m;"} {
		for _, target := range []string{"/all/0", "/all/165", "/all/255", "/layout/165"} {
			t.Run(zone+target, func(t *testing.T) {
				t.Parallel()
				if sanitized && target == "/layout/165" {
					t.Skip("AddressSanitizer's memset() does not write there")
				}
				n := start(t, zone+overwritten, workers(2), allowRespawn(),
					file("app/overwriting.py", overwriting),
					allowLog(`exited on signal`))
				master := n.cmd.Process.Pid
				pid := n.worker2(t)
				_, _ = n.try("GET", target, nil)
				n.reload()
				crashes := n.countLog(crashed)
				n.waitLog(`"wsgi_zone" has been overwritten, .* restart nginx`)
				for range 3 {
					n.kill(n.workers()[0])
					n.wait("another worker", func() bool { return len(n.workers()) == 2 })
					assert.NotEqual(t, pid, n.worker2(t))
				}
				n.reload()
				n.worker2(t)
				assert.True(t, alive(master))
				assert.Equal(t, crashes, n.countLog(crashed), "of new workers")
				assert.Zero(t, n.countLog("cannot import what those before it could"))
			})
		}
	}
}

// What stands for workers that there are not is no reason for the old ones to
// leave before those of a reload are ready.
func TestDistrustPeers(t *testing.T) {
	t.Parallel()
	n := start(t, overwritten, allowRespawn(), file("app/overwriting.py", overwriting))
	old := n.worker2(t)
	_ = n.get(t, "/peers/2")
	writeFile(t, n.Var, "closed", "")
	n.reloadWhile(func() {
		n.waitLog("serving on until the new workers are ready")
		for range 50 {
			assert.Equal(t, old, n.dial(t).get("/none/0").Body)
		}
		require.NoError(t, os.Remove(filepath.Join(n.Var, "closed")))
	})
	assert.NotEqual(t, old, n.worker2(t))
}

// worker2 returns the process of some worker that serves.
func (n *instance) worker2(t *testing.T) string {
	t.Helper()
	return n.text(t, "/none/0")
}

// What a client has sent is no command to the terminal of whoever reads about
// the crash of its worker.
func TestDistrustRequestOfCrash(t *testing.T) {
	t.Parallel()
	n := start(t, crashing, allowRespawn(), allowLog(`worker process \d+ exited on signal 9`))
	pid := n.worker()
	n.dial(t).request("POST", "/timing/nap/20/"+name(t)+"\xc2\x9b\xe2\x80\xa8\xff\xc3\xa9")
	n.notes(t, name(t)+"%C2%9B%E2%80%A8%FF%C3%A9", 1)
	n.kill(pid)
	n.waitLog(fmt.Sprintf(`worker process %d died with .* request: "POST /timing/nap/20/%s`+
		`\\xC2\\x9B\\xE2\\x80\\xA8\\xFFé"`, pid, name(t)))
}
