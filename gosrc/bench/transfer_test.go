// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMegabytes(t *testing.T) {
	assert.InDelta(t, 2, workload{Size: 2e6}.megabytes(), 1e-9)
	assert.InDelta(t, 3, workload{Size: 14, request: request{Body: 3e6}}.megabytes(), 1e-9)
}

func TestCostIsPerMegabyteOfTransfers(t *testing.T) {
	s := sample{CPU: 5, PerMB: 7}
	assert.InDelta(t, 5, baseline.cost(s), 1e-9)
	assert.InDelta(t, 7, fileByNginx.cost(s), 1e-9)
}

// TestCourier counts on the other side what a courier says it has moved.
func TestCourier(t *testing.T) {
	var requests, bytes atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			requests.Add(1)
			bytes.Add(n)
			_, _ = io.WriteString(w, "Hello, World!\n")
		}))
	defer server.Close()
	upload := workload{Size: helloSize, request: request{Body: 1 << 20}}

	once, err := courier{connections: 3}.run(context.Background(), server.URL, upload, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 3, once.Requests)
	assert.EqualValues(t, 3, requests.Load())
	assert.EqualValues(t, 3<<20, bytes.Load())
	assert.Positive(t, once.Duration)

	d := 100 * time.Millisecond
	more, err := courier{connections: 1}.run(context.Background(), server.URL, upload, d)
	require.NoError(t, err)
	assert.Equal(t, requests.Load()-3, more.Requests)
	assert.GreaterOrEqual(t, more.Duration, d.Microseconds())
}

func TestCourierRefusesWrongAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := courier{connections: 2}.run(context.Background(), server.URL, baseline, 0)
	assert.ErrorContains(t, err, "answered 404")
}
