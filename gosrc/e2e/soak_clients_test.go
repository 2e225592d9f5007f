//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// soaker is a client of the soak test: its request, again and again.
type soaker struct {
	kind string
	// may be sent again by the front, so that the end of a worker is no excuse
	safe bool
	ask  func(c *soakClient, id string) error
}

// soakClient is one of those that send a kind of request.
type soakClient struct {
	http *http.Client
	base string // http://front, or http://front/calm
}

var soakers = []soaker{
	{"get", true, func(c *soakClient, id string) error {
		return c.expect("GET", "/response/plain/"+id, nil, 200, "plain")
	}},
	{"post", false, func(c *soakClient, id string) error {
		body := strings.Repeat(id, 1+rand.IntN(4000))
		return c.expect("POST", "/body/echo/"+id, strings.NewReader(body), 200, body)
	}},
	{"upload", false, func(c *soakClient, id string) error {
		body := strings.Repeat(id+"\n", 200000)
		return c.expect("POST", "/body/digest/"+id, strings.NewReader(body), 200, digestOf(body))
	}},
	{"slow upload", false, func(c *soakClient, id string) error {
		body := strings.Repeat(id+"\n", 2000)
		return c.expect("POST", "/body/digest/"+id, &slowly{text: body, step: 1000}, 200, digestOf(body))
	}},
	{"stream", false, func(c *soakClient, id string) error {
		return c.expect("GET", "/response/big/"+id+"?size=10000&count=50", nil, 200,
			strings.Repeat("x", 500000))
	}},
	{"slow client", false, func(c *soakClient, id string) error {
		return c.sip("/response/big/"+id+"?size=10000&count=200", 2000000)
	}},
	{"file", false, func(c *soakClient, id string) error {
		return c.expect("GET", "/wrapper/real/"+id, nil, 200, wrapped)
	}},
	{"failing", true, func(c *soakClient, id string) error {
		return c.expect("GET", "/failing/before/"+id, nil, 500, "")
	}},
	{"cut", false, func(c *soakClient, id string) error {
		err := c.expect("GET", "/failing/late_length/"+id, nil, 200, "never")
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		return fmt.Errorf("it is to be cut: %w", err)
	}},
	{"abort", true, func(c *soakClient, id string) error { return c.abort("/timing/sleep/0.2") }},
}

// wrapped is what /wrapper/real sends.
var wrapped = func() string {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}()

func digestOf(body string) string {
	return fmt.Sprintf(`[%d, "%x"]`, len(body), sha256.Sum256([]byte(body)))
}

// expect sends a request and compares the answer; "" is any body.
func (c *soakClient) expect(method, target string, body io.Reader, status int, want string) error {
	req, err := http.NewRequest(method, c.base+target, body)
	if err != nil {
		return err
	}
	a, err := exchange(c.http, req)
	if err != nil {
		return err
	}
	if a.Status != status || (want != "" && a.Body != want) {
		return fmt.Errorf("%d, %d bytes: %.80q", a.Status, len(a.Body), a.Body)
	}
	return nil
}

// sip reads a response more slowly than it is made.
func (c *soakClient) sip(target string, size int) error {
	resp, err := c.http.Get(c.base + target)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	got, buf := 0, make([]byte, 100000)
	for {
		n, err := io.ReadFull(resp.Body, buf)
		got += n
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && got == size {
			break
		}
		if err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond) // a client that is slow
	}
	if resp.StatusCode != 200 || got != size {
		return fmt.Errorf("%d, %d bytes", resp.StatusCode, got)
	}
	return nil
}

// abort goes before the answer.
func (c *soakClient) abort(target string) error {
	addr, prefix, _ := strings.Cut(strings.TrimPrefix(c.base, "http://"), "/")
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	if prefix != "" {
		target = "/" + prefix + target
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // some time on its way
	return errors.Join(err, conn.Close())
}

// slowly is a body that takes its time.
type slowly struct {
	text string
	step int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	time.Sleep(10 * time.Millisecond) // a client that is slow
	n := copy(p[:min(len(p), s.step)], s.text)
	s.text = s.text[n:]
	return n, nil
}
