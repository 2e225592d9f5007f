//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Extension modules, of the standard library and of others.
func TestExtensions(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_python_home {{.Venv}};"+kitchen)
	for endpoint, want := range map[string]string{
		"numpy":       "[[5, 14], [14, 50]]",
		"sqlite":      "45",
		"tls":         "true",
		"c_types":     "[1, 2, 3, 4]",
		"extensions":  `[[1, 2], true, true, true, "0.3", "e3b0c442"]`,
		"app_threads": "[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [0, 1, 4, 9, 16]]",
		"garbage":     "true",
	} {
		t.Run(endpoint, func(t *testing.T) {
			for range 3 { // on several threads
				assert.JSONEq(t, want, n.text(t, "/embed/"+endpoint))
			}
		})
	}
	assert.Equal(t, "awaited", n.text(t, "/embed/asyncio_run"))
	assert.Equal(t, "plain", n.text(t, "/embed/own_socket"))
}

// subprocess: exit codes are right although nginx handles SIGCHLD.
func TestSubprocess(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for range 3 {
		assert.JSONEq(t, `[7, "IN\n", "", "sink\n", 3, "popen\n"]`, n.text(t, "/process/run"))
	}
	assert.JSONEq(t, "["+strings.Repeat("0,", 19)+"0]", n.text(t, "/process/many"))
	assert.JSONEq(t, "[-15, -9]", n.text(t, "/process/terminate"))
	assert.Equal(t, "expired", n.text(t, "/process/timeout"))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Zero(t, n.countLog(`unknown process \d+ exited`))
}

// A child starts as if a shell had started it: no signal blocked, and no
// descriptor of nginx's.
func TestSubprocessInheritsNothing(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	var signals struct{ Blocked, Ignored uint64 }
	n.json(t, &signals, "/process/signals")
	assert.Zero(t, signals.Blocked, "blocked signals: %x", signals.Blocked)

	fds := n.text(t, "/process/descriptors")
	assert.Equal(t, 4, len(regexp.MustCompile(`(?m) \d+ -> `).FindAllString(fds, -1)),
		"0, 1, 2 and ls's own: %s", fds)
}

// Not even where Python leaves open what there is, as os.system() does.
func TestCarelessChildInheritsNoListener(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	other := n.dial(t)
	require.Equal(t, "plain", other.get("/response/plain").Body)
	fds := n.post(t, "/process/careless", strings.Repeat("x", 100000)).Body
	assert.NotContains(t, fds, "socket:", "a client's connection")
	assert.NotContains(t, fds, "/temp/", "a body")
	assert.NotContains(t, fds, "anon_inode:")
	for inode := range listeningInodes(n.worker()) {
		assert.NotContains(t, fds, inode)
	}
}

func TestMultiprocessing(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"fork", "spawn", "forkserver"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_timeout 0;"+kitchen, allowFDs(6)) // resource tracker, fork server
			assert.JSONEq(t, `[[0, 1, 4, 9, 16], 5, "through a queue"]`,
				n.text(t, "/process/multi/"+method))
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// A child that comes back into the server ends, with the status of a script;
// it answers no request and its parent's connection is left alone.
func TestFork(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	for endpoint, want := range map[string]string{
		"fork_exit": "3", "fork_returns": "parent", "fork_raises": "1",
		"fork_in_generator": "before,parent,after",
	} {
		t.Run(endpoint, func(t *testing.T) {
			w := n.dial(t)
			for range 3 {
				r := w.get("/process/" + endpoint)
				assert.Equal(t, want, r.Body)
				assert.True(t, r.complete())
			}
		})
	}
	assert.Equal(t, "one answer", n.text(t, "/process/fork_in_close/"+name(t)))
	assert.Equal(t, []string{"0"}, n.notes(t, name(t), 1))
	for range 20 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	n.wait("the children", func() bool { return len(children(n.worker())) == 0 })
}

func TestForkPrints(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, "done", n.text(t, "/process/fork_prints"))
	n.waitLog("printed by the child")
}

