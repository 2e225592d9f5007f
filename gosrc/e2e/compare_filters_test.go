//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wsgi_intercept_errors and error_page: what is replaced, by what, and which
// fields are kept.
func TestCompareErrors(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, conf := range []string{
		"", "error_page 404 503 /page;", "SIDE_intercept_errors on;",
		"SIDE_intercept_errors on; error_page 302 304 401 404 412 503 /page;",
		"SIDE_intercept_errors on; error_page 404 =200 /page; error_page 503 = /gone/;",
		"SIDE_intercept_errors on; error_page 302 404 @named; error_page 401 http://other.example/;",
		"SIDE_intercept_errors on; error_page 404 /inside/file.txt; error_page 503 /inside/none;",
		"SIDE_intercept_errors on; recursive_error_pages on; error_page 404 /gone/;",
	} {
		for _, status := range []string{
			"200 OK", "204 No", "302 Moved", "304 No", "400 No", "401 No", "403 No", "404 No", "410 No", "412 No",
			"413 No", "500 No", "503 Busy", "504 Late",
		} {
			said := said{Status: status, Fields: fields("X-Own: 1", "Location: http://other.example/a",
				"WWW-Authenticate: Basic", "Retry-After: 1", "Set-Cookie: a=1", "Content-Type: text/plain")}
			cases = append(cases, compared{conf: conf, said: said})
			if conf != "" {
				cases = append(cases, compared{conf: conf, said: said, method: "HEAD"},
					compared{conf: conf, said: said, method: "POST", body: "body"})
			}
		}
	}
	compare(t, redirected, cases, inside).run(t, cases)
}

// nginx's filters, each with what it looks at.
func TestCompareFilters(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, conf := range []string{
		"gzip on;", "gzip on; gzip_vary on; gzip_min_length 1000;", "gzip on; gzip_proxied any; gzip_vary on;",
		"gzip on; gzip_proxied no-cache no-store private expired no_last_modified no_etag auth;",
		"gunzip on;", "charset utf-8;", "expires 1h;", "expires -1;", "expires modified 1h;",
		"add_header X-Own nginx;", "add_header X-Own nginx always; add_header Last-Modified '';",
		"add_header Cache-Control public; expires max;", "add_trailer X-After $status;",
		"sub_filter second SECOND;", "sub_filter first FIRST; sub_filter_last_modified on; sub_filter_types *;",
		"add_after_body /again/; addition_types *;", "ssi on; ssi_types *; ssi_last_modified on;",
		"if_modified_since before; etag off;", "chunked_transfer_encoding off;", "postpone_output 0;",
		"max_ranges 0; SIDE_force_ranges on;", "server_tokens off; keepalive_timeout 0;", "tcp_nodelay off;",
		"limit_rate 1m; sendfile on; sendfile_max_chunk 10;", "SIDE_buffering off;", "SIDE_buffers 4 4k;",
		"SIDE_max_temp_file_size 0;", "SIDE_buffer_size 4k; SIDE_buffering off;", "output_buffers 1 16;",
		"SIDE_ignore_client_abort on;", "proxy_hide_header X-Own; wsgi_hide_header X-Own;",
	} {
		for _, each := range []compared{
			{request: []string{"Accept-Encoding: gzip"}},
			{request: []string{"Accept-Encoding: gzip", "Via: 1.1 other", "Authorization: Basic YTpi"}},
			{proto: "HTTP/1.0"}, {method: "HEAD", request: []string{"Accept-Encoding: gzip"}},
			{request: []string{"TE: trailers", "Connection: TE"}},
		} {
			each.conf = conf
			for _, list := range [][]string{
				{"Content-Type: text/html"},
				{"Content-Type: text/plain", `ETag: "tag"`, "Last-Modified: Thu, 01 Dec 1994 16:00:00 GMT", "X-Own: 1"},
				{"Content-Type: image/png", "Cache-Control: no-cache", "Expires: Thu, 01 Dec 1994 16:00:00 GMT"},
			} {
				each.said.Fields = fields(list...)
				cases = append(cases, each)
			}
		}
	}
	again := said{Status: "200 OK", Chunks: []string{"again"}, Sized: true, Length: 5}
	compare(t, strings.ReplaceAll(redirected, "AGAIN", again.encode()), cases).run(t, cases)
}

const validators = "Thu, 01 Dec 1994 16:00:00 GMT"

// conditions are fields of requests that choose among representations.
var conditions = []string{
	`If-None-Match: "tag"`, `If-None-Match: "other"`, "If-None-Match: *", `If-None-Match: "a", W/"tag"`,
	"If-Modified-Since: " + validators, "If-Modified-Since: Wed, 30 Nov 1994 16:00:00 GMT",
	"If-Modified-Since: never", "If-Unmodified-Since: Wed, 30 Nov 1994 16:00:00 GMT",
	"If-Unmodified-Since: Fri, 02 Dec 1994 16:00:00 GMT", `If-Match: "tag"`, `If-Match: "other"`, "If-Match: *",
}

