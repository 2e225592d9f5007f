//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// A filter of nginx may answer instead of the application, clears the context
// of the request, and may not get rid of its answer at once, if the client's
// window or the socket is full.  Then the request is nginx's: the application
// learns that it is over, and none of its bytes follow the answer.

// unmet are conditions that no response of the kitchen meets, so that nginx's
// not_modified filter answers 412.
var unmet = []string{"If-Match: \"z\"", "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"}

// A response of one chunk, of several, without an end, a file, and one with
// buffering off.
var conditional = []string{
	"/response/plain", "/response/write", "/response/big?size=1000&count=100", "/wrapper/real",
	"/unbuffered/response/big?size=1000&count=100",
}

func startFilters(t *testing.T) *instance {
	t.Helper()
	return start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { wsgi_pass kitchen; }
        location /unbuffered/ { wsgi_buffering off; wsgi_script_name /unbuffered; wsgi_pass kitchen; }
        location /slow/ { limit_rate 300; wsgi_script_name /slow; wsgi_pass kitchen; }
        location /redirected/ { error_page 412 = /response/plain; wsgi_script_name /redirected; wsgi_pass kitchen; }
        location /static/ { error_page 412 /page; wsgi_script_name /static; wsgi_pass kitchen; }
        location = /page { root {{.Dir}}; }
    }`, file("page", "a page of nginx"))
}

// only412 fails unless all that came on a connection is nginx's own answer.
func only412(t *testing.T, all []byte, what string) {
	t.Helper()
	text := string(all)
	assert.Regexp(t, `^HTTP/1.1 412 `, text, what)
	assert.Equal(t, 1, strings.Count(text, "HTTP/1.1 "), what)
	assert.Regexp(t, `</html>\r\n$`, text, what)
}

func TestFilterAnswers(t *testing.T) {
	t.Parallel()
	n := startFilters(t)
	for _, target := range append(conditional, "/slow/response/write", "/slow/response/plain") {
		for _, condition := range unmet {
			w := n.dial(t)
			w.request("GET", target, condition)
			all, err := io.ReadAll(w.r)
			require.NoError(t, err)
			only412(t, all, target+" "+condition)
		}
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// The application whose response is not wanted is asked for no more of it, and
// its thread is free.
func TestFilterAnswersEndless(t *testing.T) {
	t.Parallel()
	n := startFilters(t)
	for i, prefix := range []string{"", "/slow"} {
		event := fmt.Sprint(name(t), i)
		w := n.dial(t)
		w.request("GET", prefix+"/rubbish/endless/"+event+"?size=10", unmet[0])
		all, err := io.ReadAll(w.r)
		require.NoError(t, err)
		only412(t, all, prefix)
		assert.Equal(t, []string{"begun", "closed"}, n.notes(t, event, 2))
	}
}

// What nginx puts in the place of 412 may be a file, or the application again,
// as behind proxy_pass: the worker goes on in each case.
func TestFilterAnswersErrorPage(t *testing.T) {
	t.Parallel()
	n := startFilters(t)
	for _, prefix := range []string{"/static", "/redirected"} {
		for _, target := range conditional[:3] {
			w := n.dial(t)
			w.request("GET", prefix+target, unmet[0])
			all, err := io.ReadAll(w.r)
			require.NoError(t, err)
			if prefix == "/static" {
				assert.Regexp(t, `(?s)^HTTP/1.1 412 .*\r\n\r\na page of nginx$`, string(all))
			}
			assert.LessOrEqual(t, strings.Count(string(all), "HTTP/1.1 "), 1)
		}
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// The window is shut when nginx answers, and opens, or never does.
func TestFilterAnswersHTTP2(t *testing.T) {
	t.Parallel()
	n := startFilters(t)
	for _, target := range conditional {
		for _, window := range []uint32{0, 10, 1 << 16} {
			w := n.dialH2(t, window)
			fields := []field{{"if-match", `"z"`}}
			id := w.request("GET", target, fields...)
			w.readUntil("the head", func() bool { return w.stream(id).Status != 0 })
			lost := w.request("GET", target, fields...)
			w.readUntil("the other head", func() bool { return w.stream(lost).Status != 0 })
			w.rst(lost, http2.ErrCodeCancel)

			w.windowUpdate(id, 1)
			r := w.response(grown(w, id))
			assert.Equal(t, []any{412, h2done}, []any{r.Status, r.End}, "%s %d", target, window)
			assert.Regexp(t, `</html>\r\n$`, r.Body, "%s %d", target, window)
			assert.NotContains(t, r.Body, "xxx", target)
		}
	}
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// grown opens the window of a stream.
func grown(w *h2wire, id uint32) uint32 {
	w.windowUpdate(id, 1<<16)
	return id
}

func TestFilterAnswersHTTP3(t *testing.T) {
	t.Parallel()
	n := startHTTP3(t)
	client := http3Client(t, n, 100)
	for _, target := range conditional[:4] {
		req, err := http.NewRequest("GET", "https://"+n.Addr2+target, nil)
		require.NoError(t, err)
		req.Header.Set("If-Match", `"z"`)
		a, err := exchange(client, req)
		require.NoError(t, err, target)
		assert.Equal(t, 412, a.Status, target)
		assert.Regexp(t, `</html>\r\n$`, a.Body, target)
	}
}

// dynamicModule is the option that loads a module of nginx's packages, where
// the nginx under test is theirs; a test without it is skipped.
func dynamicModule(t *testing.T, module string) option {
	t.Helper()
	path := filepath.Join("/usr/lib/nginx/modules", module+".so")
	if _, err := os.Stat(path); err != nil || the.nginx != "/usr/sbin/nginx" {
		t.Skip("this nginx has no " + module)
	}
	return mainContext("load_module " + path + ";")
}

// image_filter answers 415 when it has seen the body that is no image.
func TestFilterAnswersImage(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        `+http2Listen(t)+`
        location / { image_filter test; wsgi_pass kitchen; }
        location /small/ { image_filter resize 10 10; image_filter_buffer 100; wsgi_script_name /small; wsgi_pass kitchen; }
        location /slow/ { image_filter test; limit_rate 300; wsgi_script_name /slow; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`, dynamicModule(t, "ngx_http_image_filter_module"), allowLog(`image filter: too big`))
	for _, prefix := range []string{"", "/small", "/slow"} {
		for _, target := range []string{
			"/response/plain", "/response/write", "/response/big?size=1000&count=100",
			"/accel/answer?Content-Type=image/gif&body=GIF89a", "/accel/generator?Content-Type=image/gif&body=GIF89a",
			"/accel/answer?Content-Type=image/gif&Content-Length=200&body=" + strings.Repeat("x", 200),
		} {
			w := n.dial(t)
			w.request("GET", prefix+target, "Connection: close")
			all, err := io.ReadAll(w.r)
			require.NoError(t, err)
			assert.LessOrEqual(t, strings.Count(string(all), "HTTP/1.1 "), 1, target)
			assert.NotContains(t, string(all), "HTTP/1.1 200", target)

			h2 := n.dialH2(t, 0)
			r := h2.response(grown(h2, h2.request("GET", prefix+target)))
			assert.NotEqual(t, 200, r.Status, target)
		}
	}
	assert.Equal(t, "nginx", n.text(t, "/nginx"))
}
