//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// What requests of the hostile clients are made of.

var hostileMethods = []string{
	"GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "HEAD", "HEAD", "PUT",
	"DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "FOO_BAR", "get", "CONNECT",
}

var hostileVersions = []string{
	" HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.1",
	" HTTP/1.0", " HTTP/1.0", "", " HTTP/9.1", " HTTP/1.2", " HTTP/0.9", " HTTP", " HTTP/1.1 ",
}

// hostileTargets are endpoints of kitchen/hostile.py, below a way.
var hostileTargets = []string{
	"/hostile/tagged", "/hostile/tagged?size=100000", "/hostile/pieces", "/hostile/pieces?count=400&size=1",
	"/hostile/pieces?count=5&pause=20", "/hostile/pieces?count=30&size=200000", "/hostile/pieces?count=1",
	"/hostile/writes", "/hostile/writes?count=3&pause=10", "/hostile/partly?read=5", "/hostile/partly?read=100000",
	"/hostile/late", "/hostile/late?count=100&size=5000", "/hostile/file", "/hostile/file?at=500&count=100",
	"/hostile/zipped", "/hostile/ranged", "/hostile/ranged?count=100", "/hostile/page",
	"/hostile/watches?count=40&pause=5", "/hostile/pieces?count=4&pause=80", "/hostile/error", "/hostile/none",
	"/response/plain", "/response/write", "/response/late_start", "/response/exc_replaces",
	"/response/twice", "/response/empty_between", "/response/exc_replaces_after_empty",
	"/framing/single", "/framing/generator", "/framing/empty_list", "/framing/empty_generator",
	"/framing/length?length=50&chunks=hello", "/framing/length?length=3&chunks=he,llo",
	"/framing/length_write?length=5&chunks=hel,lo", "/framing/no_body/204", "/framing/no_body/304",
	"/framing/no_body_length/204", "/framing/no_body_empty/304", "/failing/before", "/failing/after_start",
	"/failing/at_first", "/failing/late", "/failing/late_length", "/failing/no_start",
	"/failing/str_chunk_late", "/failing/system_exit", "/body/echo", "/body/echo", "/body/digest",
	"/body/lines", "/body/unread", "/body/while_streaming", "/body/copy_fd", "/body/rename",
	"/wrapper/real?at=100", "/streaming/lines", "/streaming/pieces", "/streaming/digest",
}

// hostileAccel are header fields that an endpoint is asked to answer with.
var hostileAccel = []string{
	"X-Accel-Redirect=/files/a", "X-Accel-Redirect=/files/none", "X-Accel-Redirect=/t/hostile/tagged",
	"X-Accel-Redirect=/ts/hostile/late", "X-Accel-Redirect=/in/hostile/pieces",
	"X-Accel-Redirect=/ins/body/echo", "X-Accel-Redirect=@named", "X-Accel-Redirect=@streamed",
	"X-Accel-Redirect=/pages/index.html", "X-Accel-Redirect=/guarded/a", "X-Accel-Redirect=/accel",
	"X-Accel-Redirect=/%00", "X-Accel-Redirect=../../x", "X-Accel-Redirect=", "X-Accel-Redirect=@none",
	"X-Accel-Redirect=/t/accel/answer?X-Accel-Redirect=/files/a",
	"X-Accel-Buffering=no", "X-Accel-Buffering=yes", "X-Accel-Limit-Rate=2000", "X-Accel-Limit-Rate=x",
	"X-Accel-Charset=utf-8", "X-Accel-Expires=10", "X-Accel-Expires=@1",
	"status=404%20No", "status=412%20No", "status=416%20No", "status=304%20No", "status=204%20No",
	"status=206%20Part", "status=500%20No", "status=503%20No", "status=413%20No", "status=101%20Switch",
	"status=444%20Close", "status=499%20Gone", "status=401%20Who", "status=100%20Go", "status=999%20x",
	"ETag=%22a%22", "Last-Modified=Sun, 06 Nov 1994 08:49:37 GMT", "Content-Encoding=gzip",
	"Content-Length=0", "Content-Length=100", "Content-Length=2", "Content-Range=bytes 0-3/9", "Trailer=X",
	"Transfer-Encoding=chunked", "Connection=close", "Set-Cookie=a=b", "Location=/x", "Vary=*",
	"Content-Type=text/html", "Content-Type=multipart/byteranges", "Accept-Ranges=none",
	"body=<!--%23 include virtual=\"/t/hostile/pieces\" -->", "body=", "body=0%0d%0a%0d%0a",
}

