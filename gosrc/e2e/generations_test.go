//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Workers of several generations, of the master that started them or of
// another one.

// anImport is what an import takes, and no request as long as that.
var anImport = time.Duration(slack()) * 1200 * time.Millisecond

// behindFront starts slowBackend with that import, a front that keeps its
// connections to it, and a load on the front.
func behindFront(t *testing.T, takes time.Duration, opts ...option) (*instance, *load) {
	t.Helper()
	opts = append(opts, file("app/slow_app.py", slowApp(takes, false)), workers(2), allowRespawn())
	back := start(t, slowBackend, opts...)
	front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(16))
	l := startPacedLoad(t, front, 6, 5*time.Millisecond)
	l.more(100)
	return back, l
}

// settled waits until there are the configured workers and no older ones.
func (n *instance) settled(old []int) {
	n.t.Helper()
	n.wait("the workers", func() bool {
		return len(n.workers()) == n.set.workers && !slices.ContainsFunc(old, alive)
	})
	n.pids = n.workers()
	n.markFDs()
}

// Further reloads come while the workers of the first still import.
func TestReloadDuringReload(t *testing.T) {
	t.Parallel()
	back, l := behindFront(t, anImport)
	first := back.workers()
	for i := range 3 {
		imports := back.countLog("the slow part")
		back.signal(syscall.SIGHUP)
		back.waitLogTimes("the slow part", imports+2)
		assert.True(t, alive(first[0]) || i > 1, "it serves until others do")
	}
	l.more(300)
	back.settled(first)
	back.waitLogTimes(pythonReady, 4)
	back.wait("the last generation", func() bool {
		return !slices.ContainsFunc(back.workers(), func(pid int) bool {
			return strings.Contains(commandLine(pid), "shutting down")
		})
	})
	l.more(100)
	l.stop()
	assert.Less(t, percentile(l.answers(), 100), anImport)
}

// A reload comes while an older generation has clients that stay.
func TestReloadWhileDraining(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowRespawn(), allowFDs(4))
	old := n.workers()
	idle, streaming := n.dial(t), n.dial(t)
	assert.Equal(t, "plain", idle.get("/response/plain").Body)
	began := time.Now()
	streaming.request("GET", "/timing/gaps?count=30&gap=0.1")
	streaming.head()
	for i := range 2 {
		n.signal(syscall.SIGHUP)
		n.waitLogTimes(pythonReady, i+2)
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		n.client.CloseIdleConnections()
	}
	n.wait("the first worker to stop listening", func() bool { return !listens(old[0]) })
	if time.Since(began) < 8*time.Second { // of 10 s that it is left open
		r := idle.get("/response/plain")
		assert.Equal(t, "close", r.get(t, "Connection"))
	}
	var rest reply
	streaming.chunks(&rest)
	assert.True(t, rest.complete(), "%v", rest.Err)
	require.NoError(t, streaming.Close())
	n.settled(old)
}

// The new code cannot be imported and wsgi_check is off: the reload goes on.
func TestReloadOfBrokenCode(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass version; } location = /n { return 200 n; } }`,
		file("apps/version.py", whichApp("one")))
	writeFile(t, n.Apps, "version.py", "raise ValueError('a broken deploy')")
	n.reload()
	assert.Equal(t, 500, n.get(t, "/").Status)
	assert.Equal(t, "n", n.text(t, "/n"))
	n.waitLog("ValueError: a broken deploy")
	writeFile(t, n.Apps, "version.py", whichApp("mended"))
	n.reload()
	assert.Equal(t, "mended", n.text(t, "/"))
}

// checkedApp can be imported, or, while there is a file "armed", by the check
// of a reload only.
const checkedApp = `
import os
from kitchen import application
var = os.environ["TMPDIR"]
if os.path.exists(var + "/armed"):
    try:
        open(var + "/checked", "x").close()
    except FileExistsError:
        raise ValueError("a limit that the check did not meet") from None
