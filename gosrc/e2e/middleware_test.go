//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const layersServer = `
    wsgi_python_path {{.Apps}};
    wsgi_middleware layers:one;
    server {
        listen {{.Addr}};
        location /inherited { wsgi_pass layers; }
        location /again { wsgi_pass layers; }
        location /script { wsgi_pass {{.Apps}}/layers.py; }
        location /none { wsgi_middleware off; wsgi_pass layers; }
        location /counts { wsgi_middleware off; wsgi_pass layers:counts; }
        location /class { wsgi_middleware layers:Header; wsgi_pass layers; }
        location /two {
            wsgi_pass layers;
            wsgi_middleware layers:one;
            wsgi_middleware layers:two;
            if ($arg_counts) { wsgi_pass layers:counts; }
        }
        location /turned {
            wsgi_middleware layers:two;
            wsgi_middleware layers:one;
            wsgi_pass layers;
        }
        location /gate { wsgi_access layers; wsgi_pass layers; }
    }
    server {
        listen {{.Addr2}};
        wsgi_middleware layers:Holder.three;
        location / { wsgi_pass layers; }
    }`

// The first is the outermost; inherited as a whole, or replaced.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	n := start(t, layersServer)
	for target, want := range map[string]string{
		"/inherited": "one,application,one",
		"/again":     "one,application,one",
		"/script":    "one,application,one",
		"/none":      "application",
		"/class":     "application",
		"/two":       "one,two,application,two,one",
		"/turned":    "two,one,application,one,two",
		"/gate":      "one,application,one",
	} {
		assert.Equal(t, want, n.text(t, target), target)
		assert.Equal(t, want, n.text(t, target), "%s again", target)
	}
	assert.Equal(t, "yes", n.get(t, "/class").Header.Get("X-Layer"))
	assert.Empty(t, n.get(t, "/none").Header.Get("X-Layer"))
	assert.Contains(t, n.text(t, "/two?counts=1"), ",two,one", "also around what \"if\" runs")

	req, err := http.NewRequest("GET", "http://"+n.Addr2, nil)
	require.NoError(t, err)
	a, err := exchange(n.client, req)
	require.NoError(t, err)
	assert.Equal(t, "three,application,three", a.Body)

	// around layers, the script, and what is around both in /two and /turned
	assert.Equal(t, "one=5,three=1,two=3", n.text(t, "/counts"), "each application is wrapped once")
}

// What is wrong with middleware is said with its name, and the others run.
func TestMiddlewareFails(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location /fails { wsgi_middleware layers:fails; wsgi_pass layers; }
        location /none { wsgi_middleware layers:returns_none; wsgi_pass layers; }
        location /number { wsgi_middleware layers:number; wsgi_pass layers; }
        location /missing { wsgi_middleware layers:missing; wsgi_pass layers; }
        location /module { wsgi_middleware nowhere.at_all:x; wsgi_pass layers; }
        location /broken { wsgi_middleware broken:x; wsgi_pass layers; }
        location / { wsgi_pass layers; }
    }`, file("apps/broken.py", "import nowhere_else\n"))

	for target, says := range map[string]string{
		"/fails":   `the middleware "layers:fails" raised ValueError: it does not fit`,
		"/none":    `the middleware "layers:returns_none" returned None, which is not`,
		"/number":  `the middleware "layers:number" is an object of type "int", which cannot be called`,
		"/missing": `the middleware "layers:missing": module "layers" .* has no attribute "missing"`,
		"/module":  `the middleware "nowhere.at_all:x": No module named 'nowhere'`,
		"/broken":  `the middleware "broken:x" raised ModuleNotFoundError: No module named 'nowhere_else'`,
	} {
		assert.Equal(t, 500, n.get(t, target).Status, target)
		n.waitLog(`\[error\].*application "layers" cannot be loaded: ` + says)
	}
	n.waitLog(`layers\.py", line \d+, in fails`)
	n.waitLog(`broken\.py", line 1, in <module>`)
	assert.Equal(t, "application", n.text(t, "/"))
}

func TestMiddlewareConfig(t *testing.T) {
	t.Parallel()
	for conf, says := range map[string]string{
		"wsgi_middleware layers;":                          `invalid middleware "layers", it has to be "module:callable"`,
		"wsgi_middleware layers:one();":                    `invalid middleware "layers:one()"`,
		"wsgi_middleware /srv/x.py:one;":                   `invalid middleware`,
		"wsgi_middleware layers:;":                         `invalid middleware`,
		"wsgi_middleware layers:one layers:two;":           `invalid number of arguments in "wsgi_middleware"`,
		"wsgi_middleware off; wsgi_middleware a:b;":        `"wsgi_middleware" directive "off" cannot be combined with others`,
		"wsgi_middleware a:b; wsgi_middleware off;":        `"wsgi_middleware" directive "off" cannot be combined with others`,
		inLocation("if ($arg_a) { wsgi_middleware a:b; }"): `is not allowed here`,
	} {
		out, ok := check(t, conf)
		assert.False(t, ok, conf)
		assert.Contains(t, out, says, conf)
	}

	out, ok := check(t, "wsgi_check import; wsgi_python_path {{.Apps}};"+
		inLocation("wsgi_middleware layers:fails; wsgi_pass layers;"))
	assert.False(t, ok)
	assert.Contains(t, out, `the middleware "layers:fails" raised ValueError`)

	out, ok = check(t, "wsgi_check import; wsgi_python_path {{.Apps}}; wsgi_access no.such;"+
		inLocation("wsgi_pass layers;"))
	assert.False(t, ok)
	assert.Contains(t, out, `application "no.such" cannot be loaded`)
}
