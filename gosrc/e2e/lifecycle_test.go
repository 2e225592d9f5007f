//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Reloads while clients keep asking: every request has its answer.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, workers(2))
	load := startLoad(t, n, 6)
	for range 4 {
		load.more(200)
		n.reload()
	}
	load.more(200)
	load.stop()
}

// A graceful quit answers what has begun.
func TestQuitUnderLoad(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	load := startLoad(t, n, 4)
	load.more(100)

	w := n.dial(t)
	w.request("GET", "/timing/nap/0.5/"+name(t))
	began := n.later("GET", "/timing/nap/0.5/"+name(t))
	n.notes(t, name(t), 2)
	load.quitting()
	n.signal(syscall.SIGQUIT)
	assert.Equal(t, "slept", w.reply("GET").Body)
	out := <-began
	require.NoError(t, out.err)
	assert.Equal(t, "slept", out.Body)
	assert.Equal(t, 0, n.waitExit())
	load.stop()
}

// A request that runs when a reload comes is finished by its old worker.
func TestReloadFinishesRequests(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowRespawn())
	old := n.worker()

	running := n.later("GET", "/timing/nap/1/"+name(t))
	n.notes(t, name(t), 1)
	streaming := n.dial(t)
	streaming.request("GET", "/timing/gaps?count=5&gap=0.2")
	streaming.head()
	streaming.needChunk("0,")

	n.client.CloseIdleConnections() // to the old worker
	n.signal(syscall.SIGHUP)
	n.wait("the new worker", func() bool {
		now := n.workers()
		return len(now) == 1 && now[0] != old
	})
	assert.Equal(t, "plain", n.text(t, "/response/plain"), "the new worker serves")

	out := <-running
	require.NoError(t, out.err)
	assert.Equal(t, "slept", out.Body)
	var rest reply
	streaming.chunks(&rest)
	assert.Equal(t, "1,2,3,4,", rest.Body)
	assert.True(t, rest.complete(), "%v", rest.Err)
	_ = streaming.Close()
	n.client.CloseIdleConnections()
	n.wait("the old worker's end", func() bool { return !alive(old) })
}

// Reload brings new code and new settings.
func TestReloadBringsNewCode(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass version; } }`,
		file("apps/version.py", whichApp("one")))
	assert.Equal(t, "one", n.text(t, "/"))
	writeFile(t, n.Apps, "version.py", whichApp("another")) // of another size: bytecode
	assert.Equal(t, "one", n.text(t, "/"))
	n.reload()
	assert.Equal(t, "another", n.text(t, "/"))
}

// A worker that is killed, or that a C extension brings down, ends by that
// signal and is replaced, and only its requests are lost.
func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowRespawn(), allowLog(`worker process \d+ exited on signal (9|11)`))
	for i, target := range []string{
		"/process/die?signal=9", "/process/die?signal=11", "/process/fault",
	} {
		old := n.worker()
		w := n.dial(t)
		w.request("GET", target)
		w.needClosed()
		n.wait("the new worker", func() bool {
			now := n.workers()
			return len(now) == 1 && now[0] != old
		})
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		n.waitLogTimes(pythonReady, i+2)
	}
}

// So is one that an application ends with an exit code, whichever it is: nginx
// would not replace one that exits with 2.
func TestExitedWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, allowRespawn())
	assert.Equal(t, "2", n.text(t, "/process/fork_leave"))
	for i, target := range []string{
		"/process/leave?code=0", "/process/leave?code=2", "/process/leave?code=258",
		"/process/leave_in_c?code=0", "/process/leave_in_c?code=2",
	} {
		old := n.worker()
		w := n.dial(t)
		w.request("GET", target)
		w.needClosed()
		n.waitLogTimes(pythonReady, i+2)
		n.wait("the new worker", func() bool {
			now := n.workers()
			return len(now) == 1 && now[0] != old
		})
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	assert.Zero(t, n.countLog(`cannot be respawned`))
}

// SIGTERM and SIGINT end at once, and no worse than quit does.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_shutdown_timeout 1s;"+kitchen, workers(2))
			running := n.dial(t)
			running.request("GET", "/timing/sleep/60")
			assert.Equal(t, "plain", n.text(t, "/response/plain"))

			began := time.Now()
			n.signal(sig)
			assert.Equal(t, 0, n.waitExit())
			n.allowImpatience(began)
			assert.Less(t, time.Since(began), time.Duration(slack())*4*time.Second)
		})
	}
}

// allowImpatience allows for nginx's master, which kills workers that have not
// ended 3 seconds after a signal that was to end them, as on a busy machine.
func (n *instance) allowImpatience(signalled time.Time) {
	if time.Since(signalled) > 3*time.Second {
		n.set.allow = append(n.set.allow, `worker process \d+ exited on signal 9`)
	}
}

// What does not end within wsgi_shutdown_timeout is left behind, by a worker
// that ends all the same.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"atexit": "atexit.register(time.sleep, 60)",
		"thread": "threading.Thread(target=time.sleep, args=(60,)).start()",
		"spin":   "atexit.register(lambda: [None for _ in iter(int, 1)])",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, `
    wsgi_shutdown_timeout 500ms;
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass lingers; } }`,
				file("apps/lingers.py", "import atexit, threading, time\n"+code+"\n"+whichApp("here")))
			assert.Equal(t, "here", n.text(t, "/"))
			began := time.Now()
			n.quit()
			assert.Less(t, time.Since(began), time.Duration(slack())*3*time.Second)
			assert.Greater(t, time.Since(began), 400*time.Millisecond)
			n.waitLog(`(time|shutdown)`)
		})
	}
}

// A worker whose Python still imports can be told to end.
func TestQuitWhileImporting(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_shutdown_timeout 500ms;
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass slow_import; } }`,
		file("apps/slow_import.py", "print('import begins')\nimport time\ntime.sleep(60)\n"),
		allowUnready())
	n.waitLog("import begins")
	began := time.Now()
	n.quit()
	assert.Less(t, time.Since(began), 5*time.Second)
}

