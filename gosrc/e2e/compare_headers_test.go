//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rows are the rows of nginx's table of what upstream servers send, and fields
// beside it.
var rows = []string{
	"Status: 404 Not Found", "Content-Type: text/x-own; charset=koi8-r", "Content-Type: text/plain",
	"Last-Modified: Thu, 01 Dec 1994 16:00:00 GMT", "Last-Modified: never", `ETag: "tag"`,
	"WWW-Authenticate: Basic realm=a", "Location: /elsewhere", "Location: elsewhere?a=b",
	"Location: http://other.example/a", "Location: ", "Refresh: 5; url=/elsewhere", "Set-Cookie: a=1; Path=/",
	"Content-Disposition: attachment", "Cache-Control: private", "Expires: Thu, 01 Dec 1994 16:00:00 GMT",
	"Accept-Ranges: bytes", "Accept-Ranges: none", "Content-Range: bytes 0-39/40", "Vary: Cookie",
	"Link: </a.css>; rel=preload", "X-Accel-Expires: 10", "X-Accel-Limit-Rate: 100000",
	"X-Accel-Buffering: no", "X-Accel-Charset: koi8-r", "Content-Encoding: br", "Content-Encoding: gzip",
	"Content-Language: en", "X-Own: 1", "X-Own: ", "x_own: 1", "P3P: a", "Retry-After: 10", "Allow: GET",
	"Via: 1.1 other", "Age: 10", "Warning: 199 - x", "Pragma: no-cache", "Strict-Transport-Security: max-age=1",
	"X-Powered-By: own", "X-Latin: a\tb",
}

// rowsIn makes a case of each row, with what else is said.
func rowsIn(each compared, more ...string) (cases []compared) {
	for _, row := range rows {
		each.said.Fields = fields(append(more, row)...)
		cases = append(cases, each)
	}
	return cases
}

// One field for one field; and in other places of the configuration.
func TestCompareFields(t *testing.T) {
	t.Parallel()
	cases := rowsIn(compared{})
	for _, conf := range []string{
		"SIDE_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset; charset utf-8;",
		"SIDE_pass_header X-Accel-Expires; SIDE_pass_header X-Accel-Limit-Rate; " +
			"SIDE_pass_header X-Accel-Buffering; SIDE_pass_header X-Accel-Charset;",
		"SIDE_force_ranges on; SIDE_buffering off;",
		"charset koi8-r; override_charset on; expires 1h; gzip on; gzip_vary on; add_header X-Own own always;",
	} {
		cases = append(cases, rowsIn(compared{conf: conf})...)
		cases = append(cases, rowsIn(compared{conf: conf, said: said{Status: "401 No"}})...)
	}
	for _, hidden := range []string{
		"Content-Type", "Last-Modified", "ETag", "WWW-Authenticate", "Location", "Set-Cookie", "Cache-Control",
		"Expires", "Accept-Ranges", "Content-Range", "Link", "Content-Encoding", "X-Own", "Refresh",
	} {
		cases = append(cases, rowsIn(compared{conf: "SIDE_hide_header " + hidden + ";"})...)
	}
	compare(t, "", cases).run(t, cases)
}

const intercepts = "SIDE_intercept_errors on; error_page 401 /page;"

// Several of one name.
func TestCompareRepeated(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, name := range []string{"Set-Cookie", "Cache-Control", "Link", "Vary", "WWW-Authenticate", "X-Own", "Allow"} {
		for _, conf := range []string{"", "expires 1h;", intercepts} {
			if name == "WWW-Authenticate" && conf == intercepts && nginxMinor(t) < 23 {
				continue // "the challenges are kept": this nginx keeps one
			}
			for _, status := range []string{"200 OK", "401 No"} {
				cases = append(cases, compared{conf: conf, said: said{
					Status: status, Fields: fields(name+": one", name+": two", name+": three"),
				}})
			}
		}
	}
	compare(t, `location = /page { return 200 "page"; }`, cases).run(t, cases)
}

// Of those that can be there once only, "a second one is dropped with a
// warning", as nginx does from 1.23 on.
func TestCompareRepeatedSingle(t *testing.T) {
	t.Parallel()
	if nginxMinor(t) < 23 {
		t.Skip("this nginx passes on all of them")
	}
	var cases []compared
	for _, name := range []string{
		"Content-Type", "ETag", "Location", "X-Accel-Limit-Rate", "X-Accel-Expires", "Last-Modified", "Expires",
	} {
		for _, conf := range []string{"", "SIDE_pass_header X-Accel-Limit-Rate; SIDE_pass_header X-Accel-Expires;"} {
			cases = append(cases, compared{conf: conf, said: said{
				Fields: fields(name+": 100000", name+": 200000"),
			}})
		}
	}
	compare(t, "", cases).run(t, cases)
}

