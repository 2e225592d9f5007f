//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recycling is an instance whose workers are replaced.
func recycling(directives string) string {
	return `
    wsgi_python_path {{.Apps}};
    ` + directives + server(`listen unix:{{.Sock}}; listen {{.Addr}};`)
}

func server(listen string) string {
	return `
    server {
        ` + listen + `
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
        location = /who { return 200 $pid; }
    }`
}

const (
	wanted = `wsgi: this worker is to be replaced`
	drains = `wsgi: draining`
)

// replaced waits until the instance is at rest: each worker that began to
// drain has been replaced.  It returns how many that were, and fails if there
// were two at a time.
func (n *instance) replaced(t *testing.T) int {
	t.Helper()
	n.client.CloseIdleConnections() // or who drains waits for them
	n.wait("the last replacement", func() bool {
		return n.countLog(pythonReady) == n.set.workers+n.countLog(drains)
	})
	turns := regexp.MustCompile(drains+"|"+pythonReady).FindAllString(n.log(), -1)
	turns = turns[n.set.workers:]
	for i, turn := range turns {
		require.Equal(t, i%2 == 0, turn == drains, "turn %d: %s", i, turn)
	}
	return len(turns) / 2
}

// Workers are replaced all the time, and no request fails: GET and POST by
// turns, through a front that keeps connections alive.  Two workers take
// turns; for a single one the clients wait a moment, and for one whose socket
// is its own.
func TestRecycleRequests(t *testing.T) {
	t.Parallel()
	ofOwn := server(`listen {{.Addr2}} reuseport;`)
	for name, c := range map[string]struct {
		workers int
		more    string
		option
	}{
		"two":          {workers: 2},
		"one":          {workers: 1},
		"reuseport":    {workers: 2, more: ofOwn},
		"accept_mutex": {workers: 2, option: acceptMutex()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := []option{workers(c.workers), allowRespawn()}
			if c.option != nil {
				opts = append(opts, c.option)
			}
			n := start(t, recycling("wsgi_max_requests 300 jitter=50;"+c.more), opts...)
			front := frontOf(n.Sock)
			if c.more == ofOwn {
				front = strings.Replace(frontOf(""), "unix:", n.Addr2, 1)
			}
			n.underLoad(t, front)
		})
	}
}

func acceptMutex() option { return eventsContext("accept_mutex on; accept_mutex_delay 10ms;") }

// A worker that drains goes on to accept on a socket that is its own: the
// kernel gives its connections to nobody else.
func TestRecycleReuseport(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 20;"+server(`listen {{.Addr2}} reuseport;`)),
		workers(2), allowRespawn())
	n.Addr = n.Addr2
	held, first := n.drainOne(t)
	began, taken := time.Now(), 0
	for i := 0; i < 50 && time.Since(began) < 5*time.Second; i++ {
		if n.who(t) == first {
			taken++
		}
	}
	assert.Positive(t, taken)
	assert.Less(t, time.Since(began), 8*time.Second, "none waits for the 10 s that it drains")
	assert.Equal(t, "close", held.get("/who").get(t, "Connection"))
}

// Who drains does not accept with a mutex that says who does, either.
func TestRecycleAcceptMutex(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 20;"), workers(2), allowRespawn(), acceptMutex())
	held, first := n.drainOne(t)
	n.leaves(t, first)
	for range 300 {
		assert.NotEqual(t, first, n.who(t))
	}
	assert.Equal(t, "close", held.get("/who").get(t, "Connection"))
}

// underLoad has clients ask a front without a pause.
func (n *instance) underLoad(t *testing.T, conf string) *load {
	t.Helper()
	front := start(t, conf, withoutModule(), allowRespawn())

	began := time.Now()
	l := startLoad(t, front, 8)
	l.moreUntil(requests(t))
	for n.countLog(drains) < 6 && !l.failed() {
		l.more(300)
	}
	l.stop()
	took := time.Since(began)

	front.signal(syscall.SIGHUP) // closes what its upstream keeps
	times := n.replaced(t)
	t.Logf("%d requests in %v, %d workers replaced; p50 %v, p99 %v, the slowest %v",
		l.count.Load(), took, times, percentile(l.took, 50), percentile(l.took, 99),
		percentile(l.took, 100))
	n.recycledInTime(t, 300, 350)
	return l
}