`

// checked serves checkedApp; a reload would have a worker that cannot run it.
func checked(t *testing.T, more string, count int) *instance {
	t.Helper()
	n := start(t, more+`wsgi_check import; wsgi_python_path {{.Apps}} {{.Dir}}/app;
    server { listen {{.Addr}}; location / { wsgi_pass checked; } }`,
		file("app/checked.py", checkedApp), workers(count), allowRespawn(), allowFDs(1))
	writeFile(t, n.Var, "armed", "")
	return n
}

func (n *instance) disarm(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(n.Var, "armed")))
}

// What has been checked, no new worker can run: the old ones serve on until a
// new one tries again and can.
func TestReloadWithoutPython(t *testing.T) {
	t.Parallel()
	n := checked(t, "", 2)
	l := startPacedLoad(t, n, 4, 5*time.Millisecond)
	l.more(50)
	old := n.workers()
	n.signal(syscall.SIGHUP)
	n.waitLogTimes(`cannot import what those before it could, it leaves clients`, 3)
	l.more(100)
	assert.True(t, alive(old[0]) && alive(old[1]))
	n.disarm(t)
	n.settled(old)
	l.more(100)
	l.stop()
}

// They do not for ever, but the new workers go on to try.
func TestReloadWithoutPythonForLong(t *testing.T) {
	t.Parallel()
	n := checked(t, "wsgi_start_timeout 3s;", 1)
	old := n.worker()
	n.signal(syscall.SIGHUP)
	n.wait("the old worker to end", func() bool { return !alive(old) })
	n.wait("a new one to serve", func() bool { return n.get(t, "/response/plain", "Connection: close").Status == 500 })
	n.disarm(t)
	n.wait("one that can", func() bool { return n.get(t, "/response/plain", "Connection: close").Status == 200 })
	n.settled(nil)
}

// Workers are killed while a reload goes on: it comes to its end.
func TestReloadAndKill(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"new", "old"} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			n := start(t, slowBackend, file("app/slow_app.py", slowApp(anImport, false)),
				workers(2), allowRespawn(), allowLog("exited on signal 9"))
			old := n.workers()
			n.signal(syscall.SIGHUP)
			n.waitLogTimes("the slow part", 4)
			victim := old[0]
			if which == "new" {
				victim = slices.Max(n.workers())
			}
			n.kill(victim)
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
			n.client.CloseIdleConnections()
			n.settled(old)
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// More workers, and fewer ones.
func TestReloadWorkerProcesses(t *testing.T) {
	t.Parallel()
	back, l := behindFront(t, anImport)
	for _, count := range []int{3, 1, 2} {
		back.set.workers = count
		back.writeConf(t, slowBackend, back.set)
		back.reload()
		l.more(50)
	}
	l.stop()
	assert.Less(t, percentile(l.answers(), 100), anImport)
}

// Listening sockets come and go.
func TestReloadListen(t *testing.T) {
	t.Parallel()
	back, l := behindFront(t, anImport)
	more := strings.Replace(slowBackend, "listen {{.Addr}};", "listen {{.Addr}}; listen {{.Addr2}};", 1)
	for range 2 {
		back.writeConf(t, more, back.set)
		back.reload()
		assert.Equal(t, "plain", dialTo(t, "tcp", back.Addr2).get("/response/plain", "Connection: close").Body)
		back.writeConf(t, slowBackend, back.set)
		back.reload()
	}
	l.stop()
	assert.Less(t, percentile(l.answers(), 100), anImport)
}

// The last application goes, and comes back.
func TestReloadWithoutApplications(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, workers(2))
	none := `server { listen {{.Addr}}; return 200 "none"; }`
	n.writeConf(t, none, n.set)
	old := n.workers()
	n.signal(syscall.SIGHUP)
	n.settled(old)
	assert.Equal(t, "none", n.text(t, "/"))
	n.writeConf(t, kitchen, n.set)
	n.reload()
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// Each worker has a socket of its own.
func TestReloadReuseport(t *testing.T) {
	t.Parallel()
	conf := strings.Replace(slowBackend, "listen {{.Addr}};", "listen {{.Addr}} reuseport;", 1)
	n := start(t, conf, file("app/slow_app.py", slowApp(anImport, false)), workers(2), allowRespawn())
	l := startPacedLoad(t, n, 6, 5*time.Millisecond)
	for range 3 {
		l.more(50)
		n.reload()
	}
	l.stop()
	assert.Less(t, percentile(l.answers(), 100), anImport, "nobody waits for an import")
}

// worker_shutdown_timeout bounds what is left when the new workers serve: idle
// connections as well as requests.
func TestReloadShutdownTimeout(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_shutdown_timeout 1s;"+kitchen,
		mainContext("worker_shutdown_timeout 1s;"), allowRespawn())
	old := n.workers()
	idle, running := n.dial(t), n.dial(t)
	assert.Equal(t, "plain", idle.get("/response/plain").Body)
	running.request("GET", "/timing/nap/30/"+name(t))
	n.notes(t, name(t), 1)
	n.client.CloseIdleConnections()
	began := time.Now()
	n.signal(syscall.SIGHUP)
	n.waitLogTimes(pythonReady, 2)
	ready := time.Now()
	idle.needClosed()
	running.needClosed()
	assert.GreaterOrEqual(t, time.Since(began), 990*time.Millisecond)
	assert.Less(t, time.Since(ready), 8*time.Second, "idle connections have 10 s")
	n.settled(old)
}

// drained is how long the slowest worker has waited for its clients, in whole
// seconds, as the log has them.
func (n *instance) drained(t *testing.T) (longest time.Duration) {
	t.Helper()
	re := regexp.MustCompile(`(?m)^(\S+ \S+) \[\w+\] (\d+)#.*(wsgi: draining|gracefully shutting down)$`)
	began := map[string]time.Time{}
	ended := 0
	for _, m := range re.FindAllStringSubmatch(n.log(), -1) {
		at, err := time.Parse("2006/01/02 15:04:05", m[1])
		require.NoError(t, err)
		if m[3] == "wsgi: draining" {
			began[m[2]] = at
			continue
		}
		require.Contains(t, began, m[2])
		longest = max(longest, at.Sub(began[m[2]]))
		ended++
	}
	assert.Equal(t, n.set.workers, ended)
	return longest
}

