//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// said is what both sides are told to answer: the application behind wsgi_pass
// and the server behind proxy_pass.
type said struct {
	Status string      `json:"status"` // "200 OK" if empty
	Fields [][2]string `json:"fields"`
	Chunks []string    `json:"chunks"`
	Sized  bool        `json:"sized"`  // there is a Content-Length
	Length int         `json:"length"` // that of the chunks, if 0
	Whole  bool        `json:"whole"`  // the chunks are a list, not an iterator
	Cut    bool        `json:"cut"`    // it ends before it is complete
	Echo   bool        `json:"echo"`   // the body tells what the request was
	Slice  int         `json:"slice"`  // the range that was asked for, of so many bytes
	Until  string      `json:"until"`  // the answer waits for this file
}

func (s said) String() string {
	text, _ := json.Marshal(s)
	return string(text)
}

func (s said) encode() string { return base64.StdEncoding.EncodeToString([]byte(s.String())) }

// wire is the answer as an HTTP/1.1 server sends it.
func (s said) wire(method string) string {
	text := "HTTP/1.1 " + s.Status + "\r\n"
	for _, f := range s.Fields {
		text += f[0] + ": " + f[1] + "\r\n"
	}
	bodiless := method == "HEAD" || s.Status[:3] == "204" || s.Status[:3] == "304"
	if s.Sized {
		text += fmt.Sprintf("Content-Length: %d\r\n", s.Length)
	} else if !bodiless {
		text += "Transfer-Encoding: chunked\r\n"
	}
	text += "\r\n"
	for _, chunk := range s.Chunks {
		if bodiless {
			return text
		}
		if !s.Sized {
			chunk = fmt.Sprintf("%x\r\n%s\r\n", len(octets(chunk)), chunk)
		}
		text += chunk
	}
	if !s.Sized && !bodiless && !s.Cut {
		text += "0\r\n\r\n"
	}
	return text
}

// origin is the server behind proxy_pass.  It answers one request and closes.
func origin(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSaid(conn)
		}
	}()
	return l.Addr().String()
}

func serveSaid(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	body, _ := io.ReadAll(req.Body)
	s := said{Echo: true}
	text, _ := base64.StdEncoding.DecodeString(req.Header.Get("X-Said"))
	_ = json.Unmarshal(text, &s) // or nothing was passed on
	for s.Until != "" && !exists(s.Until) {
		time.Sleep(5 * time.Millisecond)
	}
	if s.Echo {
		s = s.echo(req, body)
	}
	if s.Slice > 0 {
		s = s.part(req.Header.Get("Range"))
	}
	_, _ = conn.Write(octets(s.wire(req.Method)))
}

// echo is what compare.py makes of the same request.
func (s said) echo(req *http.Request, body []byte) said {
	length := "-"
	if req.ContentLength > 0 {
		length = strconv.FormatInt(req.ContentLength, 10)
	}
	chunk := fmt.Sprintf("%s %s %s [%s] %s", req.Method, req.RequestURI, length,
		req.Header.Get("X-Probe"), body)
	return said{Status: "200 OK", Chunks: []string{chunk}, Sized: true, Length: len(chunk)}
}

