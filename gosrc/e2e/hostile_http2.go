//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// op is one step of a client of HTTP/2.
type op struct {
	what   string
	id     uint32 // of the stream, 0: the connection
	fields []field
	data   string
	n      uint32
	end    bool
}

// client2 is one connection over HTTP/2; its steps are made up beforehand.
type client2 struct {
	index uint64
	rng   *rand.Rand
	ways  []way

	ops     []op
	known   bool // all of it is right: each stream gets a whole response
	window  uint32
	rcvbuf  int
	opened  []uint32
	heads   []uint32 // streams whose response has no body
	unended []uint32 // streams of requests that have not ended
	leaving atomic.Bool
}

func newClient2(index uint64, rng *rand.Rand, ways []way) *client2 {
	c := &client2{index: index, rng: rng, ways: ways, known: rng.IntN(5) < 2}
	c.window = pick(rng, []uint32{0, 1, 100, 65535, 1 << 20})
	if c.known { // nothing of it is to run into a limit of time
		c.ways = slices.DeleteFunc(slices.Clone(ways), func(w way) bool {
			return slices.Contains(w.has, "send_timeout 200ms;")
		})
	} else {
		c.window = pick(rng, []uint32{c.window, 1<<31 - 1})
		c.rcvbuf = rng.IntN(3) / 2
	}
	for range 1 + rng.IntN(12) {
		c.open()
		for range rng.IntN(4) {
			pick(rng, steps)(c)
		}
	}
	for range rng.IntN(8) {
		pick(rng, steps)(c)
	}
	if c.known { // what has begun is ended
		for _, id := range slices.Clone(c.unended) {
			c.add(op{what: "data", id: id, end: true})
		}
	}
	return c
}

func (c *client2) add(o op) {
	c.ops = append(c.ops, o)
	if o.end {
		c.unended = slices.DeleteFunc(c.unended, func(id uint32) bool { return id == o.id })
	}
}

// open begins a request.
func (c *client2) open() {
	id := uint32(2*len(c.opened) + 1)
	c.opened = append(c.opened, id)
	c.unended = append(c.unended, id)

	method := pick(c.rng, hostileMethods)
	if c.known {
		method = pick(c.rng, []string{"GET", "POST", "HEAD", "PUT"})
	}
	if method == "HEAD" {
		c.heads = append(c.heads, id)
	}
	fields := requestFields(method, hostileTarget(c.rng, c.ways))
	for range c.rng.IntN(3) {
		name, value, _ := strings.Cut(pick(c.rng, hostileFields), ":")
		f := field{strings.ToLower(name), strings.TrimSpace(value)}
		if !c.known || strings.HasPrefix(f.name, "if-") || f.name == "range" || f.name == "x-gate" {
			fields = append(fields, f)
		}
	}
	if !c.known && c.rng.IntN(2) == 0 {
		fields = spoilFields(c.rng, fields)
	}
	o := op{what: "headers", id: id, fields: fields, n: 16384, end: c.rng.IntN(2) == 0}
	if c.rng.IntN(6) == 0 {
		o.n = uint32(1 + c.rng.IntN(50)) // and CONTINUATION
	}
	c.add(o)
	if !o.end && c.rng.IntN(2) == 0 {
		c.add(op{what: "data", id: id, data: ownToken(c.index), n: uint32(c.rng.IntN(256)), end: true})
	}
}