// Connections that a worker keeps to others are none that clients would use.
func TestReloadUpstreamConnections(t *testing.T) {
	t.Parallel()
	other := start(t, `server { listen {{.Addr}}; return 200 "other"; }`, withoutModule(), allowFDs(2))
	n := start(t, `
    wsgi_python_path {{.Apps}};
    upstream other { server `+other.Addr+`; keepalive 2; }
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /other {
            proxy_pass http://other;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }`, allowRespawn(), allowFDs(1))
	assert.Equal(t, "other", n.text(t, "/other"))
	n.reload()
	assert.Less(t, n.drained(t), 8*time.Second)
}

// One of two instances behind a front quits: no request is lost on connections
// that the front has kept, POST included.
func TestQuitBehindFront(t *testing.T) {
	t.Parallel()
	conf := "wsgi_python_path {{.Apps}}; server { listen unix:{{.Sock}}; listen {{.Addr}};" +
		" location / { wsgi_pass kitchen; } }"
	stays, quits := start(t, conf, workers(2)), start(t, conf, workers(2))
	front := start(t, strings.Replace(frontOf(stays.Sock), "keepalive",
		"server unix:"+quits.Sock+"; keepalive", 1), withoutModule(), allowFDs(32),
		allowLog("Connection refused|No such file"))
	l := startPacedLoad(t, front, 8, 2*time.Millisecond)
	l.more(300)
	quits.quit()
	assert.Less(t, quits.drained(t), 5*time.Second)
	l.more(300)
	l.stop()
}

// An idle connection of an instance that quits serves one more request.
func TestQuitIdleConnection(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	used, idle := n.dial(t), n.dial(t)
	assert.Equal(t, "plain", used.get("/response/plain").Body)
	assert.Equal(t, "plain", idle.get("/response/plain").Body)
	n.over = true
	n.signal(syscall.SIGQUIT)
	n.wait("the worker to stop listening", func() bool { return !listens(n.pids[0]) })

	<-time.After(500 * time.Millisecond) // a front's request may be so late
	used.send("POST /body/echo HTTP/1.1\nHost: a\nContent-Length: 4\n\necho")
	r := used.reply("POST")
	assert.Equal(t, "echo", r.Body)
	assert.Equal(t, "close", r.get(t, "Connection"))
	used.needClosed()
	began := time.Now()
	idle.needClosed()
	assert.Less(t, time.Since(began), 3*time.Second, "it does not wait for ever")
	assert.Equal(t, 0, n.waitExit())
}

// onlyOldServe connects while the new workers import, and fails if one of them
// answers before it is ready.
func (n *instance) onlyOldServe(t *testing.T, old []int) {
	t.Helper()
	for range 20 {
		var pids []int
		decode(t, n.dial(t).get("/process/pid", "Connection: close").Body, &pids)
		if n.countLog(pythonReady) > len(old) {
			break // a new one is ready and has had its turn
		}
		assert.Contains(t, old, pids[0])
	}
}

// What connects while the new workers import is served by the old ones.
func TestReloadNewConnections(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"", "reuseport", "backlog=100"} {
		for _, accept := range []string{"off", "on"} {
			t.Run(listen+" accept_mutex "+accept, func(t *testing.T) {
				t.Parallel()
				conf := strings.Replace(slowBackend, "{{.Addr}};", "{{.Addr}} "+listen+";", 1)
				n := start(t, conf, file("app/slow_app.py", slowApp(2*time.Second, false)),
					workers(2), allowRespawn(), eventsContext("accept_mutex "+accept+";"))
				old := n.workers()
				n.signal(syscall.SIGHUP)
				n.waitLogTimes("the slow part", 4)
				n.onlyOldServe(t, old)
				n.settled(old)
			})
		}
	}
}