// part is the range of a body of digits, as compare.py answers it.
func (s said) part(ranges string) said {
	first, last := 0, s.Slice-1
	_, _ = fmt.Sscanf(ranges, "bytes=%d-%d", &first, &last)
	last = min(last, s.Slice-1)
	if first > last {
		return said{Status: "416 No", Sized: true}
	}
	text := strings.Repeat("0123456789", s.Slice/10+1)[first : last+1]
	return said{Status: "206 Part", Chunks: []string{text}, Sized: true, Length: len(text), Fields: [][2]string{
		{"Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, s.Slice)}, {"ETag", `"tag"`},
	}}
}

// octets has a byte for each character.
func octets(text string) (b []byte) {
	for _, r := range text {
		b = append(b, byte(r))
	}
	return b
}

// compared is a case: what nginx is told, what the client asks, and what both
// sides answer.
type compared struct {
	conf    string   // of the location; "SIDE_" is wsgi_ or proxy_
	method  string   // GET if empty
	proto   string   // HTTP/1.1 if empty
	request []string // header fields
	body    string
	said    said
	timed   bool // whether it takes long is compared, too

	// unlike is the sentence of the documentation by which we differ, and
	// differs makes our answer of the other.
	unlike  string
	differs func(*seen)
}

// seen is what can be seen of an answer from outside.
type seen struct {
	Status  string // the status line
	Fields  []string
	Framing framing
	Body    string // a digest, if it is long
	Size    int
	Cut     bool
	Next    string // what becomes of the connection
	Slow    bool
	Log     string
}

// set is for differences: the field has this value instead; "" removes it.
func (s *seen) set(name, value string) {
	s.Fields = slices.DeleteFunc(s.Fields, func(f string) bool {
		return strings.HasPrefix(f, strings.ToLower(name)+": ")
	})
	if value != "" {
		s.Fields = append(s.Fields, strings.ToLower(name)+": "+value)
		slices.Sort(s.Fields)
	}
}

// comparison is one nginx with both.
type comparison struct {
	*instance
	places []string // the configuration of each location
	lines  map[string]string
}

const compareServer = `
    server {
        listen %s;
        access_log {{.Dir}}/compare.log compare;
        %s
        location = /next { access_log off; return 204; }
        %s
    }`

const compareHTTP = `
    wsgi_python_path {{.Apps}};
    map $sent_http_transfer_encoding $compare_bytes {
        chunked -; # how a body is divided into chunks is nobody's promise
        default $body_bytes_sent;
    }
    map $status $compare_connection {
        412 -; # nginx's not_modified filter ends the connection, whatever was said
        default $sent_http_connection;
    }
    log_format compare '$http_x_key|$status $compare_bytes $request_method $uri '
        '"$sent_http_content_type" $sent_http_content_length "$sent_http_last_modified" '
        '$sent_http_location $sent_http_etag "$sent_http_cache_control" "$sent_http_link" '
        '"$sent_http_set_cookie" $sent_http_x_own $compare_connection '
        '$sent_http_transfer_encoding $request_completion';
    proxy_cache_path {{.Dir}}/cache keys_zone=compare:1m;
    gzip_min_length 1;
    gzip_types text/plain;
    charset_map koi8-r utf-8 { C1 D0B0; }`

// compare starts nginx with two servers that differ in wsgi_pass and proxy_pass
// only.  "server" is put into both.
func compare(t *testing.T, server string, cases []compared, opts ...option) *comparison {
	t.Helper()
	c := &comparison{lines: map[string]string{}}
	for _, each := range cases {
		if !slices.Contains(c.places, each.conf) {
			c.places = append(c.places, each.conf)
		}
	}
	conf := compareHTTP
	for name, listen := range map[string]string{"wsgi": "{{.Addr}}", "proxy": "{{.Addr2}}"} {
		text := fmt.Sprintf(compareServer, listen, side(server, name), c.locations(name))
		conf += strings.ReplaceAll(text, name+"_pass;", map[string]string{
			"wsgi":  "wsgi_pass kitchen.compare:answer;",
			"proxy": "proxy_http_version 1.1; proxy_redirect off; proxy_pass http://" + origin(t) + ";",
		}[name])
	}
	c.instance = start(t, conf, opts...)
	return c
}

// side makes the configuration of one side: "SIDE_x" is its directive, and a
// line that begins with "wsgi:" or "proxy:" is for that side only.  "SIDE_pass;"
// is where it answers.
func side(conf, name string) string {
	other := map[string]string{"wsgi": "proxy", "proxy": "wsgi"}[name]
	conf = regexp.MustCompile(`(?m)^\s*`+other+`:.*$`).ReplaceAllString(conf, "")
	conf = regexp.MustCompile(`(?m)^\s*`+name+`:`).ReplaceAllString(conf, "")
	return strings.ReplaceAll(conf, "SIDE_", name+"_")
}

func (c *comparison) locations(name string) string {
	text := ""
	for i, conf := range c.places {
		text += fmt.Sprintf("location /%d/ { %s %s_pass; }\n", i, side(conf, name), name)
	}
	return text
}

// forms are the ways in which an application can make one body.
func forms(s said) []said {
	if s.Status == "" {
		s.Status = "200 OK"
	}
	if s.Chunks == nil && s.Length == 0 && s.Status[:3] != "204" && s.Status[:3] != "304" {
		s.Chunks = []string{"The first, ", "the second ", "and the last part."}
	}
	if s.Length == 0 {
		s.Length = len(octets(strings.Join(s.Chunks, "")))
	}
	if s.Cut || s.Sized || s.Echo || len(s.Chunks) == 0 {
		return []said{s}
	}
	whole, sized := s, s
	whole.Sized, whole.Whole, whole.Chunks = true, true, []string{strings.Join(s.Chunks, "")}
	sized.Sized = true
	return []said{whole, sized, s}
}

// pair is one case in one form, and what has come of it.
type pair struct {
	compared
	said       said
	key        string // in the access log, behind the letter of a side
	ours, want *seen
}

// run compares all cases in all forms, then the lines of the access log.
func (c *comparison) run(t *testing.T, cases []compared) {
	t.Helper()
	var pairs []*pair
	for i, each := range cases {
		for j, s := range forms(each.said) {
			if each.timed && j > 0 {
				break // one form tells how long it takes
			}
			pairs = append(pairs, &pair{compared: each, said: s, key: fmt.Sprintf("%d.%d", i, j)})
		}
	}
	t.Run("ask", func(t *testing.T) { // returns when all of them have their answers
		for _, p := range pairs {
			if !p.timed {
				c.ask(t, p)
				continue
			}
			t.Run(p.key, func(t *testing.T) {
				t.Parallel()
				c.ask(t, p)
			})
		}
	})
	c.wait("the access log", func() bool { return len(c.readLog()) >= 2*len(pairs) || t.Failed() })
	for _, p := range pairs {
		c.judge(t, p)
	}
}

func (c *comparison) ask(t *testing.T, p *pair) {
	t.Helper()
	p.ours = c.exchange(t, p, c.Addr, "w"+p.key)
	p.want = c.exchange(t, p, c.Addr2, "p"+p.key)
}

func (c *comparison) judge(t *testing.T, p *pair) {
	t.Helper()
	require.NotNil(t, p.want, "no answer")
	what := fmt.Sprintf("%s\n%s %q\n%s", p.conf, p.method, p.request, p.said)
	p.ours.Log, p.want.Log = c.lines["w"+p.key], c.lines["p"+p.key]
	if p.unlike != "" {
		assert.NotEqual(t, p.want, p.ours, "%s\ndoes not differ: %s", what, p.unlike)
		p.differs(p.want)
	}
	assert.Equal(t, p.want, p.ours, what)
}

func (c *comparison) readLog() map[string]string {
	for _, line := range strings.SplitAfter(readFile(c.Dir+"/compare.log"), "\n") {
		if key, rest, found := strings.Cut(line, "|"); found && strings.HasSuffix(rest, "\n") {
			c.lines[key] = rest
		}
	}
	return c.lines
}

// exchange sends the request of a case to one side.
func (c *comparison) exchange(t *testing.T, p *pair, addr, key string) *seen {
	t.Helper()
	w := dialTo(t, "tcp", addr)
	defer func() { _ = w.Close() }()
	began := time.Now()
	w.send(c.requestText(p, key))
	w.sendRaw(p.body)
	r := w.reply(cmp.Or(p.method, "GET"))
	v := r.seen()
	v.Slow = p.timed && time.Since(began) > 1200*time.Millisecond
	v.Next = w.next(r)
	return v
}

// requestText is the head of a request.
func (c *comparison) requestText(p *pair, key string) string {
	text := fmt.Sprintf("%s /%d/x?a=b %s\nHost: localhost\nX-Key: %s\nX-Said: %s\n", cmp.Or(p.method, "GET"),
		slices.Index(c.places, p.conf), cmp.Or(p.proto, "HTTP/1.1"), key, p.said.encode())
	for _, line := range p.request {
		text += line + "\n"
	}
	if p.body != "" {
		text += fmt.Sprintf("Content-Length: %d\n", len(p.body))
	}
	return text + "\n"
}

func (r *reply) seen() *seen {
	v := &seen{Framing: r.Framing, Body: r.Body, Size: len(r.Body), Cut: !r.complete()}
	v.Status = fmt.Sprintf("%s %d %s", r.Proto, r.Status, r.Reason)
	for _, f := range r.Fields {
		name, value := strings.ToLower(f.name), f.value
		if name == "content-encoding" && value == "gzip" {
			v.Body, v.Size = gunzip(r.Body), 0 // there are many ways to compress
		}
		if when, err := http.ParseTime(value); err == nil && time.Until(when).Abs() < 2*time.Hour {
			value = "about now" // the clock goes on from one side to the other
		}
		v.Fields = append(v.Fields, name+": "+value)
	}
	if len(v.Body) > 1000 {
		v.Body = fmt.Sprintf("%d bytes, %x", len(v.Body), sha256.Sum256([]byte(v.Body)))
	}
	slices.Sort(v.Fields)
	return v
}

// gunzip returns what was compressed, for two ways to compress the same.
func gunzip(text string) string {
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		return text
	}
	body, err := io.ReadAll(z)
	return fmt.Sprint("unzipped ", string(body), err)
}

// next says whether the connection is good for another request.
func (w *wire) next(r *reply) string {
	if !r.complete() || r.Framing == byClose {
		return "closed"
	}
	_, _ = io.WriteString(w.Conn, "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n")
	line, err := w.line()
	if err != nil {
		return "closed"
	}
	if line == "HTTP/1.1 204 No Content" {
		return "kept"
	}
	return "out of step: " + line
}
