//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// docs/security.md says which test proves what.

const guarded = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        add_header X-Uri $uri;
        location / { wsgi_pass kitchen; }
        location /environ/dump/admin/ { deny all; }
        location /environ/dump/inside/ { internal; return 200 "inside"; }
    }
    server {
        listen {{.Addr2}};
        merge_slashes off;
        add_header X-Uri $uri;
        location / { wsgi_pass kitchen; }
        location /environ/dump/admin/ { deny all; }
    }`

// No spelling of a path leads around the location that forbids it: what the
// application routes by is what nginx has chosen the location by.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	n := start(t, guarded)
	for target, status := range map[string]int{
		"/admin/x": 403, "/./admin/x": 403, "/x/../admin/x": 403, "/%61dmin/x": 403, "/admin%2fx": 403,
		"/x/%2e%2e/admin/x": 403, "/x/..%2fadmin/x": 403, "/%2e/admin/x": 403, "/admin/x/../y": 403,
		"/x%2f..%2fadmin/x": 403, "/admin/%2e%2e/admin/": 403, "/%2561dmin/x": 200, "/Admin/x": 200,
		"/admin/../x": 200, "/admin%5cx": 200, "/x/..;/admin/x": 200, "/%c0%ae%c0%ae/admin/": 200,
		"/inside/": 404, "/x/%00": 400, "/admin%00/x": 400, "/../../../x": 400, "/%zz": 400, "/%": 400,
		"/x\x00y": 400, "/" + strings.Repeat("x", 9000): 414,
	} {
		for _, addr := range []string{n.Addr, n.Addr2} {
			w := dialTo(t, "tcp", addr)
			w.sendRaw("GET /environ/dump" + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
			r := w.reply("GET")
			if target == "/inside/" && addr == n.Addr2 {
				status = 200
			}
			require.Equal(t, status, r.Status, target)
			if status == 200 {
				var e environ
				decode(t, r.Body, &e)
				assert.Equal(t, latin1(r.get(t, "X-Uri")), e.str(t, "PATH_INFO"), target)
			}
		}
	}
	for slashes, statuses := range map[string][2]int{"//admin/x": {403, 200}, "///admin///x": {403, 200}} {
		for i, addr := range []string{n.Addr, n.Addr2} {
			r := dialTo(t, "tcp", addr).get("/environ/dump" + slashes)
			assert.Equal(t, statuses[i], r.Status, slashes)
			assert.Equal(t, i == 1, strings.Contains(r.Body, `/environ/dump`+slashes), slashes)
		}
	}
	for _, line := range []string{"GET environ/dump HTTP/1.1", "GET * HTTP/1.1", "GET  HTTP/1.1",
		"GET /environ/dump HTTP/1.1 x", "GET\t/environ/dump HTTP/1.1",
		"G<T /environ/dump HTTP/1.1", "CONNECT a:80 HTTP/1.1", "GET /environ/dump HTTP/2.0"} {
		w := n.dial(t)
		w.sendRaw(line + "\r\nHost: a\r\n\r\n")
		all, _ := io.ReadAll(io.LimitReader(w.r, 4096))
		assert.NotContains(t, string(all), "PATH_INFO", line)
	}
}

// The host by which nginx has chosen the server is the one that the
// application sees, and there is one.
func TestHostRules(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server { listen {{.Addr}} default_server; return 421; }
    server { listen {{.Addr}}; server_name a.example; location / { wsgi_pass kitchen; } }`)
	for request, want := range map[string]any{
		"GET /environ/dump HTTP/1.1\r\nHost: a.example":                              "a.example",
		"GET /environ/dump HTTP/1.1\r\nHost: A.example:81":                           "A.example:81",
		"GET /environ/dump HTTP/1.1\r\nHost: evil.example":                           421,
		"GET /environ/dump HTTP/1.1\r\nX: y":                                         400,
		"GET /environ/dump HTTP/1.1\r\nHost: a.example\r\nHost: b.example":           400,
		"GET /environ/dump HTTP/1.1\r\nHost:":                                        400,
		"GET /environ/dump HTTP/1.1\r\nHost: a.example/evil":                         400,
		"GET /environ/dump HTTP/1.1\r\nHost: a.example\x00.evil":                     400,
		"GET /environ/dump HTTP/1.1\r\nHost: a..example":                             400,
		"GET http://a.example/environ/dump HTTP/1.1\r\nHost: evil.example":           "a.example",
		"GET http://a.example:81/environ/dump HTTP/1.1\r\nHost: evil.example:82":     "a.example:81",
		"GET http://a.example/environ/dump?x HTTP/1.0":                               "a.example",
		"GET http://evil.example/environ/dump HTTP/1.1\r\nHost: a.example":           421,
		"GET http://evil@a.example/environ/dump HTTP/1.1\r\nHost: a.example":         400,
		"GET /environ/dump HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Host: b\r\nY:": "a.example",
	} {
		w := n.dial(t)
		w.sendRaw(request + "\r\n\r\n")
		r := w.reply("GET")
		if status, refused := want.(int); refused {
			assert.Equal(t, status, r.Status, "%q", request)
			continue
		}
		require.Equal(t, 200, r.Status, "%q", request)
		var e environ
		decode(t, r.Body, &e)
		assert.Equal(t, want, e.str(t, "HTTP_HOST"), "%q", request)
		assert.Equal(t, "a.example", e.str(t, "SERVER_NAME"), "%q", request)
	}
}