// Without a master, and without processes at all to be replaced.
func TestSingleProcess(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, singleProcess())
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	assert.Equal(t, "hello", n.post(t, "/body/echo", "hello").Body)
	assert.JSONEq(t, `[7, "IN\n", "", "sink\n", 3, "popen\n"]`, n.text(t, "/process/run"))
	n.quit()
}

// The signals of a worker stay nginx's, Python takes none of them.
func TestSingleProcessSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			n := start(t, kitchen, singleProcess())
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
			n.client.CloseIdleConnections()
			n.signal(sig)
			assert.Equal(t, 0, n.waitExit())
		})
	}
}

// Ctrl-C reaches master and workers at once.
func TestInterruptOfAll(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, workers(2))
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
	began := time.Now()
	require.NoError(t, syscall.Kill(-n.cmd.Process.Pid, syscall.SIGINT))
	assert.Equal(t, 0, n.waitExit())
	n.allowImpatience(began)
	assert.Zero(t, n.countLog("KeyboardInterrupt"))
}

// Several workers share the listening socket, each with a Python of its own.
func TestWorkersAreIndependent(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen, workers(3))
	seen := map[int]bool{}
	n.wait("an answer of every worker", func() bool {
		w := n.dial(t)
		var pids []int
		decode(t, w.get("/process/pid", "Connection: close").Body, &pids)
		assert.Contains(t, n.pids, pids[0])
		assert.Equal(t, n.cmd.Process.Pid, pids[1])
		seen[pids[0]] = true
		return len(seen) == 3
	})
}

// Log files can be rotated.
func TestReopenLogs(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	n.signal(syscall.SIGUSR1)
	n.waitLog("reopening logs")
	assert.Equal(t, "logged", n.text(t, "/logs/streams"))
	n.waitLog("stdout printed")
}

// nginx's master kills what does not terminate in 3 s: a long request does not
// cost the applications their atexit, nor the log an alert.
func TestStopIsFast(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_shutdown_timeout 60s;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location /lasts { wsgi_pass lasts; }
    }`,
		file("apps/lasts.py", "import atexit\natexit.register(lambda: print('atexit ran'))\n"+
			whichApp("here")))
	running := n.dial(t)
	running.request("GET", "/timing/nap/60/"+name(t))
	n.notes(t, name(t), 1)
	n.signal(syscall.SIGTERM)
	assert.Equal(t, 0, n.waitExit())
	assert.Equal(t, 1, n.countLog("atexit ran"))
}
