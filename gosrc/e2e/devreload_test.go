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
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// developing serves what is below Dir/app; "check" is wsgi_check's argument.
func developing(check string) string {
	return `
    wsgi_script_reloading on;
    wsgi_check ` + check + `;
    wsgi_directory {{.Dir}}/app;
    wsgi_env LEVEL 7;
    server {
        listen {{.Addr}};
        location / { wsgi_pass site_app; }
        location /script { wsgi_pass {{.Dir}}/app/script.wsgi; }
        location /wrapped { wsgi_middleware wrapper:wrap; wsgi_pass site_app; }
    }`
}

// site has an answer in each of its files.
var site = map[string]string{
	"site_app.py": `
import os, time
from parts import inner
here = "one"
assert os.environ["LEVEL"] == "7"

def application(environ, start_response):
    if environ["QUERY_STRING"]:
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [])
    return [here.encode(), b" ", inner.word.encode()]
`,
	"parts/__init__.py": "",
	"parts/inner.py":    `word = "one"`,
	"script.wsgi":       whichApp("one"),
	"wrapper.py": `
def wrap(app):
    def wrapped(environ, start_response):
        return [b"<one ", *app(environ, start_response)]
    return wrapped
`,
}

func develop(t *testing.T, check string, opts ...option) *instance {
	t.Helper()
	opts = append(opts, allowRespawn(), allowFDs(2))
	for name, code := range site {
		opts = append(opts, file("app/"+name, code))
	}
	return start(t, developing(check), opts...)
}

// edit replaces "one" in a file by another word, in place.
func (n *instance) edit(name, word string) {
	n.t.Helper()
	n.write(name, regexpOne.ReplaceAllString(site[name], word))
}

func (n *instance) write(name, code string) {
	n.t.Helper()
	require.NoError(n.t, os.WriteFile(filepath.Join(n.Dir, "app", name), []byte(code), 0o644))
}

// live makes an edit, and returns when it is: the worker that served the target
// until then has closed what its clients have kept, and accepts nothing since
// before, so that whoever asks next is asking new code.
func (n *instance) live(t *testing.T, target string, edit func()) {
	t.Helper()
	kept := n.dial(t)
	require.Equal(t, "keep-alive", kept.get(target).get(t, "Connection"))
	edit()
	kept.needClosed()
}

// aSecondAfter is when the requirement holds.  The second has small steps, each
// of which a machine that is late with its timers prolongs, ours and the
// worker's.
func aSecondAfter(edit func()) {
	edit()
	for range 40 {
		time.Sleep(25 * time.Millisecond)
	}
}

var regexpOne = regexp.MustCompile(`\bone\b`)

var bothChecks = []string{"off", "import"}

// An edit is live at the next request after a second, in whatever file.  A
// machine that is busy with other things may be late with one, not with all.
func TestReloadingEdits(t *testing.T) {
	for _, check := range bothChecks {
		for name, c := range map[string]struct{ target, want string }{
			"site_app.py":    {"/", "two one"},
			"parts/inner.py": {"/", "one two"},
			"script.wsgi":    {"/script", "two"},
			"wrapper.py":     {"/wrapped", "<two one one"},
		} {
			t.Run(check+" "+name, func(t *testing.T) {
				t.Parallel()
				n := develop(t, check)
				n.text(t, c.target)
				late := 0
				for _, word := range []string{"two", "three", "four", "five"} {
					want := strings.Replace(c.want, "two", word, 1)
					aSecondAfter(func() { n.edit(name, word) })
					if n.text(t, c.target) == want {
						break
					}
					late++
					n.wait("the edit", func() bool { return n.text(t, c.target) == want })
				}
				assert.Less(t, late, 4, "no edit is live within a second")
				n.waitLog("this worker is to be replaced: its source files have changed")
			})
		}
	}
}

// Editors write another file and rename it, and that of one size twice in a
// second, which bytecode would not tell.
func TestReloadingRenames(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	path, temp := filepath.Join(n.Dir, "app", "parts", "inner.py"), filepath.Join(n.Dir, "app", "new")
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o777)) // for bytecode
	second := time.Now().Add(time.Second).Truncate(time.Second)
	for i, word := range []string{"two", "abc"} {
		n.live(t, "/", func() {
			n.edit("parts/inner.py", "bad")
			n.write("new", `word = "`+word+`"`)
			at := second.Add(time.Duration(i) * 100 * time.Millisecond)
			require.NoError(t, os.Chtimes(temp, at, at))
			require.NoError(t, os.Rename(temp, path))
		})
		assert.Equal(t, "one "+word, n.text(t, "/"))
	}
}

