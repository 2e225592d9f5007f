// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed apps
var apps embed.FS

// workshop is what the servers of a run share: a directory that the workers'
// user can read, with copies of all that they need, because the repository may
// be beneath a private path.
type workshop struct {
	dir    string
	nginx  string
	module string
	venv   string
	user   string // argument of "user", empty when not started by root

	threads     int
	connections int
	load        string // average of the machine, at the beginning
}

// newWorkshop makes the directory; close removes it.
func newWorkshop(threads, connections int) (*workshop, error) {
	dir, err := os.MkdirTemp("", "nwsgi-bench-")
	if err != nil {
		return nil, err
	}
	load, _, _ := strings.Cut(read("/proc/loadavg"), " ")
	w := &workshop{
		dir: dir, load: load, threads: threads, connections: connections, user: workersUser(),
		nginx: os.Getenv("NWSGI_NGINX"), venv: os.Getenv("NWSGI_VENV"),
	}
	if err = w.fill(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *workshop) close() {
	if os.Getenv("NWSGI_LEAVE") == "" {
		_ = os.RemoveAll(w.dir)
	}
}

func (w *workshop) fill() error {
	from := os.Getenv("NWSGI_MODULE")
	if w.nginx == "" || from == "" {
		return fmt.Errorf("NWSGI_NGINX and NWSGI_MODULE are not set: source build/env.sh")
	}
	if err := os.Chmod(w.dir, 0o755); err != nil {
		return err
	}
	w.module = filepath.Join(w.dir, filepath.Base(from))
	library := filepath.Join(filepath.Dir(from), "libngx_wsgi.so")
	return errors.Join(
		os.CopyFS(w.dir, apps),
		copyFile(from, w.module),
		copyFile(library, filepath.Join(w.dir, filepath.Base(library))),
	)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()

	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// workersUser returns "name group" for the "user" directive, or nothing when
// privileges cannot be dropped.
func workersUser() string {
	if os.Getuid() != 0 {
		return ""
	}
	if _, err := user.LookupGroup("nogroup"); err == nil {
		return "nobody nogroup"
	}
	return "nobody nobody"
}

func (w *workshop) apps() string { return filepath.Join(w.dir, "apps") }

func (w *workshop) sitePackages() string {
	found, _ := filepath.Glob(filepath.Join(w.venv, "lib", "python3.*", "site-packages"))
	if w.venv == "" || len(found) != 1 {
		return ""
	}
	return found[0]
}

// has says whether a package is installed in the virtualenv.
func (w *workshop) has(name string) bool {
	site := w.sitePackages()
	_, err := os.Stat(filepath.Join(site, name))
	return site != "" && err == nil
}

// packages returns a readable copy of what is installed in the virtualenv.
func (w *workshop) packages() (string, error) {
	dir := filepath.Join(w.dir, "packages")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, os.CopyFS(dir, os.DirFS(w.sitePackages()))
}

// conf fills in nginx.conf.
type conf struct {
	Dir, Module, User, Listen, HTTP, Location string
}

var confTemplate = template.Must(template.New("nginx.conf").Parse(`
{{- with .Module}}load_module {{.}};
{{end}}{{with .User}}user {{.}};
{{end -}}
daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log warn;
events {
    worker_connections 4096;
}
http {
    access_log off;
    client_max_body_size 0;
    keepalive_requests 1000;
    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    {{.HTTP}}
    server {
        listen {{.Listen}};
        root {{.Dir}};
        location / {
            {{.Location}}
        }
    }
}
`))

// spawnNginx starts nginx in a directory of the server's.
func (w *workshop) spawnNginx(s *server, c conf) error {
	c.User = w.user
	var b strings.Builder
	if err := confTemplate.Execute(&b, c); err != nil {
		return err
	}
	path := filepath.Join(c.Dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return s.spawn(exec.Command(w.nginx, "-p", c.Dir, "-c", path))
}

// wsgi is the configuration that runs an application in nginx.
func (w *workshop) wsgi(t site) (conf, error) {
	c := conf{
		Module: w.module,
		HTTP: fmt.Sprintf("wsgi_directory %s;\n    wsgi_threads %d;\n",
			w.apps(), w.threads),
		Location: fmt.Sprintf("wsgi_pass %s; %s", t.App, t.Location),
	}
	if t.Package != "" {
		dir, err := w.packages()
		if err != nil {
			return c, err
		}
		c.HTTP += fmt.Sprintf("    wsgi_python_path %s;\n", dir)
	}
	return c, nil
}

// start runs the server of a workload and returns when it answers.
func (w *workshop) start(ctx context.Context, load workload) (*server, error) {
	s := &server{name: load.Name, dir: filepath.Join(w.dir, load.Name)}
	err := w.spawnSite(s, load)
	if err == nil {
		err = s.awaitReady(ctx, load)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (w *workshop) spawnSite(s *server, load workload) (err error) {
	if s.addr, err = freeAddr(); err != nil {
		return err
	}
	if err = os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	if err = w.linkFile(s, load.Size); err != nil {
		return err
	}

	c := conf{Location: load.Location}
	switch {
	case load.Peer != nil:
		c, err = w.spawnPeer(s, load.Peer)
	case load.App != "":
		c, err = w.wsgi(load.site)
	}
	if err != nil {
		return err
	}
	c.Dir, c.Listen = s.dir, s.addr
	return w.spawnNginx(s, c)
}

// linkFile gives a server the file of that size, the same to all.
func (w *workshop) linkFile(s *server, size int) error {
	path := filepath.Join(w.dir, fmt.Sprintf("%s-%d", fileName, size))
	if _, err := os.Stat(path); err != nil {
		if err = os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			return err
		}
	}
	return os.Link(path, filepath.Join(s.dir, fileName))
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
