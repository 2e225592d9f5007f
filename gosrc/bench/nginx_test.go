// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfOfAnApplication(t *testing.T) {
	w := &workshop{dir: t.TempDir(), module: "/m.so", threads: 3}
	c, err := w.wsgi(site{App: "plain:hello", Location: "sendfile on;"})
	require.NoError(t, err)
	c.Dir, c.Listen = "/d", "127.0.0.1:1"

	var b strings.Builder
	require.NoError(t, confTemplate.Execute(&b, c))
	for _, line := range []string{"load_module /m.so;", "wsgi_threads 3;",
		"wsgi_pass plain:hello; sendfile on;", "listen 127.0.0.1:1;", "pid /d/nginx.pid;"} {
		assert.Contains(t, b.String(), line)
	}
	assert.NotContains(t, b.String(), "user ")
	assert.NotContains(t, b.String(), "wsgi_python_path")
}

func TestPackagesAreCopied(t *testing.T) {
	venv := t.TempDir()
	installed := filepath.Join(venv, "lib", "python3.11", "site-packages", "flask")
	require.NoError(t, os.MkdirAll(installed, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(installed, "a.py"), nil, 0o644))

	w := &workshop{dir: t.TempDir(), venv: venv}
	assert.True(t, w.has("flask"))
	assert.False(t, w.has("django"))

	c, err := w.wsgi(site{App: "a:b", Package: "flask"})
	require.NoError(t, err)
	assert.Contains(t, c.HTTP, "wsgi_python_path "+w.dir+"/packages;")
	assert.FileExists(t, filepath.Join(w.dir, "packages", "flask", "a.py"))
}

func TestNoVirtualenvHasNothing(t *testing.T) {
	assert.False(t, (&workshop{}).has("flask"))
}

func TestServersHaveTheSameFile(t *testing.T) {
	w := &workshop{dir: t.TempDir()}
	var files [2]os.FileInfo
	for i := range files {
		s := &server{dir: t.TempDir()}
		require.NoError(t, w.linkFile(s, 10))
		var err error
		files[i], err = os.Stat(filepath.Join(s.dir, fileName))
		require.NoError(t, err)
		assert.EqualValues(t, 10, files[i].Size())
	}
	assert.True(t, os.SameFile(files[0], files[1]))
}

func TestFreeAddr(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestWrongAnswersAreNotMeasured(t *testing.T) {
	status, body := http.StatusOK, "Hello, World!\n"
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
	defer server.Close()
	get := func() error { return ask(context.Background(), server.Client(), server.URL, baseline) }

	require.NoError(t, get())
	status = http.StatusInternalServerError
	assert.ErrorContains(t, get(), "answered 500")
	status, body = http.StatusOK, "short"
	assert.ErrorContains(t, get(), "with 5 bytes, and not 200 with 14")
	status = http.StatusBadGateway
	assert.True(t, isEarly(get()))
}