// A syntax error is told with file and line; the old code serves, by the same
// worker, until a good edit is live.
func TestReloadingSyntaxError(t *testing.T) {
	t.Parallel()
	for _, check := range bothChecks {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			n := develop(t, check)
			old := n.worker()
			n.write("parts/inner.py", "word = 'two'\ndef broken(:\n")
			n.waitLog("changed source files are refused, the old code serves on")
			n.waitLog(`app/parts/inner\.py, line 2: SyntaxError: `)
			n.waitLog(`def broken\(:`)
			assert.Equal(t, "one one", n.text(t, "/"))
			assert.Equal(t, old, n.worker())

			n.live(t, "/", func() { n.edit("parts/inner.py", "three") })
			assert.Equal(t, "one three", n.text(t, "/"))
			assert.Equal(t, 1, n.countLog("refused"))
		})
	}
}

// What cannot be imported is told with its traceback, and the old code serves.
func TestReloadingImportError(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	old := n.worker()
	n.write("parts/inner.py", "word = 1 / 0")
	n.waitLog(`application "site_app" raised ZeroDivisionError`)
	n.waitLog(`app/parts/inner\.py", line 1`)
	assert.Equal(t, "one one", n.text(t, "/"))
	assert.Equal(t, old, n.worker())
	n.waitLog("refused, the old code serves on")

	// the module that is missing comes last
	n.write("parts/inner.py", "from parts.later import word")
	n.waitLog("No module named 'parts.later'")
	n.waitLogTimes("refused, the old code serves on", 2)
	n.live(t, "/", func() { n.write("parts/later.py", "word = 'later'") })
	assert.Equal(t, "one later", n.text(t, "/"))
}

// Nor does one pass that ends the process that tries it.
func TestReloadingImportThatExits(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	old := n.worker()
	n.write("parts/inner.py", "import os; os._exit(0)")
	n.waitLog("refused, the old code serves on")
	n.waitLog("their import: it has ended its process")
	assert.Equal(t, "one one", n.text(t, "/"))
	assert.Equal(t, old, n.worker())
}

// Without wsgi_check the failing application replaces the one that works, and
// goes on looking for edits.
func TestReloadingImportErrorUnchecked(t *testing.T) {
	t.Parallel()
	n := develop(t, "off")
	n.live(t, "/", func() { n.write("parts/inner.py", "word = 1 / 0") })
	assert.Equal(t, 500, n.get(t, "/").Status)
	n.waitLog(`application "site_app" raised ZeroDivisionError`)
	n.live(t, "/script", func() { n.edit("parts/inner.py", "two") })
	assert.Equal(t, "one two", n.text(t, "/"))
}

// A file that is needed is not missed before it is back.
func TestReloadingRemovedFile(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	require.NoError(t, os.Remove(filepath.Join(n.Dir, "app", "parts", "inner.py")))
	n.waitLog(`cannot import name 'inner' from 'parts'`)
	assert.Equal(t, "one one", n.text(t, "/"))
	n.live(t, "/", func() { n.edit("parts/inner.py", "two") })
	assert.Equal(t, "one two", n.text(t, "/"))
}

// off is the default: nothing happens, nothing is loaded for it.
func TestReloadingOff(t *testing.T) {
	t.Parallel()
	const code = "import sys\n"
	n := start(t, `
    wsgi_directory {{.Dir}}/app;
    server { listen {{.Addr}}; location / { wsgi_pass plain; } }`,
		file("app/plain.py", code+whichApp("one")))
	aSecondAfter(func() { n.write("plain.py", code+whichApp("another")) })
	assert.Equal(t, "one", n.text(t, "/"))
	assert.Zero(t, n.countLog("replaced"))
}