// recycledInTime fails if a worker was replaced before it had served so many
// requests, or long after: but for those that ran at the time, it may have
// served more only while it imported, and has to ask as soon as it is ready.
func (n *instance) recycledInTime(t *testing.T, least, most int) {
	t.Helper()
	of, count := regexp.MustCompile(` (\d+)#\d+: `), regexp.MustCompile(wanted+`: it has served (\d+) requests`)
	before := map[string]string{} // the line of the same worker
	asked := 0
	for _, line := range strings.Split(n.log(), "\n") {
		pid := of.FindString(line)
		if m := count.FindStringSubmatch(line); m != nil {
			asked++
			served, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			assert.GreaterOrEqual(t, served, least, line)
			if served >= most+10 {
				assert.Contains(t, before[pid], pythonReady, line)
			}
		}
		before[pid] = line
	}
	assert.Equal(t, n.countLog(wanted), asked)
}

// Nobody connects in vain while the only worker is away, and what runs ends.
func TestRecycleOnlyWorker(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 3;"), allowRespawn())
	old := n.worker()

	long := n.dial(t)
	long.request("GET", "/timing/occupy/"+name(t))
	n.notes(t, name(t), 1) // the first
	idle := n.dial(t)
	assert.Equal(t, "plain", idle.get("/response/plain").Body)
	last := n.dial(t)
	assert.Equal(t, "plain", last.get("/response/plain").Body)
	for n.countLog(drains) == 0 { // what has ended is counted with the next request
		n.text(t, "/response/plain")
	}

	assert.Equal(t, "plain", n.text(t, "/response/plain"), "it serves while something runs")
	assert.Equal(t, []int{old}, n.workers())
	n.setEvent(t, name(t))
	r := long.reply("GET")
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "close", r.get(t, "Connection"), "though it had begun before")

	r = idle.get("/response/plain")
	assert.Equal(t, "close", r.get(t, "Connection"), "a request on an idle connection is the last")
	idle.needClosed()
	r = last.get("/nginx")
	assert.Equal(t, "close", r.get(t, "Connection"), "one that is not Python's, too")
	last.needClosed()

	n.client.CloseIdleConnections()
	n.wait("the old worker's end", func() bool { return !alive(old) })
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	n.waitLog(`worker process \d+ exited with code 0`)
}

// Who drains, and who starts, leaves new connections to the others, and has
// them when there are none.
func TestRecycleNewConnections(t *testing.T) {
	t.Parallel()
	n := start(t, recycling(`wsgi_python_path {{.Dir}}/app; wsgi_max_requests 20;
    server { listen {{.Addr2}}; location / { wsgi_pass slow_app; } }`),
		file("app/slow_app.py", slowApp(2*time.Second, false)), workers(2), allowRespawn(),
		allowLog(`exited on signal 9`))
	held, first := n.drainOne(t)
	held.request("POST", "/body/echo", "Content-Length: 4") // an idle one would be closed after 10 s
	n.leaves(t, first)
	second := n.who(t)

	n.killWho(t, second)
	third := n.anotherThan(first, second)
	n.freeze(t, third)
	assert.Equal(t, first, n.who(t), "the one that drains, again")
	require.NoError(t, syscall.Kill(third, syscall.SIGCONT))
	n.waitLogTimes(pythonReady, 3)
	n.leaves(t, first)
	second = n.who(t)

	require.NoError(t, held.SetDeadline(time.Now().Add(patience)))
	held.sendRaw("body")
	assert.Equal(t, "close", held.reply("POST").get(t, "Connection"))
	n.waitLog(`worker process ` + first + ` exited with code 0`)
	for who := second; n.countLog(pythonReady) < 4; who = n.who(t) {
		require.Equal(t, second, who, "the other one starts")
	}
	n.killWho(t, second)
	assert.NotEqual(t, second, n.who(t))
	n.waitLogTimes(pythonReady, 5)
}

