//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// fields makes header fields of "Name: value" texts.
func fields(texts ...string) (list [][2]string) {
	for _, text := range texts {
		name, value, _ := strings.Cut(text, ": ")
		list = append(list, [2]string{name, value})
	}
	return list
}

// Methods, versions of HTTP, lengths, and what is cut short.
func TestCompareFraming(t *testing.T) {
	t.Parallel()
	part := []string{"a part", " of it"}
	cases := []compared{
		{},
		{method: "HEAD"},
		{proto: "HTTP/1.0"},
		{proto: "HTTP/1.0", request: []string{"Connection: keep-alive"}},
		{proto: "HTTP/1.0", method: "HEAD"},
		{request: []string{"Connection: close"}},
		{method: "POST", body: "some body"},
		{method: "DELETE"},
		{method: "PUT", body: "another", said: said{Status: "201 Created"}},
		{method: "OPTIONS"},
		{said: said{Cut: true, Chunks: part}},
		{said: said{Cut: true, Chunks: part, Sized: true, Length: 1000}},
		{said: said{Chunks: []string{strings.Repeat("0123456789", 30000), "end"}}},
		{said: said{Chunks: []string{"", "x"}, Sized: true}},
		{said: said{Status: "200 OK", Chunks: []string{}, Sized: true}},
		{method: "HEAD", said: said{Sized: true, Length: 1000}},
	}
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		for _, request := range []compared{{}, {method: "HEAD"}, {proto: "HTTP/1.0"}} {
			request.said = said{Status: status, Fields: fields("Content-Type: text/plain", "ETag: \"a\"",
				"Last-Modified: Thu, 01 Dec 1994 16:00:00 GMT", "Set-Cookie: a=1")}
			cases = append(cases, request)
		}
	}
	compare(t, "", cases).run(t, cases)
}

// Every status that can be passed on, with its own words.
func TestCompareStatus(t *testing.T) {
	t.Parallel()
	cases := []compared{{
		said:   said{Status: "404 "},
		unlike: "A status without a reason gets the one that nginx has for it.",
		differs: func(s *seen) {
			s.Status = "HTTP/1.1 404 Not Found"
		},
	}}
	for _, status := range []int{
		200, 201, 202, 203, 205, 206, 207, 226, 299, 300, 301, 302, 303, 305, 306, 307, 308, 399,
		400, 401, 402, 403, 404, 405, 408, 412, 413, 414, 416, 417, 418, 421, 425, 429, 431, 444, 451,
		494, 495, 496, 497, 499, 500, 501, 502, 503, 504, 505, 507, 511, 599, 600, 777, 999,
	} {
		cases = append(cases, compared{said: said{Status: fmt.Sprint(status, " Some: odd (words)")}})
	}
	compare(t, "", cases).run(t, cases)
}

// What a request is when it gets to the application.
func TestCompareRequest(t *testing.T) {
	t.Parallel()
	var cases []compared
	const noBody = "SIDE_pass_request_body off;\nproxy: proxy_set_header Content-Length '';\n"
	for _, conf := range []string{
		"", "SIDE_pass_request_headers off;", noBody, "SIDE_request_buffering off;",
		noBody + "SIDE_pass_request_headers off;",
		"client_body_buffer_size 1k; SIDE_request_buffering on;",
		"client_max_body_size 1k;", "limit_except GET { deny all; }",
	} {
		cases = append(cases,
			compared{conf: conf, request: []string{"X-Probe: probe"}, said: said{Echo: true}},
			compared{conf: conf, method: "POST", body: "a body", said: said{Echo: true}},
			compared{conf: conf, method: "PUT", body: strings.Repeat("large", 10000),
				request: []string{"X-Probe: probe"}, said: said{Echo: true}})
	}
	compare(t, "", cases).run(t, cases)
}