// A request that runs is completed by the old code, one that comes later waits
// for the new one.
func TestReloadingFinishesRequests(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	running := n.dial(t)
	running.request("GET", "/?2")
	idle := n.dial(t)
	assert.Equal(t, "one one", idle.get("/").Body)
	unused := n.dial(t)

	n.live(t, "/", func() { n.edit("parts/inner.py", "two") }) // by who has accepted the others, too
	later := n.later("GET", "/")
	idle.needClosed()
	unused.needClosed() // they hold nothing up
	r := running.reply("GET")
	assert.Equal(t, "one one", r.Body)
	running.needClosed()
	out := <-later
	require.NoError(t, out.err)
	assert.Equal(t, "one two", out.Body)
}

// While it is tried whether the new code can be imported, nobody gets the old
// one, on connections that were kept as well; if it cannot, everybody does.
func TestReloadingSlowImport(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	n.live(t, "/", func() { n.write("parts/inner.py", "import time; time.sleep(1.5); word = 'two'") })
	began := time.Now()
	assert.Equal(t, "one two", n.text(t, "/"))
	assert.Greater(t, time.Since(began), time.Second)

	n.live(t, "/", func() { n.write("parts/inner.py", "import time; time.sleep(1.5); word = 1 / 0") })
	assert.Equal(t, "one two", n.text(t, "/"))
	kept := n.dial(t)
	assert.Equal(t, "keep-alive", kept.get("/").get(t, "Connection"))
}

// Nobody waits for an import that hangs longer than for the next edit.  Until
// that is seen, the old code may have its say.
func TestReloadingImportThatHangs(t *testing.T) {
	t.Parallel()
	n := develop(t, "import")
	n.live(t, "/", func() { n.write("parts/inner.py", "import time; time.sleep(60)") })
	waits := n.later("GET", "/")
	n.edit("parts/inner.py", "two")
	n.wait("the next edit", func() bool { return n.text(t, "/") == "one two" })
	out := <-waits
	require.NoError(t, out.err)
	assert.Contains(t, out.Body, "one ")
}

// One that takes too long holds the new code up for wsgi_shutdown_timeout.
func TestReloadingIsBounded(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_shutdown_timeout 1s;"+developing("off"), allowRespawn(),
		file("app/site_app.py", site["site_app.py"]), file("app/parts/inner.py", `word = "one"`),
		file("app/script.wsgi", whichApp("one")), file("app/wrapper.py", site["wrapper.py"]))
	running := n.dial(t)
	running.request("GET", "/?60")
	assert.Equal(t, "one one", n.text(t, "/"))
	n.live(t, "/", func() { n.edit("parts/inner.py", "two") })
	assert.Equal(t, "one two", n.text(t, "/"))
	running.needClosed()
}

// Every worker looks for itself.
func TestReloadingWorkers(t *testing.T) {
	t.Parallel()
	n := develop(t, "import", workers(3))
	n.edit("parts/inner.py", "two")
	n.waitLogTimes("to be replaced", 3) // and accept nothing from then on
	for range 30 {
		w := n.dial(t)
		assert.Equal(t, "one two", w.get("/", "Connection: close").Body)
	}
}

// GET and POST by turns while files change: none fails, through a front that
// keeps connections, or without.
func TestReloadingUnderLoad(t *testing.T) {
	t.Parallel()
	for _, check := range bothChecks {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			back := start(t, "wsgi_script_reloading on; wsgi_check "+check+";"+backend, allowRespawn())
			front := start(t, frontOf(back.Sock), withoutModule(), allowFDs(16))
			for _, n := range []*instance{back, front} {
				l := startPacedLoad(t, n, 4, 5*time.Millisecond)
				for i := range 3 {
					replaced := back.countLog(pythonReady)
					l.more(100)
					text := readFile(filepath.Join(back.Apps, "kitchen", "response.py"))
					writeFile(t, filepath.Join(back.Apps, "kitchen"), "response.py",
						text+fmt.Sprintf("\n# edit %d\n", i))
					back.waitLogTimes(pythonReady, replaced+1)
				}
				l.more(100)
				l.stop()
			}
		})
	}
}

// Nobody could replace a process that has no master.
func TestReloadingSingleProcess(t *testing.T) {
	t.Parallel()
	n := develop(t, "off", singleProcess())
	n.waitLog(`"wsgi_script_reloading" is ignored: there is no master process`)
	aSecondAfter(func() { n.edit("parts/inner.py", "two") })
	assert.Equal(t, "one one", n.text(t, "/"))
}
