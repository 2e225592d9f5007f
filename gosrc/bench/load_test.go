// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const wrkOutput = `Running 2s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
Requests/sec:  61728.12
`

func TestParseLoad(t *testing.T) {
	l, err := parseLoad(wrkOutput +
		`{"requests":900,"duration":2000000,"p50":530,"p99":3880,"failed":0,"broken":0}` + "\n")
	require.NoError(t, err)
	assert.Equal(t, load{Requests: 900, Duration: 2000000, P50: 530, P99: 3880}, l)
}

func TestParseLoadRefusesWhatIsNotWorthCounting(t *testing.T) {
	for name, c := range map[string]struct{ line, message string }{
		"no result": {"", "wrk said: Running"},
		"no answer": {`{"requests":0}`, "no request was answered"},
		"errors":    {`{"requests":9,"failed":2}`, "2 of 9 answers were errors"},
		"time-outs": {`{"requests":9,"broken":3}`, "3 connections failed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseLoad(wrkOutput + c.line)
			assert.ErrorContains(t, err, c.message)
		})
	}
}

func TestLuaScript(t *testing.T) {
	assert.NotContains(t, luaScript(request{}), "POST")
	post := luaScript(request{Body: 1024})
	assert.Contains(t, post, `wrk.method = "POST"`)
	assert.Contains(t, post, `string.rep("x", 1024)`)
	assert.Contains(t, post, "function done(")
}