// What is said to nginx counts in a response of the application only, and no
// client gets to see it; X-Sendfile says nothing to nginx at all.
func TestAccelFromOutside(t *testing.T) {
	t.Parallel()
	n := start(t, redirects, file("inside/file.txt", "from the file"))
	asked := []string{"X-Accel-Redirect: /inside/file.txt", "X-Accel-Buffering: no",
		"X-Accel-Limit-Rate: 1", "X-Accel-Expires: 1", "X-Accel-Charset: koi8-r",
		"X-Sendfile: /etc/passwd"}
	assert.Equal(t, "plain", n.text(t, "/response/plain", asked...))
	e := n.environ(t, "/environ/dump", asked...)
	assert.Equal(t, "/inside/file.txt", e.str(t, "HTTP_X_ACCEL_REDIRECT"), "as any other")

	a := n.get(t, described("X-Accel-Buffering: no", "X-Accel-Limit-Rate: 100000",
		"X-Accel-Expires: 1", "X-Accel-Charset: utf-8", "X-Sendfile: /etc/hostname"))
	assert.Equal(t, "body", a.Body)
	assert.Equal(t, "/etc/hostname", a.Header.Get("X-Sendfile"))
	for name := range a.Header {
		assert.NotContains(t, name, "X-Accel")
	}
	a = n.get(t, described("X-Accel-Redirect: /etc/passwd"), asked...)
	assert.NotContains(t, a.Body, "root:", "a URI of this server, not a path")
}

// Files with bodies of requests and responses: the workers' user's, nobody
// else's, and without a name as soon as they are there.
func TestTemporaryFilesArePrivate(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_temp_path {{.Dir}}/temp/wsgi; client_body_buffer_size 1k;"+outputServer)
	_, body := askBlocks(t, n, "", 64<<10, 800, "")
	n.wait("the file of a response", func() bool { return n.spools() == 1 })
	w := n.dial(t)
	w.request("POST", "/input/x", "Content-Length: 1000000")
	w.sendRaw(strings.Repeat("x", 100000))
	n.wait("the file of a body", func() bool { return n.spools() == 2 })

	uid, gid := ids(n.worker())
	for fd, link := range fdLinks(n.worker()) {
		if !strings.HasPrefix(link, filepath.Join(n.Dir, "temp")) {
			continue
		}
		info, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", n.worker(), fd))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), link)
		owner := info.Sys().(*syscall.Stat_t)
		assert.Equal(t, [2]uint32{uint32(uid), uint32(gid)}, [2]uint32{owner.Uid, owner.Gid}, link)
		assert.True(t, strings.HasSuffix(link, " (deleted)"), link)
	}
	w.abort()
	needBlocks(t, body, 64<<10, 0, 800)
	needEnd(t, body)
	n.wait("the files to be closed", func() bool { return n.spools() == 0 })
}

