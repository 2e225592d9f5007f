//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
)

// settings are what an option may change of the way nginx is started.
type settings struct {
	workers     int
	main        string
	events      string
	level       string
	noMaster    bool
	daemon      bool
	noModule    bool
	module      string
	env         []string
	files       map[string]string
	allow       []string
	respawn     bool
	unready     bool
	newFDs      int
	user        string
	launcher    []string
	connections int
}

type option func(*settings)

// workers sets the number of worker processes, 1 if not said.
func workers(n int) option { return func(s *settings) { s.workers = n } }

// mainContext adds directives to nginx's main context.
func mainContext(text string) option { return func(s *settings) { s.main += text + "\n" } }

// eventsContext adds directives to the events block.
func eventsContext(text string) option { return func(s *settings) { s.events += text + "\n" } }

// debugLog has the error log at debug, for nginx built with --with-debug.
func debugLog() option { return func(s *settings) { s.level = "debug" } }

// singleProcess runs without a master.
// Root stays root then, and Python runs as root only if "user" says so.
func singleProcess() option {
	return func(s *settings) {
		s.noMaster = true
		if s.user != "" {
			s.user = "root"
		}
	}
}

// asUser sets the "user" of the workers, which takes root to do.
func asUser(name string) option { return func(s *settings) { s.user = name } }

// launcher is a command that becomes nginx, whose command line follows.
func launcher(args ...string) option { return func(s *settings) { s.launcher = args } }

// connections sets worker_connections.
func connections(n int) option { return func(s *settings) { s.connections = n } }

// withoutModule starts an nginx that has never heard of WSGI.
func withoutModule() option { return func(s *settings) { s.noModule = true } }

// moduleAt loads the module from elsewhere.
func moduleAt(path string) option { return func(s *settings) { s.module = path } }

// environment adds "NAME=value" entries to nginx's environment.
func environment(entries ...string) option {
	return func(s *settings) { s.env = append(s.env, entries...) }
}

// file writes a file below the instance's Dir before the start.
func file(name, content string) option {
	return func(s *settings) { s.files[name] = content }
}

// allowLog accepts error log lines that would fail the test at its end.
func allowLog(patterns ...string) option {
	return func(s *settings) { s.allow = append(s.allow, patterns...) }
}

// allowRespawn accepts that the workers at the end are not those of the start.
func allowRespawn() option { return func(s *settings) { s.respawn = true } }

// allowUnready does not wait for Python: it will not come up in this test.
func allowUnready() option { return func(s *settings) { s.unready = true } }

// allowFDs accepts n more descriptors at the end than after the start, for an
// application that opens something and keeps it.
func allowFDs(n int) option { return func(s *settings) { s.newFDs = n } }

const mainTemplate = `{{if .Module}}load_module {{.Module}};{{end}}
{{if .User}}user {{.User}};{{end}}
daemon {{if .Daemon}}on{{else}}off{{end}};
master_process {{if .NoMaster}}off{{else}}on{{end}};
worker_processes {{.Workers}};
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log {{.Level}};
env TMPDIR={{.Dir}}/var;
{{if .Sanitized}}env PYTHONMALLOC=malloc;{{end}}
{{.Main}}
events {
    worker_connections {{.Connections}};
    {{.Events}}
}
http {
    {{.Check}}
    access_log {{.Dir}}/access.log;
    client_body_temp_path {{.Dir}}/temp/body;
    proxy_temp_path {{.Dir}}/temp/proxy;
    fastcgi_temp_path {{.Dir}}/temp/fastcgi;
    uwsgi_temp_path {{.Dir}}/temp/uwsgi;
    scgi_temp_path {{.Dir}}/temp/scgi;
    {{.HTTP}}
}
`

// place is what a configuration in a test can refer to.
type place struct {
	Dir   string // the test's own directory
	Apps  string // its copy of the test applications
	Var   string // a directory that the workers can write
	Addr  string // first listening address, host:port
	Addr2 string // another one
	Sock  string // path for a UNIX socket
	Lib   string // the library
	venv  func() string
}

// Venv is a virtualenv with the frameworks.
func (p *place) Venv() string { return p.venv() }

func newPlace(t *testing.T, files map[string]string) *place {
	t.Helper()

	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(t.Name(), "-")
	dir, err := os.MkdirTemp(the.base, name[:min(len(name), 60)]+"-")
	require.NoError(t, err)

	p := &place{
		Dir:   dir,
		Apps:  filepath.Join(dir, "apps"),
		Var:   filepath.Join(dir, "var"),
		Sock:  filepath.Join(dir, "nginx.sock"),
		Addr:  the.freeAddr(t),
		Addr2: the.freeAddr(t),
		Lib:   the.lib,
		venv:  func() string { return the.virtualenv(t) },
	}

	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(p.Var, 0o777))
	require.NoError(t, os.Chmod(p.Var, 0o777))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "temp"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "logs"), 0o755)) // an nginx from source begins there
	require.NoError(t, copyTree("apps", p.Apps, copyFile))

	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}

	t.Cleanup(func() {
		if os.Getenv("NWSGI_LEAVE") != "" {
			t.Logf("left: %s", dir)
		} else {
			_ = os.RemoveAll(dir)
		}
	})
	return p
}

// render fills in a template of the test.
func (p *place) render(t *testing.T, text string) string {
	return render(t, text, p)
}

func render(t *testing.T, text string, data any) string {
	t.Helper()
	tmpl, err := template.New("conf").Option("missingkey=error").Parse(text)
	require.NoError(t, err)

	var b strings.Builder
	require.NoError(t, tmpl.Execute(&b, data))
	return b.String()
}

// writeConf writes nginx.conf and returns its path.  "http" is the content of
// the http block, a template over place.
func (p *place) writeConf(t *testing.T, http string, s *settings) string {
	t.Helper()

	module := the.module
	if s.module != "" {
		module = s.module
	}
	if s.noModule {
		module = ""
	}

	// what every start of a test would pay for, and what those with broken
	// applications must not have; see deploy_test.go
	check := "wsgi_check off;"
	if module == "" || strings.Contains(http, "wsgi_check") {
		check = ""
	}

	text := render(t, mainTemplate, map[string]any{
		"Check": check, "Module": module, "User": s.user, "NoMaster": s.noMaster,
		"Daemon":  s.daemon,
		"Workers": s.workers, "Dir": p.Dir, "Level": s.level, "Events": s.events,
		"Connections": s.connections, "Sanitized": sanitized,
		"Main": p.render(t, s.main), "HTTP": p.render(t, http),
	})

	path := filepath.Join(p.Dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// Listening ports are taken below the range from which the kernel gives
// outgoing connections theirs, each one once in a run.
const (
	portMin = 10000
	portMax = 32000
)

func firstPort() int { return portMin + os.Getpid()*37%(portMax-portMin) }

// freeAddr returns a loopback address that nobody listens on.
func (s *suite) freeAddr(t *testing.T) string {
	t.Helper()
	s.portLock.Lock()
	defer s.portLock.Unlock()

	for range 1000 {
		s.port++
		if s.port >= portMax {
			s.port = portMin
		}
		addr := fmt.Sprintf("127.0.0.1:%d", s.port)
		if l, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, l.Close())
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