// A connection of HTTP/2 is idle for nginx, whatever runs on it: that is
// not cut by the only worker, either.
func TestRecycleOnlyWorkerHTTP2(t *testing.T) {
	t.Parallel()
	n, client := startHTTP2With(t, "wsgi_max_requests 3;",
		[]option{allowRespawn(), mainContext("worker_shutdown_timeout 1s;")})
	resp, err := client.Get("https://" + n.Addr2 + "/timing/gaps?count=40&gap=0.1")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	for n.countLog(drains) == 0 {
		n.text(t, "/response/plain")
	}
	n.client.CloseIdleConnections()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), ",39,")
	n.waitLogTimes(pythonReady, 2)
}

// anotherThan waits for a worker that is none of these.
func (n *instance) anotherThan(known ...string) (pid int) {
	n.t.Helper()
	n.wait("another worker", func() bool {
		pids := n.workers()
		i := slices.IndexFunc(pids, func(pid int) bool {
			return !slices.Contains(known, strconv.Itoa(pid))
		})
		if i >= 0 {
			pid = pids[i]
		}
		return i >= 0
	})
	return pid
}

// freeze stops a process, and waits until it stands still: not before that can
// it no longer be the one that the kernel tells of a connection.
func (n *instance) freeze(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	n.wait("a process to stop", func() bool {
		return strings.Contains(procFile(pid, "stat"), ") T ")
	})
}

// leaves waits until a worker takes no new connections.
func (n *instance) leaves(t *testing.T, pid string) {
	t.Helper()
	n.wait("new connections to be left to others", func() bool {
		for range 30 {
			if n.who(t) == pid {
				return false
			}
		}
		return true
	})
}

// killWho kills the worker that has told this number.
func (n *instance) killWho(t *testing.T, who string) {
	t.Helper()
	pid, err := strconv.Atoi(who)
	require.NoError(t, err)
	n.kill(pid)
}

// drainOne asks a worker, of two, until it drains, and returns its process id
// and an idle connection that keeps it from its end.
func (n *instance) drainOne(t *testing.T) (*wire, string) {
	t.Helper()
	for to := map[string]*wire{}; ; {
		w := n.dial(t)
		pid := w.get("/who").Body
		held := to[pid]
		if held == nil {
			to[pid] = w
			continue
		}
		closed := false
		n.wait("a worker to drain", func() bool {
			if !closed {
				closed = w.get("/response/plain").get(t, "Connection") == "close"
			}
			return n.countLog(drains) > 0
		})
		return held, pid
	}
}

// who tells the worker that takes a new connection.
func (n *instance) who(t *testing.T) string {
	t.Helper()
	w := n.dial(t)
	defer w.abort()
	return w.get("/who").Body
}

// The turn of a worker that is killed while it drains is not lost.
func TestRecycleKilled(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 5;"), workers(2), allowRespawn(),
		allowLog(`exited on signal 9`))
	_, first := n.drainOne(t)
	n.killWho(t, first)
	for n.countLog(drains) < 4 {
		assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
	}
	assert.GreaterOrEqual(t, n.replaced(t), 4)
}

// A worker whose time has come is replaced, though nobody asks it for anything.
func TestRecycleLifetime(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_lifetime 1s jitter=500ms;"), workers(2), allowRespawn())
	old := n.workers()
	n.waitLog(wanted + `: it is \d+s old \("wsgi_max_lifetime"\)`)
	n.wait("both to be replaced", func() bool { return !slices.ContainsFunc(old, alive) })
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// A worker that leaks is replaced, and what it answers is answered in full.
func TestRecycleLeak(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Dir}}/app;
    wsgi_max_rss 100m;
    server { listen {{.Addr}}; location / { wsgi_pass leak; } }`,
		file("app/leak.py", `