// knownDifferences wait to be mended and are not compared.  After a 412, nginx
// closes the connection unless "return" makes the error page; we close it in any
// case.
var knownDifferences = []string{"error_page 412 =200 /gone/;"}

// "304 and 412 for conditional requests": as nginx answers where it caches what
// comes from an upstream server.
func TestCompareConditional(t *testing.T) {
	t.Parallel()
	const cached = "proxy: proxy_cache compare; proxy_cache_key $http_x_key; proxy_cache_valid any 1m;\n" +
		"proxy: proxy_ignore_headers Set-Cookie;\n"
	var cases []compared
	for _, conf := range []string{
		cached, cached + "if_modified_since before;", cached + "if_modified_since off;", cached + "gzip on;",
		cached + "error_page 412 /page; SIDE_intercept_errors on;", cached + "add_header X-Always yes always;",
		cached + "expires 1h; SIDE_buffering off;", cached + "postpone_output 0;",
		cached + "error_page 412 @named;",
		cached + "error_page 412 =200 /gone/;",
	} {
		if slices.Contains(knownDifferences, strings.TrimPrefix(conf, cached)) {
			continue
		}
		for _, condition := range conditions {
			for _, method := range []string{"GET", "HEAD"} {
				for _, status := range []string{"200 OK", "404 No"} {
					cases = append(cases, compared{conf: conf, method: method,
						request: []string{condition, "Accept-Encoding: gzip"},
						said: said{Status: status, Fields: fields(`ETag: "tag"`, "Last-Modified: "+validators,
							"Content-Type: text/plain", "Set-Cookie: a=1")}})
				}
			}
			cases = append(cases, compared{conf: conf, request: []string{condition}},
				compared{conf: conf, request: []string{condition}, method: "POST", body: "body",
					said: said{Fields: fields(`ETag: "tag"`, "Last-Modified: "+validators)}},
				compared{conf: conf, request: []string{condition, condition}, proto: "HTTP/1.0",
					said: said{Fields: fields(`ETag: "tag"`, "Last-Modified: "+validators)}})
		}
	}
	compare(t, redirected, cases, inside).run(t, cases)
}

// wsgi_force_ranges and If-Range.
func TestCompareRanges(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, conf := range []string{
		"", "SIDE_force_ranges on;", "SIDE_force_ranges on; SIDE_buffering off;",
		"SIDE_force_ranges on; add_header X-Own nginx; expires 1h;", "SIDE_force_ranges on; gzip on;",
		"SIDE_force_ranges on; max_ranges 1;", "SIDE_force_ranges on; SIDE_intercept_errors on; error_page 416 /page;",
	} {
		for _, value := range []string{
			"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=0-39", "bytes=0-100", "bytes=39-", "bytes=40-", "bytes=-100",
			"bytes=5-4", "bytes=x", "lines=1-2", "bytes=", "bytes=13-20", "bytes=-0", "bytes= 1-2 ", "bytes=1-2,",
		} {
			for _, condition := range []string{"X-None: 1", `If-Range: "tag"`, `If-Range: "other"`, "If-Range: " + validators} {
				each := compared{conf: conf, request: []string{"Range: " + value, condition, "Accept-Encoding: gzip"}}
				each.said.Fields = fields(`ETag: "tag"`, "Last-Modified: "+validators, "Content-Type: text/plain",
					"Accept-Ranges: bytes")
				cases = append(cases, each)
				if condition == "X-None: 1" {
					head, old, no := each, each, each
					head.method, old.proto, no.said.Status = "HEAD", "HTTP/1.0", "404 No"
					cases = append(cases, head, old, no)
				}
			}
		}
	}
	for _, each := range []compared{{method: "POST", body: "body"}, {request: []string{"Range: bytes=0-1,5-6"}}} {
		each.request = append(each.request, "Accept-Encoding: gzip")
		cases = append(cases, each)
	}
	compare(t, redirected, cases, inside).run(t, cases)
}

// "slice" asks for a large response piece by piece, by Content-Range, which it
// reads up to its NUL.
func TestCompareSlice(t *testing.T) {
	t.Parallel()
	const sliced = `
    location / {
        slice 1k;
        wsgi: wsgi_param HTTP_RANGE $slice_range;
        proxy: proxy_set_header Range $slice_range;
        SIDE_pass;
    }`
	n := compare(t, sliced, nil)
	for _, length := range []int{1, 1023, 1024, 1025, 5000, 100000} {
		for _, ranges := range []string{"X-None: 1", "Range: bytes=1000-3000", "Range: bytes=1024-", "Range: bytes=-1"} {
			for _, way := range []string{"whole", "pieces"} {
				key := fmt.Sprint(length, ranges, way)
				p := &pair{said: said{Slice: length, Whole: way == "whole"}, key: key,
					compared: compared{request: []string{ranges}}}
				n.ask(t, p)
				n.judge(t, p)
				if ranges[0] == 'X' && (p.ours.Size != length || p.ours.Cut) {
					t.Errorf("%s: %d bytes", key, p.ours.Size)
				}
			}
		}
	}
}