// Where we differ, and the documentation says so.
func TestCompareDocumented(t *testing.T) {
	t.Parallel()
	const own = "Date: Thu, 01 Dec 1994 16:00:00 GMT"
	cases := []compared{
		{conf: "proxy: proxy_pass_header Date; proxy_pass_header Server;\n", said: said{Fields: fields(own, "Server: own")}},
		{
			said:   said{Fields: fields(own, "Server: own")},
			unlike: "are sent in place of nginx's own",
			differs: func(s *seen) {
				s.set("Date", strings.TrimPrefix(own, "Date: "))
				s.set("Server", "own")
			},
		},
		{said: said{Fields: fields("Keep-Alive: timeout=1")}},
		{said: said{Fields: fields("Connection: keep-alive")}},
		{said: said{Fields: fields("X-Sendfile: /etc/passwd")}},
	}
	for _, name := range []string{"Proxy-Connection", "TE", "Trailer", "Upgrade"} {
		if name == "Upgrade" && nginxMinor(t) >= 31 {
			continue // which drops it, too
		}
		cases = append(cases, compared{
			said:    said{Fields: fields(name + ": something")},
			unlike:  "Header fields that are for the server to send are dropped with a warning.",
			differs: func(s *seen) { s.set(name, "") },
		})
	}
	compare(t, "", cases).run(t, cases)
}

// A client that leaves: wsgi_ignore_client_abort, as the access log has it.
func TestCompareClientLeaves(t *testing.T) {
	t.Parallel()
	cases := []compared{{conf: "SIDE_ignore_client_abort off;"}, {conf: "SIDE_ignore_client_abort on;"}}
	n := compare(t, "", cases)
	waits := said{Status: "200 OK", Chunks: []string{"late"}, Sized: true, Length: 4, Until: n.Var + "/until"}
	for i, each := range cases {
		for side, addr := range map[string]string{"w": n.Addr, "p": n.Addr2} {
			w := dialTo(t, "tcp", addr)
			w.send(n.requestText(&pair{compared: each, said: waits}, fmt.Sprint(side, i)))
			require.NoError(t, w.Close())
		}
	}
	n.wait("the requests that end at once", func() bool { return len(n.readLog()) == 2 })
	writeFile(t, n.Var, "until", "")
	n.wait("those that do not", func() bool { return len(n.readLog()) == 4 })
	assert.Equal(t, "499 0 GET /0/x", n.lines["w0"][:14])
	assert.Equal(t, n.lines["p0"], n.lines["w0"])
	assert.Equal(t, "200 4 GET /1/x", n.lines["w1"][:14])
	assert.Equal(t, n.lines["p1"], n.lines["w1"])
}

// redirected is what both sides have beside their locations.
const redirected = `
    location /inside/ { internal; alias {{.Dir}}/inside/; }
    location /charset/ { internal; charset utf-8; alias {{.Dir}}/inside/; }
    location /gone/ { internal; return 410 "gone"; }
    location = /page { return 200 "page of $status"; }
    location /again/ {
        internal;
        wsgi: wsgi_param HTTP_X_SAID "AGAIN";
        proxy: proxy_set_header X-Said "AGAIN";
        SIDE_pass;
    }
    location @named { add_header X-Named yes; return 200 "named $request_method $uri"; }`

var inside = file("inside/file.txt", "from the file")

// X-Accel-Redirect: "is kept" what nginx's table says, and what the fields tell
// nginx holds for the other response.
func TestCompareRedirect(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, to := range []string{"/inside/file.txt", "/charset/file.txt", "@named", "/gone/", "/inside/none"} {
		cases = append(cases, rowsIn(compared{}, "X-Accel-Redirect: "+to)...)
	}
	for _, to := range []string{
		"/inside/file.txt?a=b", "/inside/../inside/file.txt", "/inside/%66ile.txt", "/inside/%2e%2e/x",
		"", "@none", "inside/file.txt", "http://other.example/", "/page", "@",
	} {
		cases = append(cases, compared{said: said{Fields: fields("X-Accel-Redirect: " + to)}})
	}
	const to = "X-Accel-Redirect: /inside/file.txt"
	for _, each := range []compared{
		{method: "HEAD"}, {method: "POST", body: "body"}, {method: "DELETE"}, {proto: "HTTP/1.0"},
		{request: []string{"Range: bytes=1-3"}}, {request: []string{"If-Modified-Since: Fri, 02 Dec 2044 16:00:00 GMT"}},
		{conf: "SIDE_ignore_headers X-Accel-Redirect;"}, {conf: "SIDE_pass_header X-Accel-Redirect;"},
		{conf: "SIDE_ignore_headers X-Accel-Redirect; SIDE_pass_header X-Accel-Redirect;"},
		{conf: "SIDE_force_ranges on;"}, {conf: "SIDE_intercept_errors on; error_page 404 /page;"},
	} {
		for _, status := range []string{"200 OK", "404 No", "204 No Content"} {
			each.said = said{Status: status, Fields: fields(to, "Accept-Ranges: bytes", "X-Own: 1")}
			cases = append(cases, each)
		}
	}
	cases = append(cases, compared{
		conf:   "SIDE_hide_header Set-Cookie;",
		said:   said{Fields: fields(to, "Set-Cookie: a=1")},
		unlike: "any other field that is hidden is as if it had not been sent",
		differs: func(s *seen) {
			s.set("Set-Cookie", "")
			s.Log = strings.Replace(s.Log, `"a=1"`, `"-"`, 1)
		},
	})
	compare(t, redirected, cases, inside).run(t, cases)
}

