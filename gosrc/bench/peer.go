// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// peer is another way to run the hello application: a process behind nginx,
// which talks to it over a UNIX socket.
type peer struct {
	Name    string
	What    string
	Program string   // in the virtualenv or on PATH
	Args    []string // with SOCKET, APPS and THREADS
	Module  string   // of Python, that has to be there
	UWSGI   bool     // speaks uwsgi, and not HTTP
}

// front is this module in an nginx of its own, as it is meant to be deployed.
const front = "front"

var peers = []peer{
	{Name: front, What: "hello, nginx in front of ngx_wsgi"},
	{
		Name: "uwsgi", What: "hello, nginx and uWSGI", Program: "uwsgi", UWSGI: true,
		Args: strings.Fields("--plugin python3 --master --need-app --disable-logging " +
			"--threads THREADS --socket SOCKET --chmod-socket=666 --listen 100 " +
			"--chdir APPS --module plain:hello"),
	},
	{
		Name: "gunicorn", What: "hello, nginx and gunicorn (threads)", Program: "gunicorn",
		Args: strings.Fields("--worker-class gthread --threads THREADS --bind unix:SOCKET " +
			"--chdir APPS plain:hello"),
	},
	{
		Name: "gunicorn-sync", What: "hello, nginx and gunicorn (sync)", Program: "gunicorn",
		Args: strings.Fields("--bind unix:SOCKET --chdir APPS plain:hello"),
	},
	{
		Name: "bjoern", What: "hello, nginx and bjoern", Program: "python3", Module: "bjoern",
		Args: []string{"-c", "import sys; sys.path.insert(0, 'APPS')\n" +
			"import bjoern, plain; bjoern.run(plain.hello, 'unix:SOCKET')"},
	},
	{
		Name: "waitress", What: "hello, nginx and waitress", Program: "waitress-serve",
		Args: strings.Fields("--threads=THREADS --unix-socket=SOCKET " +
			"--unix-socket-perms=666 plain:hello"),
	},
}

func peerNames() string {
	var list []string
	for _, p := range peers {
		list = append(list, p.Name)
	}
	return strings.Join(list, ",")
}

// choosePeers returns the workloads of the peers that a list names, and why
// some of them are left out.
func choosePeers(list, venv string) (chosen []workload, skipped []string, err error) {
	if list == "" {
		return nil, nil, nil
	}
	for _, name := range strings.Split(list, ",") {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.Name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("there is no peer %q, but: %s", name, peerNames())
		}
		p := &peers[i]
		if p.Name != front {
			if _, err := p.find(venv); err != nil {
				skipped = append(skipped, name+": "+err.Error())
				continue
			}
		}
		chosen = append(chosen, workload{
			Name: p.Name, What: p.What, Size: helloSize, site: site{Peer: p},
		})
	}
	return chosen, skipped, nil
}

// find returns the program's path, that of the virtualenv first, or why it
// cannot be run.
func (p *peer) find(venv string) (string, error) {
	path := filepath.Join(venv, "bin", p.Program)
	if _, err := os.Stat(path); venv == "" || err != nil {
		if path, err = exec.LookPath(p.Program); err != nil {
			return "", errors.New(p.Program + " is neither in the virtualenv nor on PATH")
		}
	}
	if p.Module != "" && exec.Command(path, "-c", "import "+p.Module).Run() != nil {
		return "", fmt.Errorf("%s has no module %s", path, p.Module)
	}
	return path, nil
}

// spawnPeer starts what is behind nginx, and returns the configuration of the
// nginx before it.
func (w *workshop) spawnPeer(s *server, p *peer) (conf, error) {
	socket := filepath.Join(s.dir, "socket")
	c := conf{Location: uwsgiParams() + fmt.Sprintf("uwsgi_pass unix:%s;", socket)}
	if !p.UWSGI {
		c.HTTP = fmt.Sprintf("upstream peer { server unix:%s; keepalive %d; "+
			"keepalive_requests 1000; }", socket, w.connections)
		c.Location = `proxy_pass http://peer; proxy_http_version 1.1;
            proxy_set_header Connection "";`
	}

	if p.Name == front {
		back, err := w.wsgi(site{App: "plain:hello"})
		if err != nil {
			return c, err
		}
		back.Dir, back.Listen = filepath.Join(s.dir, "back"), "unix:"+socket
		if err = os.Mkdir(back.Dir, 0o755); err != nil {
			return c, err
		}
		return c, w.spawnNginx(s, back)
	}
	return c, w.spawnProgram(s, p, socket)
}

// spawnProgram starts a peer as the user who runs the benchmark, with a umask
// that lets nginx's workers use the socket.
func (w *workshop) spawnProgram(s *server, p *peer, socket string) error {
	path, err := p.find(w.venv)
	if err != nil {
		return err
	}
	words := strings.NewReplacer("SOCKET", socket, "APPS", w.apps(),
		"THREADS", strconv.Itoa(w.threads))
	args := []string{"-c", `umask 0; exec "$@"`, "sh", path}
	for _, arg := range p.Args {
		args = append(args, words.Replace(arg))
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = w.apps()
	return s.spawn(cmd)
}

// uwsgiParams are those of the file uwsgi_params that comes with nginx.
func uwsgiParams() string {
	var b strings.Builder
	for _, param := range []string{
		"QUERY_STRING $query_string", "REQUEST_METHOD $request_method",
		"CONTENT_TYPE $content_type", "CONTENT_LENGTH $content_length",
		"REQUEST_URI $request_uri", "PATH_INFO $document_uri",
		"DOCUMENT_ROOT $document_root", "SERVER_PROTOCOL $server_protocol",
		"REQUEST_SCHEME $scheme", "HTTPS $https if_not_empty",
		"REMOTE_ADDR $remote_addr", "REMOTE_PORT $remote_port",
		"SERVER_PORT $server_port", "SERVER_NAME $server_name",
	} {
		fmt.Fprintf(&b, "uwsgi_param %s;\n            ", param)
	}
	return b.String()
}
