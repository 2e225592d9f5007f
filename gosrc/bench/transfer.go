// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	oneMB     = 1 << 20
	hundredMB = 100 << 20

	transferConnections = 4
	bufferSize          = 256 << 10 // of the client, so that it does not hold the server up
)

// fileByNginx is what the transfers are compared with, byte for byte.
var fileByNginx = transfer(static("file100m", "100 MB file, by nginx", hundredMB))

// transfers are the cases of large bodies, which count by the megabyte.
var transfers = []workload{
	transfer(pure("1m", "1 MB body", "body_1m", oneMB, request{})),
	transfer(static("file1m", "1 MB file, by nginx", oneMB)),
	transfer(pure("100m", "100 MB body", "body_100m", hundredMB, request{})),
	transfer(configured("wrapper", "100 MB file, `wsgi.file_wrapper`", "wrapped", "sendfile on;",
		hundredMB, request{})),
	transfer(pure("chunks", "10 MB in chunks of 1 KB", "chunks", 10*oneMB, request{})),
	transfer(pure("upload", "upload of 100 MB", "consume", helloSize, post100m)),
	transfer(configured("upload-off", "the same, `wsgi_request_buffering off`", "consume",
		"wsgi_request_buffering off;", helloSize, post100m)),
	transfer(workload{Name: "spool", What: "upload of 100 MB, spooled by nginx", Size: helloSize,
		request: post100m, site: spooling}),
	transfer(returned("discard", "upload of 100 MB, dropped by nginx", post100m)),
}

var post100m = request{Body: hundredMB}

// spooling has nginx read a body as it does for what it passes requests on to,
// which is here nothing but `return 200`.
var spooling = site{Location: `proxy_pass http://$server_addr:$server_port/hello;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            location = /hello {
                return 200 "Hello, World!\n";
            }`}

func transfer(w workload) workload {
	w.Transfer = true
	return w
}

// configured is an application in a location with more directives.
func configured(name, what, app, location string, size int, req request) workload {
	w := pure(name, what, app, size, req)
	w.Location = location
	return w
}

// megabytes is how much of 10⁶ bytes one request moves.
func (w workload) megabytes() float64 {
	return float64(max(w.Size, w.Body)) / 1e6
}

// cost is what a sample of such a workload is compared by.
func (w workload) cost(s sample) float64 {
	if w.Transfer {
		return s.PerMB
	}
	return s.CPU
}

// filler is a body without an end.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// courier moves large bodies over a few connections.  Unlike wrk it finishes
// what it has begun: a half of 100 MB could not be counted.
type courier struct {
	connections int
}

// run begins requests until that long has passed, at least one on each
// connection, and fails when an answer is wrong.
func (c courier) run(ctx context.Context, url string, w workload, d time.Duration) (load, error) {
	transport := &http.Transport{
		MaxConnsPerHost: c.connections, MaxIdleConnsPerHost: c.connections,
		ReadBufferSize: bufferSize, WriteBufferSize: bufferSize, DisableCompression: true,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	counts, errs := make([]int64, c.connections), make([]error, c.connections)
	begin := time.Now()
	for i := range c.connections {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for errs[i] == nil && (counts[i] == 0 || time.Since(begin) < d) {
				errs[i] = ask(ctx, client, url, w)
				counts[i]++
			}
		}()
	}
	wait.Wait()

	l := load{Duration: time.Since(begin).Microseconds()}
	for _, n := range counts {
		l.Requests += n
	}
	return l, errors.Join(errs...)
}
