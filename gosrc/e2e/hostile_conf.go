//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// way is one to get to the application: a location /name/ with directives.
type way struct {
	name string
	has  []string
}

// hostileWays are the directives that a wsgi_pass location may have, each by
// itself; crossedWays mixes them.
var hostileWays = []way{
	{"plain", nil},
	{"upload", []string{"wsgi_request_buffering off;"}},
	{"stream", []string{"wsgi_buffering off;"}},
	{"both", []string{"wsgi_request_buffering off;", "wsgi_buffering off;"}},
	{"nobody", []string{"wsgi_pass_request_body off;"}},
	{"ranges", []string{"wsgi_force_ranges on;"}},
	{"intercept", []string{"wsgi_intercept_errors on;"}},
	{"gzip", []string{"gzip on;", "gzip_types *;", "gzip_min_length 1;", "gzip_proxied any;"}},
	{"gunzip", []string{"gunzip on;"}},
	{"sub", []string{"sub_filter hh HH;", "sub_filter_once off;", "sub_filter_types *;"}},
	{"addition", []string{"add_before_body /t/response/plain;",
		"add_after_body /ts/hostile/pieces;", "addition_types *;"}},
	{"slice", []string{"slice 1k;", "wsgi_param HTTP_RANGE $slice_range;"}},
	{"auth", []string{"auth_request /t/hostile/tagged;"}},
	{"authstream", []string{"auth_request /ts/hostile/pieces;"}},
	{"access", []string{"wsgi_access kitchen.hostile:gate;"}},
	{"any", []string{"satisfy any;", "deny all;", "wsgi_access kitchen.hostile:gate;"}},
	{"mirror", []string{"mirror /t/body/digest;", "mirror /ts/failing/late;"}},
	{"ssi", []string{"ssi on;", "ssi_types *;"}},
	{"rate", []string{"limit_rate 50k;"}},
	{"post", []string{"post_action /t/response/write;"}},
	{"tiny", []string{"client_max_body_size 10;"}},
	{"small", []string{"wsgi_buffers 2 512;", "wsgi_buffer_size 512;", "client_body_buffer_size 512;"}},
	{"nofile", []string{"wsgi_max_temp_file_size 0;", "client_body_in_single_buffer on;"}},
	{"onfile", []string{"client_body_in_file_only clean;"}},
	{"short", []string{"wsgi_timeout 100ms;"}},
	{"raise", []string{"wsgi_cancel raise;"}},
	{"ignore", []string{"wsgi_ignore_client_abort on;"}},
	{"unchunked", []string{"chunked_transfer_encoding off;"}},
	{"lingers", []string{"lingering_close always;"}},
	{"never", []string{"lingering_close off;"}},
	{"once", []string{"keepalive_requests 1;"}},
	{"reset", []string{"reset_timedout_connection on;", "send_timeout 200ms;"}},
	{"before", []string{"if_modified_since before;", "etag off;", "expires max;", "charset utf-8;"}},
	{"sendfile", []string{"sendfile on;", "aio threads;", "output_buffers 1 1k;"}},
	{"late", []string{"postpone_output 0;", "tcp_nodelay off;"}},
	{"slowly", []string{"limit_req zone=slowly burst=20;"}},
	{"one", []string{"max_ranges 1;", "wsgi_force_ranges on;"}},
	{"internal", []string{"internal;"}},
}

const hostileErrors = "error_page 400 401 403 404 405 408 411 412 413 414 415 416 " +
	"494 500 501 502 503 504 505 "

// hostileServers are the directives around these locations: what becomes of
// requests that nginx or the application refuses.
var hostileServers = []string{
	``,
	hostileErrors + `= /err;`,
	hostileErrors + `/errs;`,
	hostileErrors + `= @err; recursive_error_pages on;`,
	`error_page 400 404 412 414 416 500 504 /files/a; error_page 413 = /errs?count=200;
     wsgi_access kitchen.hostile:gate;`,
	hostileErrors + `=200 /accel; wsgi_intercept_errors on;`,
}