// Two upstream servers, one after the other: both have a say.
func TestCompareRedirectAgain(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, row := range rows {
		cases = append(cases, compared{said: said{Fields: fields("X-Accel-Redirect: /again/", row)}})
	}
	const expires = "Expires: Fri, 02 Dec 1994 16:00:00 GMT"
	i := slices.IndexFunc(rows, func(row string) bool { return strings.HasPrefix(row, "Expires") })
	cases[i].unlike = "Of those that can be there once only, a second one is dropped with a warning."
	cases[i].differs = func(s *seen) { s.set("Expires", strings.TrimPrefix(expires, "Expires: ")) }
	again := said{Status: "203 Again", Chunks: []string{"again"}, Sized: true, Length: 5, Fields: fields(
		"Content-Type: text/plain", "Set-Cookie: b=2", "Cache-Control: public", "Content-Disposition: inline", expires)}
	server := strings.ReplaceAll(redirected, "AGAIN", again.encode())
	compare(t, server, cases, inside).run(t, cases)
}

// What tells nginx how fast, and in which charset, holds for whatever is sent.
func TestCompareAccel(t *testing.T) {
	t.Parallel()
	var cases []compared
	slow := []string{strings.Repeat("x", 5000)}
	for _, rate := range []string{"X-Accel-Limit-Rate: 2000", "X-Accel-Limit-Rate: 0", "X-Accel-Limit-Rate: 2k"} {
		for _, to := range []string{"X-Own: 1", "X-Accel-Redirect: /inside/slow"} {
			cases = append(cases, compared{timed: true, conf: "limit_rate 2000;",
				said: said{Chunks: slow, Fields: fields(rate, to)}})
			for _, conf := range []string{"", "SIDE_ignore_headers X-Accel-Limit-Rate;"} {
				cases = append(cases, compared{timed: true, conf: conf,
					said: said{Chunks: slow, Fields: fields(rate, to)}})
			}
		}
		cases = append(cases, compared{timed: true, conf: "SIDE_intercept_errors on; error_page 404 /inside/slow;",
			said: said{Status: "404 No", Fields: fields(rate)}})
	}
	for _, name := range []string{"koi8-r", "", "utf-8"} {
		for _, to := range []string{"X-Own: 1", "X-Accel-Redirect: /charset/file.txt"} {
			for _, conf := range []string{
				"charset utf-8;", "charset utf-8; override_charset on;", "charset utf-8; SIDE_ignore_headers X-Accel-Charset;",
				"SIDE_intercept_errors on; error_page 404 /charset/file.txt;",
			} {
				for _, status := range []string{"200 OK", "404 No"} {
					cases = append(cases, compared{conf: conf, said: said{Status: status,
						Fields: fields("X-Accel-Charset: "+name, "Content-Type: text/html", to)}})
				}
			}
		}
	}
	compare(t, redirected, cases, inside, file("inside/slow", slow[0])).run(t, cases)
}

// How nginx reads a Content-Type: its charset is for "charset" to convert.
func TestCompareContentType(t *testing.T) {
	t.Parallel()
	var cases []compared
	for _, value := range []string{
		"text/html", "text/plain; charset=koi8-r", "text/plain;charset=koi8-r", "text/plain;   CHARSET=KOI8-R",
		`text/plain; charset="koi8-r"`, `text/plain; charset="koi8-r`, `text/plain; charset=koi8-r"`,
		"text/plain; charset=", "text/plain;", "text/plain; ", "text/plain; a=b; charset=koi8-r",
		"text/plain; charset=koi8-r; a=b", "text/plain; charset=koi8-r ", "text/plain;;charset=koi8-r",
		"text/plain; xcharset=koi8-r", "text/plain ; charset=koi8-r", "TEXT/PLAIN; charset=koi8-r", "",
		"text/plain;\tcharset=koi8-r", "multipart/mixed; boundary=charset", ";charset=koi8-r", "text/x; charset",
	} {
		for _, conf := range []string{
			"", "charset utf-8; override_charset on; charset_types *;", "charset utf-8;", "gzip on;",
			"sub_filter part PART; sub_filter_types text/plain;", "source_charset koi8-r; charset utf-8;",
		} {
			cases = append(cases, compared{conf: conf, request: []string{"Accept-Encoding: gzip"},
				said: said{Fields: fields("Content-Type: " + value), Chunks: []string{"a part: \u00c1", " of it"}}})
		}
	}
	compare(t, "", cases).run(t, cases)
}
