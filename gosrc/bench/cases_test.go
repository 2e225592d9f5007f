// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	assert.Equal(t, append(slices.Clone(workloads), transfers...), all)

	two, err := choose("sleep,hello")
	require.NoError(t, err)
	assert.Equal(t, "sleep,hello", names(two))

	_, err = choose("hello,nonesuch")
	assert.ErrorContains(t, err, `no case "nonesuch", but: hello,`)
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	all := strings.Split(baseline.Name+","+names(workloads)+","+
		fileByNginx.Name+","+names(transfers)+","+peerNames(), ",")
	for _, name := range all {
		assert.False(t, seen[name], name)
		seen[name] = true
	}
}

func TestManyHeadersWithHostAreThirty(t *testing.T) {
	names := map[string]bool{"Host": true}
	for _, h := range manyHeaders(30) {
		name, value, found := strings.Cut(h, ": ")
		assert.True(t, found && value != "", h)
		names[name] = true
	}
	assert.Len(t, names, 30)
}

func TestHTTPRequest(t *testing.T) {
	r, err := request{Path: "x", Body: 3, Headers: []string{"X-One: a: b"}}.httpRequest("http://h/x")
	require.NoError(t, err)
	assert.Equal(t, "POST", r.Method)
	assert.Equal(t, "a: b", r.Header.Get("X-One"))
	assert.EqualValues(t, 3, r.ContentLength)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	assert.Equal(t, "xxx", string(body))
}

func TestChoosePeers(t *testing.T) {
	chosen, skipped, err := choosePeers("front,uwsgi", t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, 2, len(chosen)+len(skipped))
	assert.Equal(t, "front", chosen[0].Name)

	_, _, err = choosePeers("nonesuch", "")
	assert.ErrorContains(t, err, `no peer "nonesuch"`)
}

func TestPeerThatIsNotThere(t *testing.T) {
	p := peer{Program: "no-such-program-anywhere"}
	_, err := p.find(t.TempDir())
	assert.ErrorContains(t, err, "neither in the virtualenv nor on PATH")
}