// hostileCommon is in each server: what error_page, X-Accel-Redirect and
// subrequests lead to.  A file under a condition is left out: nginx sends it
// behind its own page for 412 if that page cannot be written at once.
const hostileCommon = `
        location = /err { wsgi_param PATH_INFO /hostile/error; wsgi_pass kitchen.hostile; }
        location = /errs {
            wsgi_request_buffering off; wsgi_buffering off;
            wsgi_param PATH_INFO /hostile/error; wsgi_pass kitchen.hostile;
        }
        location @err { wsgi_param PATH_INFO /failing/late; wsgi_intercept_errors on; wsgi_pass kitchen.hostile; }
        location = /accel {
            wsgi_param PATH_INFO /accel/generator;
            wsgi_param QUERY_STRING "X-Accel-Redirect=/ins/hostile/pieces";
            wsgi_pass kitchen.hostile;
        }
        location @named { wsgi_param PATH_INFO /hostile/pieces; wsgi_pass kitchen.hostile; }
        location @streamed {
            wsgi_request_buffering off; wsgi_buffering off;
            wsgi_param PATH_INFO /hostile/late; wsgi_pass kitchen.hostile;
        }
        location /t/ { wsgi_script_name /t; wsgi_pass kitchen.hostile; }
        location /ts/ {
            wsgi_request_buffering off; wsgi_buffering off;
            wsgi_script_name /ts; wsgi_pass kitchen.hostile;
        }
        location /in/ { internal; wsgi_script_name /in; wsgi_pass kitchen.hostile; }
        location /ins/ {
            internal; wsgi_request_buffering off; wsgi_buffering off;
            wsgi_script_name /ins; wsgi_pass kitchen.hostile;
        }
        set $conditions $http_if_match$http_if_unmodified_since;
        location /files/ { if ($conditions) { return 403; } alias {{.Dir}}/pages/; }
        location /pages/ {
            if ($conditions) { return 403; }
            ssi on; default_type text/html; alias {{.Dir}}/pages/;
        }
        location /guarded/ {
            if ($conditions) { return 403; }
            wsgi_access kitchen.hostile:gate; alias {{.Dir}}/pages/;
        }`

const hostileHTTP = `
    wsgi_python_path {{.Apps}};
    wsgi_pool default threads=12 queue=512 queue_timeout=2s;
    wsgi_pool probe threads=2;
    wsgi_timeout 1s;
    client_header_timeout 2s;
    client_body_timeout 1s;
    client_body_buffer_size 8k;
    send_timeout 3s;
    keepalive_timeout 2s;
    lingering_timeout 300ms;
    lingering_time 2s;
    limit_req_zone $server_port zone=slowly:1m rate=100r/s;
    log_format hostile '$wsgi_status $wsgi_time $wsgi_queue_time $wsgi_app_time $wsgi_app $wsgi_pool '
                       '$status $remote_user $body_bytes_sent $wsgi_http_etag $wsgi_http_x_page $wsgi_cookie_a';
`

// crossedWays are so many of the ways mixed by twos and threes, but for what
// nginx itself cannot mix: the subrequests of "slice" with those of others, and
// those of others with a thread that sends a file over HTTP/2.
func crossedWays(rng *rand.Rand, count int) []way {
	mixed := slices.DeleteFunc(slices.Clone(hostileWays), func(w way) bool {
		return w.name == "slice" || w.name == "sendfile" || w.name == "internal"
	})
	var crossed []way
	for i := range count {
		c := way{name: fmt.Sprint("x", i)}
		var seen []string
		for range 2 + rng.IntN(2) {
			for _, directive := range pick(rng, mixed).has {
				word, _, _ := strings.Cut(directive, " ")
				if word == "mirror" || !slices.Contains(seen, word) {
					seen = append(seen, word)
					c.has = append(c.has, directive)
				}
			}
		}
		crossed = append(crossed, c)
	}
	return crossed
}

// hostileConf is the content of the http block, for servers at these
// addresses, two of each: HTTP/1 and HTTP/2.
func hostileConf(t *testing.T, ways []way, addrs [][2]string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(hostileHTTP)
	fmt.Fprintf(&b, `
    server {
        listen {{.Addr}};
        %s
        error_log {{.Dir}}/error.log info;
        wsgi_use_pool probe;
        wsgi_timeout 60s;
        client_header_timeout 60s;
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 plain; }
    }`, http2Listen(t))
	for i, directives := range hostileServers {
		fmt.Fprintf(&b, `
    server {
        listen %s;
        %s
        access_log /dev/null hostile;
        %s
        %s
`, addrs[i][0], http2ListenAt(t, addrs[i][1]), directives, hostileCommon)
		for _, w := range ways {
			fmt.Fprintf(&b, "        location /%s/ { %s wsgi_script_name /%s; wsgi_pass kitchen.hostile; }\n",
				w.name, strings.Join(w.has, " "), w.name)
		}
		b.WriteString("    }\n")
	}
	return b.String()
}

var hostilePages = []option{
	file("pages/a", strings.Repeat("a static page\n", 300)),
	file("pages/index.html", `[<!--# include virtual="/t/hostile/pieces" -->|`+
		`<!--# include virtual="/ts/hostile/late" --><!--# include virtual="/t/failing/late" -->]`),
}

// pick takes one of a list.
func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }
