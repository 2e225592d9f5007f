//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// check runs "nginx -t" and returns what it says, and whether it agrees.
func check(t *testing.T, conf string, opts ...option) (string, bool) {
	t.Helper()
	s := newSettings(opts)
	p := newPlace(t, s.files)
	args := slices.Concat(s.launcher,
		[]string{the.nginx, "-t", "-p", p.Dir, "-c", p.writeConf(t, conf, s)})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err, "%s", out)
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", out)
	}
	return string(out) + readFile(p.Dir+"/error.log"), err == nil
}

// inLocation puts directives into a location.
func inLocation(text string) string {
	return "server { listen {{.Addr}}; location /here { " + text + " } }"
}

// Values that nginx has to refuse, and the words that it has to say.
var wrongConfigs = []struct{ conf, says string }{
	// numbers of arguments and plain values
	{"wsgi_threads;", `invalid number of arguments in "wsgi_threads" directive`},
	{"wsgi_threads 0;", `value must be between 1 and`},
	{"wsgi_threads -1;", `invalid number`},
	{"wsgi_threads many;", `invalid number`},
	{"wsgi_threads 100000;", `value must be between 1 and`},
	{"wsgi_threads 4; wsgi_threads 4;", `"wsgi_threads" directive is duplicate`},
	{"wsgi_python_optimize 3;", `value must be between 0 and 2`},
	{"wsgi_python_optimize on;", `invalid number`},
	{"wsgi_preload maybe;", `invalid value "maybe" in "wsgi_preload" directive, it must be "on" or "off"`},
	{"wsgi_start_timeout soon;", `"wsgi_start_timeout" directive invalid value`},
	{"wsgi_shutdown_timeout -1s;", `"wsgi_shutdown_timeout" directive invalid value`},
	{"wsgi_timeout 1x;", `"wsgi_timeout" directive invalid value`},
	{"wsgi_buffers 8;", `invalid number of arguments in "wsgi_buffers" directive`},
	{"wsgi_pass_request_body 1;", `it must be "on" or "off"`},
	{"wsgi_pass_request_headers;", `invalid number of arguments`},
	{"wsgi_pass_authorization yes;", `it must be "on" or "off"`},
	{"wsgi_ignore_headers Set-Cookie;", `invalid value "Set-Cookie"`},
	{"wsgi_ignore_headers X-Accel-Expires;", `invalid value "X-Accel-Expires"`},
	{"wsgi_hide_header;", `invalid number of arguments in "wsgi_hide_header"`},
	{"wsgi_pass_header a b;", `invalid number of arguments in "wsgi_pass_header"`},
	{"wsgi_intercept_errors maybe;", `invalid value "maybe" in "wsgi_intercept_errors"`},
	{"wsgi_nothing on;", `unknown directive "wsgi_nothing"`},

	// contexts
	{inLocation("wsgi_threads 4;"), `"wsgi_threads" directive is not allowed here`},
	{inLocation("wsgi_python_home /usr;"), `directive is not allowed here`},
	{inLocation("wsgi_env A b;"), `directive is not allowed here`},
	{"wsgi_pass app;", `"wsgi_pass" directive is not allowed here`},
	{"wsgi_library /tmp/x.so;", `"wsgi_library" directive is not allowed here`},

	// files and directories
	{"wsgi_python_home /nonexistent/venv;", `/nonexistent/venv`},
	{"wsgi_python_home {{.Dir}}/a-file;", `/a-file" is not a directory`},
	{"wsgi_directory /nonexistent/dir;", `/nonexistent/dir`},
	{"wsgi_python_executable /nonexistent/python;", `/nonexistent/python`},
	{"wsgi_python_executable {{.Dir}};", `" is not a file`},
	{"wsgi_python_path \"\";", `wsgi_python_path`},

	// pools
	{"wsgi_pool;", `invalid number of arguments in "wsgi_pool" directive`},
	{"wsgi_pool a;", `pool "a" must have the "threads" parameter`},
	{"wsgi_pool a threads=0;", `invalid parameter "threads=0"`},
	{"wsgi_pool a threads=x;", `invalid parameter "threads=x"`},
	{"wsgi_pool a threads=2 queue=-1;", `invalid parameter "queue=-1"`},
	{"wsgi_pool a threads=2 queue_timeout=x;", `invalid parameter "queue_timeout=x"`},
	{"wsgi_pool a threads=2 color=red;", `invalid parameter "color=red"`},
	{"wsgi_pool a threads=1; wsgi_pool a threads=2;", `duplicate pool "a"`},
	{"wsgi_threads 4; wsgi_pool default threads=4;", `pool "default"`},
	{"wsgi_use_pool nobody;" + inLocation("wsgi_pass app;"), `wsgi_pool nobody`},
	{inLocation("wsgi_use_pool a; wsgi_use_pool a; wsgi_pass app;"), `is duplicate`},

	// the zone
	{"wsgi_zone one;", `invalid number of arguments in "wsgi_zone" directive`},
	{"wsgi_zone one 1x;", `invalid zone size "1x"`},
	{"wsgi_zone one 4k;", `zone "one" is too small`},
	{"wsgi_zone \"\" 1m;", `"wsgi_zone" directive has an empty name`},
	{"wsgi_zone one 1m; wsgi_zone two 1m;", `"wsgi_zone" directive is duplicate`},
	{"limit_req_zone $uri zone=one:1m rate=1r/s; wsgi_zone one 1m;",
		`the shared memory zone "one" is already declared for a different use`},
	{inLocation("wsgi_zone one 1m;"), `"wsgi_zone" directive is not allowed here`},

	// recycling
	{"wsgi_max_requests;", `invalid number of arguments in "wsgi_max_requests" directive`},
	{"wsgi_max_requests -1;", `invalid value "-1"`},
	{"wsgi_max_requests 10m;", `invalid value "10m"`},
	{"wsgi_max_requests 10 10;", `invalid parameter "10"`},
	{"wsgi_max_requests 10 jitter=;", `invalid parameter "jitter="`},
	{"wsgi_max_requests 10 jitter=x;", `invalid parameter "jitter=x"`},
	{"wsgi_max_requests 0 jitter=5;", `"wsgi_max_requests" directive has a jitter, but no limit`},
	{"wsgi_max_requests 1; wsgi_max_requests 2;", `is duplicate`},
	{"wsgi_max_lifetime often;", `invalid value "often"`},
	{"wsgi_max_lifetime 1h jitter=1q;", `invalid parameter "jitter=1q"`},
	{"wsgi_max_rss 1h;", `invalid value "1h"`},
	{"wsgi_max_rss 512;", `"wsgi_max_rss" directive must be 0 or at least 1m`},
	{"wsgi_max_rss 512m jitter=all;", `invalid parameter "jitter=all"`},
	{inLocation("wsgi_max_rss 512m;"), `"wsgi_max_rss" directive is not allowed here`},

	// wsgi_pass
	{inLocation("wsgi_pass;"), `invalid number of arguments in "wsgi_pass" directive`},
	{inLocation("wsgi_pass \"\";"), `invalid application ""`},
	{inLocation("wsgi_pass a; wsgi_pass b;"), `is duplicate`},
	{inLocation("wsgi_pass a b;"), `write "a:b"`},
	{inLocation("wsgi_pass a:;"), `invalid application "a:"`},
	{inLocation("wsgi_pass :a;"), `invalid application ":a"`},
	{inLocation("wsgi_pass a..b;"), `invalid application "a..b"`},
	{inLocation("wsgi_pass a:b:c;"), `invalid application "a:b:c"`},
	{inLocation("wsgi_pass a-b;"), `invalid application "a-b"`},
	{inLocation("wsgi_pass 1a;"), `invalid application "1a"`},
	{inLocation("wsgi_pass a:b(1);"), `invalid application "a:b(1)"`},
	{inLocation("wsgi_pass a:();"), `invalid application "a:()"`},
	{inLocation("wsgi_pass $app;"), `variables`},
	{inLocation("wsgi_pass app.py;"), `"app.py" looks like a file`},
	{inLocation("wsgi_pass /a/b.py 1x;"), `invalid callable "1x"`},

	// the rest
	{"wsgi_env A;", `invalid number of arguments in "wsgi_env" directive`},
	{"wsgi_env A=B c;", `invalid name of an environment variable "A=B"`},
	{"wsgi_env \"\" c;", `invalid name of an environment variable ""`},
	{"wsgi_env A b; wsgi_env A c;", `the environment variable "A" is set twice`},
	{"wsgi_param A;", `invalid number of arguments in "wsgi_param" directive`},
	{"wsgi_param A b c;", `invalid parameter "c"`},
	{"wsgi_param \"\" b;", `"" cannot be set`},
	{"wsgi_param wsgi.input b;", `"wsgi.input" cannot be set`},
	{"wsgi_param A $nothing_at_all;", `unknown "nothing_at_all" variable`},
	{"wsgi_script_name admin;", `invalid value "admin"`},
	{"wsgi_script_name $uri;", `invalid value "$uri"`},
	{"server { listen {{.Addr}}; wsgi_script_name auto; location ~ ^/here { wsgi_pass app; } }",
		`"wsgi_script_name auto" has no prefix to take in location "^/here"`},
}