// hostileFields are header fields of requests.
var hostileFields = []string{
	`If-Match: "z"`, `If-Match: "a"`, `If-Match: *`, `If-Match: W/"a"`, `If-None-Match: "a"`, `If-None-Match: *`,
	`If-None-Match: "z", W/"a"`, `If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT`,
	`If-Unmodified-Since: Sun, 06 Nov 2094 08:49:37 GMT`, `If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT`,
	`If-Modified-Since: rubbish`, `If-Range: "a"`, `If-Range: "z"`, `If-Range: Sun, 06 Nov 1994 08:49:37 GMT`,
	`Range: bytes=0-0,5-`, `Range: bytes=0-0`, `Range: bytes=-5`, `Range: bytes=99999999-`, `Range: bytes=5-2`,
	`Range: bytes=0-,0-,0-,0-`, `Range: bytes=1-1,3-3,100-200`, `Range: lines=1-2`, `Range: bytes=9223372036854775807-`,
	`Expect: 100-continue`, `Expect: 100-continue`, `Expect: 200-maybe`, `Connection: close`, `Connection: keep-alive`,
	`Connection: upgrade, close`, `Upgrade: websocket`, `Upgrade: h2c`, `Accept-Encoding: gzip`, `TE: trailers`,
	`X-Gate: forbid`, `X-Gate: pieces`, `X-Gate: fail`, `X-Gate: late`, `X-Gate: reads`, `X-Gate: sleeps`,
	`X-Gate: accel /files/a`, `X-Gate: accel /ts/hostile/late`, `X-Gate: accel @named`,
	`Host: two`, `Host: a/b`, `Host:`, `Authorization: Basic YTpi`, `Cookie: a=b`, `X-Forwarded-For: 1.2.3.4`,
	`Content-Type: multipart/form-data; boundary=x`, `Transfer-Encoding: identity`, `Transfer-Encoding: gzip, chunked`,
	`Content-Length: -1`, `Content-Length: 99999999999`, `Content-Length: 5`, `Keep-Alive: 1`, `: nameless`, `NoColon`,
	`X-Bad: a` + "\x00" + `b`, `X-Folded: a` + "\r\n b", `Content-Length : 3`, `Proxy: x`, "X-Ctl: \x01\x7f\xff",
}

// hostileSeeds are whole pieces of what comes over a connection.
var hostileSeeds = []string{
	"x\r\n\r\n", "\r\n\r\n", "\r\n", "GET\r\n\r\n", "GET /\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /plain/response/plain\r\n",
	"GET /both/hostile/pieces HTTP/1.0\r\n\r\n", "get /plain/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://a/plain/hostile/pieces HTTP/1.1\r\nHost: b\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /../.. HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /plain/../both/./hostile//pieces HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /pages/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /guarded/a HTTP/1.1\r\nHost: a\r\nX-Gate: pieces\r\n\r\n",
	"GET /files/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,5-\r\n\r\n", "POST /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x5a", 64),
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	"GET /" + strings.Repeat("u", 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /plain/response/plain HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("h", 9000) + "\r\n\r\n",
	"GET /plain/response/plain HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Many: "+strings.Repeat("m", 500)+"\r\n", 80) + "\r\n",
	"POST /tiny/body/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
	"POST /plain/body/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	"POST /upload/hostile/late HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
}

// hostileChunks are what stands where a chunk is to begin.
var hostileChunks = []string{
	"zz\r\n", "-5\r\nhello\r\n", "5\r\nhelloworld\r\n", "fffffffffffffffff\r\n", "7fffffffffffffff\r\nx",
	"5;a=b\r\nhello\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n", "5\nhello\n", "\r\n", "0;\r\n\r\n", "00000\r\n\r\n",
}

// ownToken marks a request's body as its own; whoever else's response has it got
// what it must not have.
func ownToken(index uint64) string {
	text := strconv.FormatUint(index, 10)
	return fmt.Sprintf("tok-%s-%08x-", text, crc32.ChecksumIEEE([]byte(text)))
}

var tokens = regexp.MustCompile(`tok-(\d+)-([0-9a-f]{8})-`)

// foreign returns a token in the text that is not this connection's.
func foreign(index uint64, text string) string {
	for _, found := range tokens.FindAllStringSubmatch(text, -1) {
		other, err := strconv.ParseUint(found[1], 10, 64)
		if err == nil && other != index && found[0] == ownToken(other) {
			return found[0]
		}
	}
	return ""
}

// hostileTarget is the URI of a request: a way and what is asked for there.
func hostileTarget(rng *rand.Rand, ways []way) string {
	target := pick(rng, hostileTargets)
	if rng.IntN(4) == 0 {
		var args []string
		for range 1 + rng.IntN(3) {
			name, value, _ := strings.Cut(pick(rng, hostileAccel), "=")
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
			args = append(args, name+"="+url.QueryEscape(value))
		}
		target = pick(rng, []string{"/accel/answer?", "/accel/generator?"}) + strings.Join(args, "&")
	}
	return "/" + pick(rng, ways).name + target
}
