//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const variablesServer = `
    log_format wsgi '$uri|$wsgi_status|$wsgi_app|$wsgi_pool|$wsgi_time|$wsgi_queue_time|$wsgi_app_time';
    access_log {{.Dir}}/wsgi.log wsgi;
    wsgi_pool other threads=1 queue=1 queue_timeout=200ms;
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location = /timing/sleep/9 { wsgi_timeout 300ms; wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }
    server {
        listen {{.Addr2}};
        wsgi_use_pool other;
        location / { wsgi_pass kitchen:application; }
    }`

// logged waits for the line of a URI in the access log and returns its fields.
func (n *instance) logged(t *testing.T, uri string) []string {
	t.Helper()
	var found []string
	n.wait("the access log", func() bool {
		for _, line := range strings.Split(readFile(n.Dir+"/wsgi.log"), "\n") {
			if strings.HasPrefix(line, uri+"|") {
				found = strings.Split(line, "|")
			}
		}
		return found != nil
	})
	require.Len(t, found, 7)
	return found
}

func seconds(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return value
}

// The variables tell what became of a request, in an access log.
func TestVariables(t *testing.T) {
	t.Parallel()
	n := start(t, variablesServer)
	n.get(t, "/failing/before")
	n.get(t, "/failing/late_start/none")
	n.get(t, "/timing/sleep/9")
	n.get(t, "/nginx")

	queued := 9.0 // at least: a busy machine has some of them wait
	for i := range 5 {
		target := "/timing/sleep/0.1" + strings.Repeat("0", i)
		n.get(t, target)
		got := n.logged(t, target)
		assert.Equal(t, []string{"200", "kitchen", "default"}, got[1:4])
		assert.GreaterOrEqual(t, seconds(t, got[4]), 0.099)
		assert.GreaterOrEqual(t, seconds(t, got[6]), 0.099)
		queued = min(queued, seconds(t, got[5]))
	}
	assert.Less(t, queued, 0.1)

	assert.Equal(t, "500", n.logged(t, "/failing/before")[1])
	assert.Equal(t, "504", n.logged(t, "/timing/sleep/9")[1])
	for _, value := range n.logged(t, "/nginx")[1:] {
		assert.Contains(t, []string{"", "-"}, value)
	}
}

// Of a request that was refused they tell that, and how long it waited.
func TestVariablesOfRefused(t *testing.T) {
	t.Parallel()
	n := start(t, variablesServer)
	running, queued := dialTo(t, "tcp", n.Addr2), dialTo(t, "tcp", n.Addr2)
	running.request("GET", "/timing/occupy/"+name(t))
	n.notes(t, name(t), 1)
	queued.request("GET", "/response/write")
	assert.Equal(t, 503, queued.reply("GET").Status)

	got := n.logged(t, "/response/write")
	assert.Equal(t, []string{"503", "kitchen:application", "other"}, got[1:4])
	assert.GreaterOrEqual(t, seconds(t, got[5]), 0.199)
	n.setEvent(t, name(t))
}