// spoilFields makes a list of fields wrong.
func spoilFields(rng *rand.Rand, fields []field) []field {
	i := rng.IntN(len(fields))
	f := fields[i]
	switch rng.IntN(9) {
	case 0:
		return slices.Delete(fields, i, i+1)
	case 1:
		fields[i].value = ""
	case 2:
		fields = append(fields, f)
	case 3:
		fields[i].name = strings.ToUpper(f.name)
	case 4:
		fields[i] = field{"x-" + strings.TrimPrefix(f.name, ":"), "first"}
		fields = append(fields, f)
	case 5:
		fields[i].value = pick(rng, []string{"*", "x", "/%zz", "/../..", "\x00", "GET\r\nX: y", "/a b",
			"/" + strings.Repeat("u", 9000), "http://a/b", "/plain/\xff", "/?", "//", "#"})
	case 6:
		return slices.Insert(fields, i, pick(rng, []field{
			{":status", "200"}, {":", ""}, {"", "empty"}, {":path", "/files/a"}, {"connection", "close"},
			{"transfer-encoding", "chunked"}, {"te", "gzip"}, {"host", "other"}, {"content-length", "5"},
			{"content-length", "0"}, {"expect", "100-continue"}, {"cookie", "a=b"}, {"upgrade", "h2c"},
			{":method", "POST"}, {"x\x00y", "z"}, {"x-long", strings.Repeat("h", 20000)},
		}))
	case 7:
		return slices.Insert(fields, len(fields), slices.Repeat([]field{{"x-many", "many"}}, 300)...)
	case 8:
		return nil
	}
	return fields
}

// steps are what happens on and beside streams.
var steps = []func(c *client2){
	(*client2).body, (*client2).body, (*client2).body, (*client2).grant, (*client2).grant,
	(*client2).cancel, (*client2).rest, (*client2).rest, (*client2).rank, (*client2).odd,
}

// some is one of the streams; not of those that a known program must not touch.
func (c *client2) some() uint32 { return pick(c.rng, c.opened) }

func (c *client2) body() {
	data := strings.Repeat("line of a body\n", c.rng.IntN(3)*c.rng.IntN(500))
	o := op{what: "data", data: data, n: uint32(c.rng.IntN(2) * c.rng.IntN(256)), end: c.rng.IntN(3) == 0}
	switch {
	case !c.known:
		o.id = c.some()
	case len(c.unended) > 0:
		o.id = pick(c.rng, c.unended)
	default:
		return
	}
	c.add(o)
}

func (c *client2) grant() {
	c.add(op{what: "window", id: c.some() * uint32(c.rng.IntN(2)), n: uint32(1 + c.rng.IntN(5000))})
}

func (c *client2) cancel() {
	if !c.known {
		c.add(op{what: "rst", id: c.some(), n: uint32(c.rng.IntN(14))})
	}
}

func (c *client2) rest() { c.add(op{what: "wait", n: uint32(c.rng.IntN(60))}) }

func (c *client2) rank() {
	o := op{what: "priority", id: c.some(), n: c.some() * uint32(c.rng.IntN(2))}
	if !c.known || o.id != o.n { // none may depend on itself
		c.add(o)
	}
}

// odd is what a client does rarely, or must not do.
func (c *client2) odd() {
	if c.known {
		c.add(op{what: "settings", n: uint32(c.rng.IntN(70000))})
		return
	}
	c.add(pick(c.rng, []op{
		{what: "settings", n: pick(c.rng, []uint32{0, 1, 65535, 1<<31 - 1, 1 << 31})},
		{what: "window", id: c.some(), n: 1<<31 - 1},
		{what: "window", id: 0, n: 1<<31 - 1},
		{what: "window", id: c.some(), n: 0},
		{what: "headers", id: c.some(), fields: []field{{"x-trailer", "t"}}, n: 16384, end: true},
		{what: "headers", id: c.some(), fields: requestFields("GET", "/plain/response/plain"), n: 16384, end: true},
		{what: "headers", id: 2, fields: requestFields("GET", "/plain/response/plain"), n: 16384, end: true},
		{what: "goaway", id: c.some()},
		{what: "raw", data: "\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping"},
		{what: "raw", data: "\x00\x00\x01\x06\x00\x00\x00\x00\x00p"},
		{what: "raw", data: "\x00\x00\x00\x00\x09\x00\x00\x00\x01"},
		{what: "raw", data: "\x00\x00\x04\x01\x04\x00\x00\x00\x63\xff\xff\xff\xff"},
		{what: "raw", data: "\x00\x00\x05\x0a\x00\x00\x00\x00\x00extra"},
		{what: "raw", data: "\xff\xff\xff\x00\x00\x00\x00\x00\x01"},
		{what: "raw", data: "GET / HTTP/1.1\r\n\r\n"},
		{what: "half"},
		{what: "reset"},
	}))
}

