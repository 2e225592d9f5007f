//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	oneResponse  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	precondition = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\nno"
	inChunks     = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	headOnly     = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
)

var judged = []struct {
	text    string
	methods []string // nil: not known
	count   int
	what    string // "": right, "part": goes on, "wrong"
}{
	{oneResponse + inChunks, []string{"GET", "POST"}, 2, ""},
	{"HTTP/1.1 100 Continue\r\n\r\n" + oneResponse, []string{"POST"}, 1, ""},
	{headOnly + oneResponse, []string{"HEAD", "GET"}, 2, ""},
	{oneResponse + inChunks[:55], []string{"GET", "GET"}, 1, "part"},
	{"HTTP/1.1 200 OK\r\n\r\nuntil the end", []string{"GET"}, 0, "part"},
	{"HTTP/1.1 304 Not Modified\r\n\r\n" + oneResponse, []string{"GET", "GET"}, 2, ""},
	{oneResponse + precondition, nil, 2, ""},

	{precondition + "hello", []string{"GET"}, 1, "wrong"},
	{precondition + "5\r\nhello\r\n0\r\n\r\n", nil, 1, "wrong"},
	{oneResponse + oneResponse, []string{"GET"}, 1, "wrong"},
	{headOnly + "HTTP/1.1 200 OK\r\n\r\n", []string{"GET"}, 1, "wrong"},
	{"HTTP/1.1 204 No\r\n\r\nbody", nil, 1, "wrong"},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", nil, 0, "wrong"},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", nil, 0, "wrong"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", nil, 0, "wrong"},
	{"HTTP/1.1 200 OK\r\nX-Bad: a\nb\r\n\r\n", nil, 0, "wrong"},
	{"HTTP/1.1 2000 OK\r\n\r\n", nil, 0, "wrong"},
	{"<html>", nil, 0, "wrong"},
}

// What hostile clients get is told right from wrong.
func TestHostileJudge(t *testing.T) {
	t.Parallel()
	for _, c := range judged {
		a := &answers{methods: c.methods, known: c.methods != nil}
		count, err := a.count(c.text)
		what := ""
		if errors.Is(err, errPart) {
			what = "part"
		} else if err != nil {
			what = "wrong"
		}
		assert.Equal(t, []any{c.count, c.what}, []any{count, what}, "%q: %v", c.text, err)
	}
	count, err := (&answers{head: true}).count(headOnly + oneResponse)
	assert.Equal(t, 2, count, "%v", err)
	assert.Empty(t, foreign(7, "x"+ownToken(7)+"tok-8-00000000-"))
	assert.Equal(t, ownToken(8), foreign(7, ownToken(7)+ownToken(8)))
}

// A connection is the same again, from its seed and its number.
func TestHostileRepeats(t *testing.T) {
	t.Parallel()
	for index := range uint64(500) {
		var texts []string
		for range 2 {
			rng := rand.New(rand.NewPCG(5, index))
			c := newClient2(index, rng, hostileWays)
			p := newProgram(index, rng, hostileWays)
			texts = append(texts, c.describe()+string(p.text))
		}
		assert.Equal(t, texts[0], texts[1])
	}
}