// "nginx -t" says what is wrong, and in which line.
func TestWrongConfig(t *testing.T) {
	t.Parallel()
	for _, c := range wrongConfigs {
		t.Run(strings.ReplaceAll(c.conf, "/", "|"), func(t *testing.T) {
			out, ok := check(t, c.conf, file("a-file", ""))
			require.False(t, ok, out)
			assert.Contains(t, out, "[emerg]")
			if !strings.Contains(c.says, "variable") { // nginx has no line for it
				assert.Contains(t, out, "nginx.conf:")
			}
			assert.Contains(t, out, c.says)
			assert.NotContains(t, out, "Traceback")
		})
	}
}

// How large a zone has to be depends on all else.
func TestZoneTooSmall(t *testing.T) {
	t.Parallel()
	for threads, fits := range map[int]bool{10: true, 64: false} {
		out, ok := check(t, fmt.Sprintf("wsgi_zone one 80k; wsgi_threads %d;", threads)+
			inLocation("wsgi_pass app;"))
		assert.Equal(t, fits, ok, out)
		assert.Equal(t, !fits, strings.Contains(out, fmt.Sprintf(`[emerg] "wsgi_zone" "one" is`+
			` too small: 81920 bytes have no place for 4 workers, those of a reload`+
			` included, of %d threads each`, threads)), out)
	}
}

