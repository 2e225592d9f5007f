// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const straceTable = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.20    0.512000           5      1000        12 recvfrom
 48.50    0.485000           4      2000           writev
  0.30    0.003000           3         1           accept4
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000           4      3001        12 total
`

func TestParseCalls(t *testing.T) {
	assert.Equal(t, calls{"recvfrom": 1000, "writev": 2000, "accept4": 1},
		parseCalls(straceTable))
}

func TestCallsPerRequest(t *testing.T) {
	assert.Equal(t, "3.00 (writev 2.00, recvfrom 1.00)",
		parseCalls(straceTable).perRequest(1000))
}
