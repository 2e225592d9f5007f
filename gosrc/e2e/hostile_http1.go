//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// manner is how a client treats its connection.
type manner struct {
	pieces int           // of the text, each written by itself
	pause  time.Duration // between them
	stop   int           // bytes after which it does "how", if not all are sent
	how    string        // "", "half": shuts its side, "reset", "close"
	rcvbuf int           // of the socket, 0: what is usual
	deaf   time.Duration // reads nothing for so long
	enough int           // bytes of responses after which it resets, 0: none
}

func newManner(rng *rand.Rand, size int) manner {
	m := manner{pieces: 1, stop: size}
	if rng.IntN(3) == 0 {
		m.pieces = 2 + rng.IntN(8)
		m.pause = time.Duration(rng.IntN(15)) * time.Millisecond
	}
	if rng.IntN(4) == 0 {
		m.how = pick(rng, []string{"half", "half", "reset", "close"})
		if rng.IntN(2) == 0 {
			m.stop = rng.IntN(size + 1)
		}
	}
	if rng.IntN(4) == 0 {
		m.rcvbuf = 1
		m.deaf = time.Duration(rng.IntN(400)) * time.Millisecond
	}
	if rng.IntN(6) == 0 {
		m.enough = 1 + rng.IntN(30000)
	}
	return m
}

// What a hostile client takes at most, so that the next one has its turn.
const (
	hostileTime  = 3 * time.Second
	hostileBytes = 1 << 20
)

// dialHostile connects with a receive buffer of the least size, if told so.
func dialHostile(addr string, rcvbuf int) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: patience}
	if rcvbuf > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, rcvbuf)
			})
		}
	}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// client1 is one connection over HTTP/1.
type client1 struct {
	*program
	manner
	conn *net.TCPConn
	got  bytes.Buffer
}

// describe is the connection's text for a report.
func (c *client1) describe() string {
	return fmt.Sprintf("HTTP/1, known %v, %+v, %d bytes: %.3000q",
		c.known, c.manner, len(c.text), c.text)
}

// run sends and reads, and returns what the server has done wrong.
func (c *client1) run(addr string) error {
	conn, err := dialHostile(addr, c.rcvbuf)
	if err != nil {
		return err
	}
	c.conn = conn
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(hostileTime))

	wrote := make(chan bool, 1)
	go func() { wrote <- c.write() }()
	judge := newAnswers(c.program, c.text[:c.stop])
	c.read(judge, wrote)
	if other := foreign(c.index, c.got.String()); other != "" {
		return fmt.Errorf("a response has %s of another connection", other)
	}
	count, err := judge.count(c.got.String())
	if err == nil && judge.known && !judge.closed && c.whole() && count < len(c.methods) {
		err = errPart
	}
	if errors.Is(err, errPart) && (judge.closed || !judge.known || !c.whole()) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%d of %d responses, closed %v: %w: received %d bytes: %.1000q", count,
			len(c.methods), judge.closed, err, c.got.Len(), c.got.String())
	}
	return nil
}

// whole says that the server has got all of the requests.
func (c *client1) whole() bool { return c.stop == len(c.text) && c.how == "" }

// write returns whether all was written.
func (c *client1) write() bool {
	text := c.text[:c.stop]
	size := len(text)/c.pieces + 1
	for len(text) > 0 {
		part := text[:min(size, len(text))]
		if _, err := c.conn.Write(part); err != nil {
			return false
		}
		text = text[len(part):]
		time.Sleep(c.pause) // a client that is slow
	}
	switch c.how {
	case "half":
		_ = c.conn.CloseWrite()
	case "reset":
		_ = c.conn.SetLinger(0)
		_ = c.conn.Close()
	case "close":
		_ = c.conn.Close()
	}
	return true
}

// read collects what comes until it is complete, or there has been enough.
func (c *client1) read(judge *answers, wrote <-chan bool) {
	time.Sleep(c.deaf) // a client that does not read
	end := time.Now().Add(hostileTime)
	quiet := 0
	for buf := make([]byte, 65536); ; {
		_ = c.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.conn.Read(buf)
		c.got.Write(buf[:n])
		switch {
		case c.enough > 0 && c.got.Len() >= c.enough:
			_ = c.conn.SetLinger(0)
			judge.closed = true // by this client
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			quiet++
			if c.idle(judge, quiet, wrote) {
				return
			}
		case err != nil:
			judge.closed = true
			return
		default:
			quiet = 0
			if c.got.Len() > hostileBytes || time.Now().After(end) {
				judge.closed = true
				return
			}
		}
	}
}

// idle says that nothing more is waited for after so many tenths of a second.
func (c *client1) idle(judge *answers, quiet int, wrote <-chan bool) bool {
	if !judge.known || !c.whole() {
		return quiet >= 4
	}
	if quiet == 1 { // nothing has come since
		count, err := judge.count(c.got.String())
		if err == nil && count == len(c.methods) {
			return true
		}
	}
	select {
	case all := <-wrote:
		if !all {
			judge.closed = true
			return true
		}
	default:
	}
	return quiet >= 10*hangs()
}

// hangs is after how many seconds of silence a response that is due is called
// missing: more than any limit of the configuration allows.
func hangs() int { return 8 * slack() }
