// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	helloSize = len("Hello, World!\n")
	fileName  = "file" // in the root of each server, as large as its answer
)

// request is what the load generator sends, again and again.
type request struct {
	Path    string   // without the leading slash
	Body    int      // bytes to POST; 0 is a GET
	Headers []string // "Name: value"
}

// workload is one row of the table: what is asked, and what answers.
type workload struct {
	Name string
	What string
	Size int // of the response's body, by which a wrong answer is noticed

	Transfer bool // of a large body: counts by the megabyte
	request
	site
}

// site is how a server is set up: with an application for wsgi_pass, or with
// what plain nginx does, or with a peer behind plain nginx.
type site struct {
	App      string // "module:callable"
	Package  string // of the virtualenv, that the application needs
	Location string // directives of the location
	Peer     *peer
}

// baseline is what everything else is compared with.
var baseline = workload{
	Name: "return", What: "`return 200`", Size: helloSize,
	site: site{Location: `return 200 "Hello, World!\n";`},
}

func pure(name, what, app string, size int, req request) workload {
	return workload{
		Name: name, What: what, Size: size, request: req, site: site{App: "plain:" + app},
	}
}

func framework(name, what string) workload {
	return workload{
		Name: name, What: what, Size: helloSize,
		site: site{App: name + "_hello:application", Package: name},
	}
}

// static is the yardstick for bodies: nginx sends the same bytes from a file.
func static(name, what string, size int) workload {
	return workload{
		Name: name, What: what, Size: size, request: request{Path: fileName},
		site: site{Location: "sendfile on;"},
	}
}

// returned is the yardstick for requests: nginx reads the same and says hello.
func returned(name, what string, req request) workload {
	return workload{Name: name, What: what, Size: helloSize, request: req, site: baseline.site}
}

var (
	headers30 = request{Headers: manyHeaders(30)}
	post1k    = request{Body: 1024}
)

var workloads = []workload{
	pure("hello", "hello", "hello", helloSize, request{}),
	pure("headers", "hello, 30 request headers", "hello", helloSize, headers30),
	returned("headers0", "`return 200`, 30 request headers", headers30),
	pure("echo", "POST of 1 KB, echoed", "echo", 1024, post1k),
	returned("echo0", "`return 200`, POST of 1 KB", post1k),
	pure("10k", "10 KB body", "body_10k", 10240, request{}),
	static("file10k", "10 KB file, by nginx", 10240),
	pure("sleep", "sleep(20 ms)", "sleep", helloSize, request{}),
	framework("flask", "Flask"),
	framework("django", "Django"),
}

// manyHeaders returns those that a browser sends and more, n with Host.
func manyHeaders(n int) []string {
	headers := []string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language: en-US,en;q=0.5",
		"Accept-Encoding: gzip, deflate, br",
		"Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=fedcba9876543210",
		"Referer: https://www.example.com/some/page?with=arguments",
		"Cache-Control: max-age=0",
		"If-Modified-Since: Sat, 01 Jun 2024 12:00:00 GMT",
		"X-Forwarded-For: 203.0.113.7",
		"X-Forwarded-Proto: https",
	}
	for i := len(headers) + 1; i < n; i++ {
		headers = append(headers, fmt.Sprintf("X-Example-Header-%d: the value of header %d", i, i))
	}
	return headers
}

// httpRequest returns the same request for net/http.
func (q request) httpRequest(url string) (*http.Request, error) {
	method := http.MethodGet
	if q.Body > 0 {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return nil, err
	}
	if q.Body > 0 {
		r.Body = io.NopCloser(io.LimitReader(filler{}, int64(q.Body)))
		r.ContentLength = int64(q.Body)
	}
	for _, h := range q.Headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r, nil
}

// choose returns the workloads that a comma-separated list names, in its order.
func choose(list string) ([]workload, error) {
	all := slices.Concat(workloads, transfers)
	if list == "" {
		return all, nil
	}
	var chosen []workload
	for _, name := range strings.Split(list, ",") {
		i := slices.IndexFunc(all, func(w workload) bool { return w.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q, but: %s", name, names(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func names(list []workload) string {
	var b []string
	for _, w := range list {
		b = append(b, w.Name)
	}
	return strings.Join(b, ",")
}
