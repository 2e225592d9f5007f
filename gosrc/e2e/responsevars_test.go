//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Two servers that differ in nothing but the way to the application: what
// $wsgi_http_NAME is to wsgi_pass, $upstream_http_NAME is to proxy_pass.
const responseVariables = `
    log_format ours '$uri|$wsgi_http_x_a|$wsgi_http_content_type|$wsgi_cookie_id|$wsgi_http_none|$wsgi_cookie_none';
    log_format theirs '$uri|$upstream_http_x_a|$upstream_http_content_type|$upstream_cookie_id|$upstream_http_none|$upstream_cookie_none';
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        access_log {{.Dir}}/wsgi.log ours;
        error_page 404 = /accel/answer/last?X-A=page&Content-Type=text/css;
        location / { wsgi_hide_header X-A; wsgi_pass kitchen; }
        location /intercepted/ { wsgi_intercept_errors on; wsgi_script_name /intercepted; wsgi_pass kitchen; }
        location = /static { return 200 "static"; }
        location = /auth {
            internal;
            wsgi_param PATH_INFO /accel/answer;
            wsgi_param QUERY_STRING "X-User=max&Set-Cookie=id%3D7&Set-Cookie=other%3D8";
            wsgi_pass kitchen;
        }
        location /private/ {
            auth_request /auth;
            auth_request_set $user $wsgi_http_x_user;
            auth_request_set $id $wsgi_cookie_other;
            wsgi_param REMOTE_USER $user;
            wsgi_param HTTP_X_ID $id;
            wsgi_script_name /private;
            wsgi_pass kitchen;
        }
        location = /guarded {
            wsgi_access gate:check;
            add_header X-Gate-Said "$wsgi_http_x_gate";
            alias {{.Dir}}/guarded;
        }
    }
    server {
        listen {{.Addr2}};
        access_log {{.Dir}}/proxy.log theirs;
        error_page 404 = /accel/answer/last?X-A=page&Content-Type=text/css;
        location / { proxy_hide_header X-A; proxy_pass http://unix:{{.Sock}}; }
        location /intercepted/ { proxy_intercept_errors on; proxy_pass http://unix:{{.Sock}}:/; }
        location = /static { return 200 "static"; }
    }
    server {
        listen unix:{{.Sock}};
        access_log off;
        location / { wsgi_pass_header X-Accel-Redirect; wsgi_ignore_headers X-Accel-Redirect; wsgi_pass kitchen; }
    }`

// lines counts those of a file.
func lines(path string) int { return strings.Count(readFile(path), "\n") }

// The fields of the application's response, those that clients do not get and
// those that were replaced by another answer included; as behind proxy_pass.
func TestResponseVariables(t *testing.T) {
	t.Parallel()
	n := start(t, responseVariables)
	targets := []string{
		"/accel/answer?X-A=1&Content-Type=text/plain&Set-Cookie=id%3D7%3B+Path%3D/&Set-Cookie=id%3D8",
		"/accel/answer?x-a=&Set-Cookie=ID+%3D+9",
		"/accel/answer?Set-Cookie=idx%3D9&Set-Cookie=id",
		"/accel/answer?X-A=1&X-Accel-Redirect=/static",
		"/accel/answer?X-A=1&X-Accel-Redirect=/accel/answer/other?X-B=2",
		"/intercepted/accel/answer?X-A=lost&status=404%20None",
		"/intercepted/accel/answer?X-A=kept&status=403%20No",
		"/static",
	}
	if nginxMinor(t) > 22 { // joined since 1.23, and here with each nginx
		targets = append(targets, "/accel/answer?X-A=1&X-A=2")
	}
	for _, target := range targets {
		ours := dialTo(t, "tcp", n.Addr).get(target)
		theirs := dialTo(t, "tcp", n.Addr2).get(target)
		assert.Equal(t, theirs.Status, ours.Status, target)
	}
	n.wait("both logs", func() bool {
		return lines(n.Dir+"/wsgi.log") == len(targets) && lines(n.Dir+"/proxy.log") == len(targets)
	})
	assert.Equal(t, readFile(n.Dir+"/proxy.log"), readFile(n.Dir+"/wsgi.log"))
	assert.Contains(t, readFile(n.Dir+"/wsgi.log"), "/accel/answer|1|text/plain|7|-|-\n")

	n.get(t, "/accel/answer?X-A=1&X-A=2")
	n.wait("the joined fields", func() bool {
		return lines(n.Dir+"/wsgi.log") == len(targets)+1
	})
	assert.Regexp(t, `\|1, 2\|`, readFile(n.Dir+"/wsgi.log"))
}

// What an application says in a subrequest of auth_request, or of wsgi_access,
// goes on to the one behind it: the usual auth_request_set can be kept.
func TestResponseVariablesOfAccess(t *testing.T) {
	t.Parallel()
	n := start(t, responseVariables, file("guarded", "guarded"))
	e := n.environ(t, "/private/environ/dump")
	assert.Equal(t, "max", e.str(t, "REMOTE_USER"))
	assert.Equal(t, "8", e.str(t, "HTTP_X_ID"))

	a := n.get(t, "/guarded", "X-Gate: names max")
	assert.Equal(t, "guarded", a.Body)
	assert.Equal(t, "max", a.Header.Get("X-Gate-Said"))
}