// With "user", no line of Python runs as root, in no thread, and none is root
// again: at the import, in a request, in the check of the configuration.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := start(t, "wsgi_check import;"+kitchen)
	var who struct{ Imported, Now, Regained []string }
	n.json(t, &who, "/security/who")
	uid, gid := ids(n.worker())
	require.NotZero(t, uid)
	want := []string{fmt.Sprintf("Uid=%[1]d,%[1]d,%[1]d,%[1]d Gid=%[2]d,%[2]d,%[2]d,%[2]d Groups=%[2]d "+
		"CapPrm=0000000000000000 CapEff=0000000000000000 CapAmb=0000000000000000", uid, gid)}
	assert.Equal(t, want, who.Imported)
	assert.Equal(t, want, who.Now)
	assert.Empty(t, who.Regained)

	out, ok := check(t, "wsgi_check import; wsgi_directory {{.Dir}}; "+inLocation("wsgi_pass confess;"),
		file("confess.py", "import sys; sys.path.insert(0, 'apps')\nfrom kitchen.security import *\n"+
			"raise SystemError(f'{identity()} {regained()}')"))
	assert.False(t, ok)
	assert.Contains(t, out, "['"+want[0]+"'] []")
}

// Without a master nginx stays root: then there is no Python.
func TestSingleProcessIsNotRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	n := start(t, kitchen, singleProcess(), asUser("nobody nogroup"), allowUnready(),
		allowLog(`\[emerg\]`))
	needNoPython(t, n, `Python does not run as root, and "master_process off" does not switch to user "nobody"`)
}

const secret = "s3cr3t-0123456789"

// tellSecrets sends secrets to whatever may go wrong.
func tellSecrets(t *testing.T, n *instance) {
	t.Helper()
	headers := []string{"Cookie: id=" + secret, "Authorization: Bearer " + secret, "X-Own: " + secret}
	for _, c := range []string{"control", "wide", "list", "one", "three", "string", "bytes",
		"name", "tuple", "length", "hop", "twice", "accel", "fine"} {
		_, _ = n.try("GET", "/security/cookie", nil, append(headers, "X-Case: "+c)...)
	}
	for _, target := range []string{"/security/status", "/security/chunk", "/timing/sleep/0.7",
		"/response/plain", "/nowhere/x", "/failing/before", "/gate/x"} {
		_, _ = n.try("GET", target, nil, append(headers, "X-Gate: fail")...)
		_, _ = n.try("GET", target, nil, append(headers, "X-Gate: ask")...)
	}
	for _, target := range []string{"/security/body", "/rubbish/called/x", "/timing/sleep/0.7"} {
		_, _ = n.try("POST", target, strings.NewReader(strings.Repeat(secret+"\n", 2000)), headers...)
	}
	w := n.dial(t)
	w.request("POST", "/streaming/vanished/"+name(t), append(headers, "Content-Length: 100")...)
	w.sendRaw(secret)
	w.abort()
	w = n.dial(t)
	w.request("GET", "/timing/nap/20/"+name(t), headers...)
	n.notes(t, name(t), 1)
}

// Cookies, passwords and bodies are not in what the error log says: nowhere at
// all in a log without debugging, and in no line of ours in one with it.
func TestNoSecretsInLogs(t *testing.T) {
	t.Parallel()
	for level, opts := range map[string][]option{"info": nil, "debug": {debugLog()}} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			n := start(t, `
    wsgi_env PASSWORD `+secret+`;
    wsgi_zone mine 1m;
    wsgi_timeout 300ms;
    wsgi_pool steering threads=1;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        wsgi_param PASSWORD `+secret+`;
        client_body_buffer_size 1k;
        location / { wsgi_pass kitchen; }
        location /gate/ { wsgi_access gate:check; wsgi_pass kitchen; }
        location /timing/nap/ { wsgi_timeout 60s; wsgi_pass kitchen; }
        location /event/ { wsgi_timeout 0; wsgi_use_pool steering; wsgi_pass kitchen; }
        location /streaming/ { wsgi_request_buffering off; wsgi_cancel raise; wsgi_pass kitchen; }
    }`, append(opts, allowRespawn(), allowLog(`exited on signal 11`, `Segmentation fault|SIGSEGV`))...)
			tellSecrets(t, n)
			require.NoError(t, syscall.Kill(n.worker(), syscall.SIGSEGV))
			n.waitLog(`died with a request`)
			n.waitLogTimes(pythonReady, 2)

			ours := regexp.MustCompile(`wsgi|0x[0-9a-f]|goroutine|\.py"`)
			for _, line := range strings.Split(n.log(), "\n") {
				if strings.Contains(line, secret) {
					assert.False(t, level == "info" || ours.MatchString(line), line)
				}
			}
			assert.Greater(t, n.countLog(`wsgi: .*(Error|Traceback)`), 10)
		})
	}
}
