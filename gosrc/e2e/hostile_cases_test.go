//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What hostile clients have found, each reduced to what is needed for it.

// Of an incomplete "%" nginx leaves nothing, and an empty URI has no last byte
// to look at.
func TestAccelRedirectNowhere(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location /accel/ { wsgi_pass kitchen; }
    }`)
	for _, uri := range []string{"%", "%4", "%?a", "?a", ""} {
		assert.Equal(t, 404, n.get(t, described("X-Accel-Redirect: "+uri)).Status, "%q", uri)
	}
}

// What one response of a request allows is not for the next one: a page for
// 416 that comes in two pieces cannot be sent in two ranges.
func TestRangesOfErrorPage(t *testing.T) {
	t.Parallel()
	n := start(t, `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        error_page 416 = /page;
        location / { wsgi_force_ranges on; wsgi_pass kitchen; }
        location = /page {
            wsgi_param PATH_INFO /framing/length;
            wsgi_param QUERY_STRING "length=5&chunks=hel,lo";
            wsgi_pass kitchen;
        }
    }`)
	w := n.dial(t)
	for _, ranges := range []string{"1-1,3-3,7-8", "2-", "5-"} {
		r := w.get("/framing/empty_list", "Range: bytes="+ranges)
		assert.Equal(t, []any{200, "hello"}, []any{r.Status, r.Body}, ranges)
	}
}