// What has to be accepted, with every directive of the interface.
func TestRightConfig(t *testing.T) {
	t.Parallel()
	out, ok := check(t, `
    wsgi_python_home /usr;
    wsgi_python_path {{.Apps}} /nonexistent/but/may/come;
    wsgi_python_executable {{.Dir}}/a-file;
    wsgi_python_optimize 1;
    wsgi_directory {{.Apps}};
    wsgi_env A b;
    wsgi_env B "";
    wsgi_threads 4;
    wsgi_pool default queue=10 queue_timeout=1s;
    wsgi_pool slow threads=2;
    wsgi_pool no_queue threads=2 queue=1 queue_timeout=0;
    wsgi_preload off;
    wsgi_start_timeout 10s;
    wsgi_shutdown_timeout 500ms;
    wsgi_zone shared 64k;
    wsgi_max_requests 10000 jitter=1000;
    wsgi_max_lifetime 1d jitter=1h;
    wsgi_max_rss 512m jitter=64m;
    wsgi_use_pool slow;
    wsgi_timeout 10s;
    wsgi_param A b;
    wsgi_buffers 4 4k;
    server {
        listen {{.Addr}};
        wsgi_pass_request_headers on;
        wsgi_pass_request_body on;
        wsgi_pass_authorization off;
        wsgi_script_name auto;
        location / { wsgi_pass forms.plain; }
        location /a { wsgi_pass forms.plain:other; wsgi_param B $uri if_not_empty; }
        location /b { wsgi_pass forms.plain:factory(); wsgi_script_name off; }
        location /c { wsgi_pass {{.Apps}}/forms/script.wsgi.py; wsgi_use_pool default; }
        location /d { wsgi_pass {{.Apps}}/forms/script.wsgi.py other; wsgi_timeout 0; }
        location /e { wsgi_pass _a1.b_2:c.d.e; wsgi_script_name /e; }
        location ~ ^/f { limit_except GET { wsgi_pass forms.plain; } }
    }`, file("a-file", ""))
	require.True(t, ok, out)
	assert.NotContains(t, out, "[warn]")
}

// A library that is missing, none, or of another version is told by
// "nginx -t", which never loads it.
func TestWrongLibrary(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(the.base, "library-")
	require.NoError(t, err)
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
		return path
	}
	crash := "\x7fELF" + strings.Repeat("garbage", 1000)

	for path, says := range map[string]string{
		filepath.Join(dir, "missing.so"): "cannot be opened",
		write("empty.so", ""):            "is not a library of ngx_wsgi",
		write("text.so", "a text"):       "is not a library of ngx_wsgi",
		write("elf.so", crash):           "is not a library of ngx_wsgi",
		dir:                              dir,
		write("old.so", crash+"ngx_wsgi runtime, ABI 0\x00"):   "its ABI is 0, the module's",
		write("new.so", crash+"ngx_wsgi runtime, ABI 999\x00"): "its ABI is 999, the module's",
	} {
		out, ok := check(t, inLocation("wsgi_pass app;"), mainContext("wsgi_library "+path+";"))
		assert.False(t, ok, out)
		assert.Contains(t, out, says)
		assert.Contains(t, out, path)
	}
}

// A module alone, without wsgi_library, says where it looked.
func TestMissingLibraryBeside(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(the.base, "alone-")
	require.NoError(t, err)
	alone := filepath.Join(dir, "ngx_http_wsgi_module.so")
	require.NoError(t, copyFile(the.module, alone))
	out, ok := check(t, inLocation("wsgi_pass app;"), moduleAt(alone))
	assert.False(t, ok)
	assert.Contains(t, out, dir+"/libngx_wsgi.so")
	assert.Contains(t, out, "wsgi_library")
}

// "nginx -t" never loads Go or Python.
func TestCheckLoadsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	conf := p.writeConf(t, kitchen, newSettings(nil))
	cmd := exec.Command(the.nginx, "-t", "-p", p.Dir, "-c", conf)
	cmd.Env = append(cleanEnv(), "LD_DEBUG=files")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "ngx_http_wsgi_module.so", "LD_DEBUG does not work")
	assert.NotContains(t, string(out), "file=libpython")
	assert.NotContains(t, string(out), "file="+the.lib)
}
