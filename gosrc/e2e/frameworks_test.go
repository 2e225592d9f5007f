//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var frameworks = map[string]string{
	"flask":    "flask_app",
	"django":   "django_app",
	"pyramid":  "pyramid_app:make_application()",
	"falcon":   "falcon_app",
	"bottle":   "bottle_app",
	"cherrypy": "cherrypy_app",
	"webpy":    "webpy_app",
}

// What people run: a page, a form, a cookie with a redirect, an upload and a
// stream in each framework, all of them in one server, each at a prefix.
func TestFrameworks(t *testing.T) {
	t.Parallel()
	locations := ""
	for name, target := range frameworks {
		locations += fmt.Sprintf("location /%s/ { wsgi_pass %s; }\n", name, target)
	}
	n := start(t, `
    wsgi_python_home {{.Venv}};
    wsgi_python_path {{.Apps}}/frameworks;
    wsgi_script_name auto;
    client_max_body_size 10m;
    server {
        listen {{.Addr}};
        `+locations+`
    }`, allowFDs(2))

	for name := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Run("page", func(t *testing.T) { checkPage(t, n, name) })
			t.Run("form", func(t *testing.T) { checkForm(t, n, name) })
			t.Run("cookie", func(t *testing.T) { checkCookie(t, n, name) })
			t.Run("upload", func(t *testing.T) { checkUpload(t, n, name) })
			t.Run("stream", func(t *testing.T) { checkStream(t, n, name) })
			assert.Equal(t, 404, n.get(t, "/"+name+"/nowhere").Status)
		})
	}
}

const czech = "žluťoučký kůň"

func checkPage(t *testing.T, n *instance, app string) {
	assert.Equal(t, "hello "+czech, n.text(t, "/"+app+"/page?name="+url.QueryEscape(czech)))
}

func checkForm(t *testing.T, n *instance, app string) {
	a := n.post(t, "/"+app+"/form", url.Values{"text": {czech}}.Encode(),
		"Content-Type: application/x-www-form-urlencoded")
	assert.Equal(t, 200, a.Status, a.Body)
	assert.Equal(t, "form "+czech, a.Body)
}

func checkCookie(t *testing.T, n *instance, app string) {
	a := n.get(t, "/"+app+"/cookie", "Cookie: seen=before")
	require.Contains(t, []int{302, 303}, a.Status, a.Body)
	assert.Contains(t, a.Header.Get("Set-Cookie"), "seen=cookie")

	target, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	target = (&url.URL{Path: "/" + app + "/cookie"}).ResolveReference(target)
	assert.Equal(t, "/"+app+"/page?name=before", target.RequestURI())
	assert.Equal(t, "hello before", n.text(t, target.RequestURI()))
}

func checkUpload(t *testing.T, n *instance, app string) {
	data := []byte(strings.Repeat("a line of a file\r\n\x00\xff", 50000))
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "name.bin")
	require.NoError(t, err)
	_, err = part.Write(data)
	require.NoError(t, err)
	require.NoError(t, form.Close())

	a := n.post(t, "/"+app+"/upload", body.String(), "Content-Type: "+form.FormDataContentType())
	require.Equal(t, 200, a.Status, a.Body)
	sum := sha256.Sum256(data)
	assert.Equal(t, "name.bin "+hex.EncodeToString(sum[:]), a.Body)
}

func checkStream(t *testing.T, n *instance, app string) {
	w := n.dial(t)
	r := w.get("/" + app + "/stream")
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "0,1,2,3,4,", r.Body)
	assert.True(t, r.complete())
	assert.Equal(t, byChunks, r.Framing)
}