kept = []
def application(environ, start_response):
    if len(kept) < 150:  # of a leak without an end the machine would tell, too
        kept.append(b"x" * 1000000)
    start_response("200 OK", [("Content-Length", "6")])
    return [b"leaked"]
`), allowRespawn())
	for n.countLog(wanted) < 2 {
		assert.Equal(t, "leaked", n.text(t, "/"))
	}
	line := n.waitLog(wanted + `: it has \d+m of resident memory \("wsgi_max_rss"\)`)
	found := regexp.MustCompile(`has (\d+)m`).FindStringSubmatch(line)
	size, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	assert.GreaterOrEqual(t, size, 100)
	n.replaced(t)
}

// A limit that is passed at the start would replace workers for ever.
func TestRecycleSmallRSS(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_rss 1m;"))
	n.waitLog(`this worker has \d+m of resident memory before its first request,` +
		` "wsgi_max_rss" is too small and ignored`)
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// Workers draw their limits, from what is configured to the jitter more.
func TestRecycleJitter(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 10 jitter=10;"), workers(2), allowRespawn())
	for n.countLog(wanted) < 12 {
		assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
	}
	drawn := map[string]bool{}
	for _, m := range regexp.MustCompile(`it has served (\d+) requests`).
		FindAllStringSubmatch(n.log(), -1) {
		count, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		assert.True(t, count >= 10 && count <= 20, "%d", count)
		drawn[m[1]] = true
	}
	assert.Greater(t, len(drawn), 3, "of 11 values, drawn 12 times")
	n.replaced(t)
}

// Without a master nobody would replace the process.
func TestRecycleSingle(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 2; wsgi_max_lifetime 1s;"), singleProcess())
	n.waitLog(`this process should be replaced, but there is no master to do that: it is 1s old`)
	for range 10 {
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	assert.Equal(t, 1, n.countLog(`should be replaced`), "it is said once")
}

// A reload and workers that are to be replaced do not get in each other's way.
func TestRecycleReload(t *testing.T) {
	t.Parallel()
	n := start(t, recycling("wsgi_max_requests 100;"), workers(2), allowRespawn())
	l := startLoad(t, n, 6)
	for range 3 {
		l.more(500)
		old := n.workers()
		n.signal(syscall.SIGHUP)
		n.wait("the old workers' end", func() bool { return !slices.ContainsFunc(old, alive) })
	}
	l.stop()
	n.wait("the workers", func() bool { return len(n.workers()) == 2 })
}

// Code that was broken on the disk, without a reload, does not take over: a
// worker that cannot import what the one before it could leaves clients to
// those that can, they are not replaced, and it tries again.
func TestRecycleBrokenCode(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(*testing.T, *instance){
		"recycled": func(t *testing.T, n *instance) {
			for n.countLog(drains) == 0 {
				n.text(t, "/response/plain")
			}
			n.client.CloseIdleConnections()
		},
		"killed": func(t *testing.T, n *instance) { n.kill(n.workers()[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, recycling(`wsgi_python_path {{.Dir}}/app; wsgi_max_requests 10;
    server { listen {{.Addr2}}; location / { wsgi_pass moody; } }`),
				file("app/moody.py", "from kitchen import application\n"), workers(2),
				allowRespawn(), allowLog(`exited on signal 9`))
			n.Addr = n.Addr2
			rewrite(t, n, "from kitchen import nothing\n")
			replace(t, n)
			n.waitLog(`cannot import what those before it could, it leaves clients`)
			for range 50 {
				assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
			}
			n.waitLog(`to be replaced: its applications may be importable now`)
			assert.LessOrEqual(t, n.countLog(drains), 2, "none of the others")

			rewrite(t, n, "from kitchen import application, common\n")
			times := n.countLog(drains)
			for n.countLog(drains) < times+3 {
				assert.Equal(t, "plain", n.text(t, "/response/plain", "Connection: close"))
			}
		})
	}
}

func rewrite(t *testing.T, n *instance, text string) {
	t.Helper()
	path := filepath.Join(n.Dir, "app/moody.py")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}
