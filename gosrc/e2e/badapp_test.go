//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Applications that cannot be loaded, and what the log has to say of each.
var badApps = map[string]struct{ code, says string }{
	"syntax":     {"def application(:\n", `SyntaxError`},
	"raises":     {"raise RuntimeError('at import')\n", `RuntimeError: at import`},
	"imports":    {"import no_such_module_at_all\n", `ModuleNotFoundError: No module named 'no_such_module_at_all'`},
	"empty":      {"", `application`},
	"none":       {"application = None\n", `"application".*is None`},
	"exits":      {"import sys; sys.exit('exits at import')\n", `SystemExit: exits at import`},
	"interrupts": {"raise KeyboardInterrupt\n", `KeyboardInterrupt`},
	"encoding":   {"# -*- coding: nonsense -*-\n", `nonsense`},
	"circular":   {"from circular import application\n", `ImportError.*circular`},
	"prints":     {"raise RuntimeError('žluť ☃')\n", `RuntimeError: žluť ☃`},
}

// A failing application answers 500 with the reason in the log, at its own
// location only; the worker stays.
func TestBadApps(t *testing.T) {
	t.Parallel()
	for _, preload := range []string{"on", "off"} {
		t.Run("preload "+preload, func(t *testing.T) {
			t.Parallel()
			var opts []option
			locations := ""
			for name, app := range badApps {
				opts = append(opts, file("apps/"+name+".py", app.code))
				locations += "location /" + name + " { wsgi_pass " + name + "; }\n"
			}
			n := start(t, `
    wsgi_preload `+preload+`;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        `+locations+`
        location /absent { wsgi_pass absent_module; }
        location /absent_sub { wsgi_pass kitchen.absent; }
        location / { wsgi_pass kitchen; }
    }`, opts...)
			checkBadApps(t, n)
		})
	}
}

func checkBadApps(t *testing.T, n *instance) {
	for range 2 {
		for name := range badApps {
			assert.Equal(t, 500, n.get(t, "/"+name).Status, name)
		}
		assert.Equal(t, 500, n.get(t, "/absent").Status)
		assert.Equal(t, 500, n.get(t, "/absent_sub").Status)
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
	}
	for _, app := range badApps {
		n.waitLog(app.says)
	}
	n.waitLog(`"absent_module" cannot be loaded: No module named 'absent_module'`)
	n.waitLog(`No module named 'kitchen\.absent'`)
	n.waitLog(`File ".*/raises\.py", line 1`)
	n.waitLog(`File ".*/syntax\.py", line 1`)
}

// An import that failed says so again at each request, with its context.
func TestBadAppTellsEachRequest(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}}; location / { wsgi_pass raises; } }`,
		file("apps/raises.py", "raise RuntimeError('at import')\n"))
	for i := range 2 {
		assert.Equal(t, 500, n.get(t, "/").Status)
		n.waitLogTimes(`\[error\] .*raises`+inContext, i+1)
	}
}

// A virtualenv that cannot be used: Python does not start, nginx serves on.
func TestBadVirtualenv(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		says string
	}{
		"no virtualenv": {func(*testing.T, string) {}, "holds no Python"},
		"another version": {func(t *testing.T, dir string) {
			writeFile(t, dir, "pyvenv.cfg", "home = /usr/bin\nversion = 3.2.1\n")
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "lib/python3.2/site-packages"), 0o755))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
			require.NoError(t, os.Symlink(the.python, filepath.Join(dir, "bin/python")))
		}, `3\.2`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp(the.base, "bad-venv-")
			require.NoError(t, err)
			require.NoError(t, os.Chmod(dir, 0o755))
			c.make(t, dir)

			n := start(t, "wsgi_python_home "+dir+";"+kitchen, allowUnready(), allowLog(`\[crit\].*no Python`))
			assert.Equal(t, 500, n.get(t, "/response/plain").Status)
			assert.Equal(t, "nginx", n.text(t, "/nginx"))
			n.waitLog(`\[crit\].*(` + c.says + `)`)
			assert.Contains(t, n.log(), dir)
		})
	}
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

// A library that "nginx -t" takes for one and that the worker cannot load:
// every location without Python serves on.
func TestLibraryCannotBeLoaded(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(the.base, "library-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "broken.so")
	marker := "ngx_wsgi runtime, ABI " + abiOf(t, the.lib) + "\x00"
	writeFile(t, dir, "broken.so", "\x7fELF"+strings.Repeat("garbage", 100)+marker)

	n := start(t, kitchen, mainContext("wsgi_library "+path+";"), allowUnready(),
		allowLog(`\[emerg\].*(library|cannot run Python)`), workers(2))
	assert.Equal(t, 500, n.get(t, "/response/plain").Status)
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
	n.waitLogTimes(`\[emerg\].*library`, 2)
	n.waitLog(`\[error\].*` + inContext + `GET /response/plain`)
}

// abiOf reads the number behind the library's marker.
func abiOf(t *testing.T, lib string) string {
	t.Helper()
	_, after, found := strings.Cut(readFile(lib), "ngx_wsgi runtime, ABI ")
	require.True(t, found, "the library has no marker")
	number, _, found := strings.Cut(after[:20], "\x00")
	require.True(t, found, "the marker does not end")
	return number
}

// What the workers' user may not read is told as what it is.
func TestUnreadableApplication(t *testing.T) {
	t.Parallel()
	if the.user == "" {
		t.Skip("privileges are dropped by root only")
	}
	dir, err := os.MkdirTemp(the.base, "private-")
	require.NoError(t, err)
	writeFile(t, dir, "private.py", "application = None\n") // 0700: of root

	n := start(t, `
    server {
        listen {{.Addr}};
        location / { wsgi_pass `+dir+`/private.py; }
        location /nginx { return 200 "nginx"; }
    }`)
	assert.Equal(t, 500, n.get(t, "/").Status)
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
	n.waitLog(`private\.py.*Permission denied`)
}