func (c *client2) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/2, known %v, window %d, rcvbuf %d", c.known, c.window, c.rcvbuf)
	for _, o := range c.ops {
		text := fmt.Sprintf("\n    %s stream %d n=%d end=%v", o.what, o.id, o.n, o.end)
		for _, f := range o.fields {
			text += fmt.Sprintf(" %.100q", f.name+": "+f.value)
		}
		b.WriteString(text + fmt.Sprintf(" %d bytes %.60q", len(o.data), o.data))
	}
	return b.String()
}

// run does the steps, reads meanwhile, and returns what the server has done
// wrong.
func (c *client2) run(addr string) error {
	conn, err := dialHostile(addr, c.rcvbuf)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(hostileTime))
	w := newH2wire(conn)
	w.hello(c.window)

	read := make(chan bool, 1)
	go func() { read <- c.read(w) }()
	stays := true
	for _, o := range c.ops {
		if stays = c.step(w, o); !stays {
			break
		}
	}
	c.leaving.Store(true)
	if stays {
		w.settings(1 << 30)
		w.windowUpdate(0, 1<<30)
	}
	_ = conn.SetReadDeadline(time.Now().Add(c.patience()))
	return c.judge(w, <-read && stays)
}

// patience is how long what is due may take.
func (c *client2) patience() time.Duration {
	if c.known {
		return time.Duration(hangs()) * time.Second
	}
	return 300 * time.Millisecond
}

// step returns whether the connection is still there.
func (c *client2) step(w *h2wire, o op) bool {
	switch o.what {
	case "headers":
		w.headersIn(o.id, o.fields, o.end, int(o.n))
	case "data":
		w.data(o.id, o.data, o.end, int(o.n))
	case "window":
		w.windowUpdate(o.id, o.n)
	case "rst":
		w.rst(o.id, http2.ErrCode(o.n))
	case "priority":
		w.priority(o.id, o.n, uint8(o.id), o.n%4 == 1)
	case "settings":
		w.settings(o.n)
	case "goaway":
		w.leave(o.id, http2.ErrCodeNo)
	case "raw":
		w.raw([]byte(o.data))
	case "wait":
		time.Sleep(time.Duration(o.n) * time.Millisecond) // a client that is slow
	case "half":
		closer, _ := w.Conn.(interface{ CloseWrite() error })
		_ = closer.CloseWrite()
	case "reset":
		linger, _ := w.Conn.(interface{ SetLinger(int) error })
		_ = linger.SetLinger(0)
		_ = w.Conn.Close()
	}
	return o.what != "half" && o.what != "reset" && w.Err == nil
}

// read takes frames until all streams have ended; false: there was more than
// is waited for.
func (c *client2) read(w *h2wire) bool {
	end := time.Now().Add(hostileTime)
	for w.read() {
		if !c.leaving.Load() {
			continue
		}
		if c.all(w) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		_ = w.SetReadDeadline(time.Now().Add(c.patience()))
	}
	return true
}

func (c *client2) all(w *h2wire) bool {
	return !slices.ContainsFunc(c.opened, func(id uint32) bool { return w.stream(id).End == h2open })
}

func (c *client2) judge(w *h2wire, complete bool) error {
	if w.wrong != nil {
		return w.wrong
	}
	for id, r := range w.streams {
		if other := foreign(c.index, r.Body); other != "" {
			return fmt.Errorf("stream %d has %s of another connection", id, other)
		}
	}
	if !complete || !c.known {
		return nil
	}
	for _, id := range c.opened {
		r := w.stream(id)
		if r.End != h2done && r.End != h2reset {
			return fmt.Errorf("stream %d has ended by %s, code %v, %d bytes: %w", id, r.End, r.Code,
				len(r.Body), errors.Join(w.closed, w.Err))
		}
		length := (&reply{Fields: r.Fields}).values("content-length")
		if r.End != h2done || length == nil || slices.Contains(c.heads, id) || r.Status == 304 {
			continue
		}
		if n, err := strconv.Atoi(length[0]); err != nil || n != len(r.Body) {
			return fmt.Errorf("stream %d: Content-Length %q, %d bytes", id, length, len(r.Body))
		}
	}
	return nil
}
