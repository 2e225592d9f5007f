//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each location has an application of its own: the three forms of wsgi_pass,
// and several applications in one server.
const formsServer = `
    wsgi_python_path {{.Apps}}/forms;
    server {
        listen {{.Addr}};
        location /module { wsgi_pass plain; }
        location /callable { wsgi_pass plain:other; }
        location /dotted { wsgi_pass plain:Holder.application; }
        location /deeper { wsgi_pass plain:Holder.Deeper.application; }
        location /factory { wsgi_pass plain:factory(); }
        location /instance { wsgi_pass plain:instance; }
        location /class { wsgi_pass plain:ClassApp; }
        location /submodule { wsgi_pass package.inner; }
        location /submodule_callable { wsgi_pass package.inner:application; }
        location /script { wsgi_pass {{.Apps}}/forms/script.wsgi.py; }
        location /script_callable { wsgi_pass {{.Apps}}/forms/script.wsgi.py other; }
        location /script_dotted { wsgi_pass {{.Apps}}/forms/script.wsgi.py Holder.application; }
        location /none { wsgi_pass plain:factory_of_none(); }
        location /failing { wsgi_pass plain:failing_factory(); }
        location /missing { wsgi_pass plain:nothing; }
        location /missing_dotted { wsgi_pass plain:Holder.nothing; }
        location /not_callable { wsgi_pass plain:not_callable; }
        location /no_script { wsgi_pass {{.Apps}}/forms/none.py; }
        location /no_script_callable { wsgi_pass {{.Apps}}/forms/script.wsgi.py nothing; }
        location / { return 200 "nginx"; }
    }`

func TestPassForms(t *testing.T) {
	t.Parallel()
	n := start(t, formsServer)

	for path, want := range map[string]string{
		"/module":             "application in plain",
		"/callable":           "other in plain",
		"/dotted":             "dotted in plain",
		"/deeper":             "deeper in plain",
		"/factory":            "made 1 in plain",
		"/instance":           "instance",
		"/class":              "class",
		"/submodule":          "submodule",
		"/submodule_callable": "submodule",
		"/script":             "script.wsgi.py",
		"/script_callable":    "other of the script",
		"/script_dotted":      "other of the script",
		"/":                   "nginx",
	} {
		assert.Equal(t, want, n.text(t, path), path)
		assert.Equal(t, want, n.text(t, path), "%s again: a factory is called once", path)
	}

	for path, reason := range map[string]string{
		"/none":               `factory_of_none`,
		"/failing":            `RuntimeError: the factory failed`,
		"/missing":            `nothing`,
		"/missing_dotted":     `Holder`,
		"/not_callable":       `not_callable`,
		"/no_script":          `none\.py`,
		"/no_script_callable": `nothing`,
	} {
		assert.Equal(t, 500, n.get(t, path).Status, path)
		n.waitLog(`\[(error|emerg)\].*` + reason)
	}
}

// One application that many locations name is loaded once.
func TestPassSameTargetLoadsOnce(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}}/forms;
    server {
        listen {{.Addr}};
        location /one { wsgi_pass plain:factory(); }
        location /two { wsgi_pass plain:factory(); }
        location /limit {
            limit_except GET { wsgi_pass plain:other; }
            wsgi_pass plain;
        }
        location /if {
            if ($arg_other) { wsgi_pass plain:other; }
            wsgi_pass plain;
        }
    }`)

	assert.Equal(t, "made 1 in plain", n.text(t, "/one"))
	assert.Equal(t, "made 1 in plain", n.text(t, "/two"))
	assert.Equal(t, "application in plain", n.text(t, "/limit"))
	assert.Equal(t, "other in plain", n.post(t, "/limit", "x").Body)
	assert.Equal(t, "application in plain", n.text(t, "/if"))
	assert.Equal(t, "other in plain", n.text(t, "/if?other=1"))
}

// The module looks for the library beside itself, or where it is told.
func TestLibraryElsewhere(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(the.base, "library-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	alone := filepath.Join(dir, "ngx_http_wsgi_module.so")
	lib := filepath.Join(dir, "elsewhere", "any_name.so")
	require.NoError(t, copyFile(the.module, alone))
	require.NoError(t, copyFile(the.lib, lib))

	n := start(t, formsServer, moduleAt(alone), mainContext("wsgi_library "+lib+";"))
	assert.Equal(t, "application in plain", n.text(t, "/module"))
	assert.Contains(t, procFile(n.worker(), "maps"), lib)
	assert.NotContains(t, procFile(n.cmd.Process.Pid, "maps"), lib,
		"nothing of Go is ever loaded in the master")
	assert.NotContains(t, procFile(n.cmd.Process.Pid, "maps"), "libpython")
}

// A worker of an nginx whose locations do not use the module loads nothing.
func TestLibraryOnlyIfUsed(t *testing.T) {
	t.Parallel()
	n := start(t, plainServer, allowUnready())
	assert.Equal(t, "plain", n.text(t, "/"))
	assert.NotContains(t, procFile(n.worker(), "maps"), "libngx_wsgi")
}
