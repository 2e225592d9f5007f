// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func someReport() report {
	base := &contender{workload: baseline, rss: 5e6,
		samples: []sample{{CPU: 5, Ratio: 1}, {CPU: 6, Ratio: 1}, {CPU: 4, Ratio: 1}}}
	hello := &contender{workload: workloads[0], rss: 21e6,
		samples: []sample{{CPU: 11, Ratio: 2.3, Rate: 40000, P50: 1.25, P99: 3}}}
	file := &contender{workload: fileByNginx, rss: 6e6,
		samples: []sample{{PerMB: 40}, {PerMB: 50}, {PerMB: 60}}}
	wrapper := &contender{workload: transfers[3], rss: 22e6,
		samples: []sample{{PerMB: 52.5, Ratio: 1.05, MBps: 900, Switches: 12}}}
	return report{
		Date: "2024-05-01", Rounds: 3, Seconds: 2, Threads: 8, Connections: 64,
		Rows: []row{newRow(base, base), newRow(hello, base)}, Skipped: []string{"flask: why"},
		Transfers: []row{newRow(file, file), newRow(wrapper, file)},
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	require.NoError(t, someReport().markdown(&b))
	text := b.String()

	assert.Contains(t, text, "One worker, 8 threads, 64 connections")
	assert.Regexp(t, `\| .return 200. \| +5\.0 \| +1\.00 \(0\.80-1\.20\) \|`, text)
	assert.Regexp(t, `\| hello +\| +11\.0 \| +2\.30 \(2\.30-2\.30\) \| +40000 \| +1\.25 \|`, text)
	assert.Contains(t, text, "2.30 times (aim 2.20 times: missed)")
	assert.Contains(t, text, "16.0 MB (aim 20.0 MB: met)")
	assert.Regexp(t, `\| 100 MB file, by nginx +\| +50\.0 \| +1\.00 \(0\.80-1\.20\) \|`, text)
	assert.Regexp(t, `file_wrapper. \| +52\.5 \| +1\.05 \(1\.05-1\.05\) \| +900 \| +12\.0 \|`, text)
	assert.Contains(t, text, "1.05 times (aim 1.10 times: met)")
	assert.Contains(t, text, "skipped: flask: why")
}

func TestAlignedLinesAreOfOneWidth(t *testing.T) {
	text := align([][]string{{"case", "µs"}, {"a long name", "1.0"}})
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		assert.Len(t, []rune(line), len("| a long name | 1.0 |"), line)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	require.NoError(t, someReport().json(&b))
	var back report
	require.NoError(t, json.Unmarshal([]byte(b.String()), &back))
	assert.Equal(t, someReport(), back)
}