// A forked child that lives on does not keep the client's connection, nor the
// listening socket.
func TestForkHoldsNoConnection(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	w := n.dial(t)
	idle := n.dial(t)
	assert.Equal(t, "plain", idle.get("/response/plain").Body)

	w.request("GET", "/process/fork_lingers/"+name(t), "Connection: close")
	assert.Equal(t, "forked", w.reply("GET").Body)
	w.needClosed()

	child := 0
	_, err := fmt.Sscan(n.notes(t, name(t), 1)[0], &child)
	require.NoError(t, err)
	assert.Equal(t, n.worker(), parent(child))
	n.wait("the child to close its sockets", func() bool {
		for _, link := range fdLinks(child) {
			if strings.HasPrefix(link, "socket:") {
				return false
			}
		}
		return true
	})

	n.setEvent(t, name(t))
	assert.Contains(t, n.notes(t, name(t), 2), "reaped")
}

// Nor those that nginx is just accepting or closing, of which no connection of
// nginx's knows.
func TestForkWhileConnectionsComeAndGo(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	var clients sync.WaitGroup
	var over atomic.Bool
	for range 4 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for !over.Load() {
				if conn, err := net.Dial("tcp", n.Addr); err == nil {
					_ = conn.Close()
				}
				time.Sleep(time.Millisecond) // the forks have their turn, too
			}
		}()
	}
	holders := 0
	for range 20 { // requests, each of which has the client's patience
		found := 0
		n.json(t, &found, "/process/fork_many/25")
		holders += found
	}
	over.Store(true)
	clients.Wait()
	assert.Zero(t, holders, "children that have a socket of nginx's")
}

// Each thread has its own threading.local and keeps it.
func TestThreadLocal(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 3;"+kitchen)
	counts := map[int]int{}
	for range 30 {
		var got []int
		n.json(t, &got, "/embed/thread_local")
		counts[got[0]]++
		assert.Equal(t, counts[got[0]], got[1])
	}
	assert.LessOrEqual(t, len(counts), 3)
}

// A thread that the application started works on after its request, and while
// no request runs.
func TestApplicationThreadLives(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, "started", n.text(t, "/embed/daemon_thread/"+name(t)))
	beats := n.notes(t, name(t), 10)
	assert.Equal(t, "heart", beats[9])
}

// signal.signal does nothing and says so; nginx's handlers stay.
func TestSignalIsIgnored(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	assert.Equal(t, 200, n.get(t, "/embed/set_signal").Status)
	n.waitLog(`signal\.signal\(SIGTERM\) is ignored`)
	n.quit()
}

const atexitApp = `
import atexit, signal, threading, time

signal.signal(signal.SIGTERM, lambda *args: print("python got SIGTERM"))
atexit.register(lambda: print("atexit ran"))


def work():
    event.wait()
    print("thread ended")


event = threading.Event()
worker = threading.Thread(target=work)
worker.start()
threading._register_atexit(event.set)
daemon = threading.Thread(target=time.sleep, args=(1000,), daemon=True)
daemon.start()


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]
`

// The end of a worker is that of a Python program: threads are joined, atexit
// runs, daemon threads do not keep it.
func TestAtexit(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass at_exit; } }`,
		file("apps/at_exit.py", atexitApp))
	assert.Equal(t, "app", n.text(t, "/"))
	n.waitLog(`signal\.signal\(SIGTERM\) is ignored`)
	n.reload()
	assert.Equal(t, 1, n.countLog("atexit ran"))
	assert.Equal(t, 1, n.countLog("thread ended"))
	assert.Equal(t, "app", n.text(t, "/"))
	n.quit()
	assert.Equal(t, 2, n.countLog("atexit ran"))
	assert.Equal(t, 2, n.countLog("thread ended"))
	assert.Zero(t, n.countLog("python got SIGTERM"))
}
