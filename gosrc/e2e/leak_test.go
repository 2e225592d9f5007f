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

// blocks is how many pieces of memory Python has allocated.
func (n *instance) blocks(t *testing.T) int {
	t.Helper()
	count, err := strconv.Atoi(n.text(t, "/embed/blocks"))
	require.NoError(t, err)
	return count
}

// A request leaves no Python object behind, whatever becomes of it.
func TestNoObjectsLeft(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_threads 1;"+kitchen)
	large := strings.Repeat("x", 100000)
	for target, body := range map[string]string{
		"/response/plain":                       "",
		"/response/write":                       "",
		"/response/late_start":                  "",
		"/response/twice":                       "",
		"/response/exc_replaces":                "",
		"/response/big?size=100000&count=3":     "",
		"/failing/before":                       "",
		"/failing/at_first":                     "",
		"/failing/returns_none":                 "",
		"/failing/str_chunk":                    "",
		"/failing/header?value=%0a":             "",
		"/framing/generator":                    "",
		"/framing/length?length=3&chunks=hello": "",
		"/framing/no_body_length/304":           "",
		"/headers/cookies":                      "",
		"/headers/hop?connection":               "",
		"/environ/dump":                         "",
		"/environ/is_dict":                      "",
		"/logs/errors":                          "",
		"/body/echo":                            large,
		"/body/unread":                          large,
		"/body/lines":                           "a\nb\nc\n",
		"/body/steps?do=readline,read:1,iter":   "a\nb\nc\n",
	} {
		needNoneLeft(t, n, target, body)
	}
}

// needNoneLeft fails unless the number of objects comes to rest: caches fill
// for some time, what is lost with each request is lost for ever.
func needNoneLeft(t *testing.T, n *instance, target, body string) {
	t.Helper()
	grown, before := 0, n.blocks(t)
	for range 8 {
		for range 100 {
			n.post(t, target, body)
		}
		now := n.blocks(t)
		grown, before = now-before, now
		if grown < 50 {
			return
		}
	}
	assert.Fail(t, "a leak", "%d objects left by 100 requests of %s", grown, target)
}

// Nor any memory of nginx's.
func TestNoMemoryLeft(t *testing.T) {
	t.Parallel()
	n := start(t, kitchen)
	load := startLoad(t, n, 16)
	load.more(4000)
	before := rss(n.worker())
	load.more(12000)
	load.stop()
	grown := rss(n.worker()) - before
	assert.Less(t, grown, memory(3<<20), "%d KB in 12000 requests", grown>>10)
}
