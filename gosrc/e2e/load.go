//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// load is a number of clients that ask without a pause, GET and POST by turns
// on connections kept alive, until stop.
type load struct {
	t     *testing.T
	n     *instance
	every time.Duration // between a client's requests, 0: no pause
	done  atomic.Bool
	quits atomic.Bool // nginx goes: refused connections are no failures
	count atomic.Int64
	wg    sync.WaitGroup
	lock  sync.Mutex
	fails []string
	took  []time.Duration // by each request, in the order of their ends
}

func startLoad(t *testing.T, n *instance, clients int) *load {
	return startPacedLoad(t, n, clients, 0)
}

// startPacedLoad has each client send a request "every" so often, if the one
// before it has been answered.
func startPacedLoad(t *testing.T, n *instance, clients int, every time.Duration) *load {
	l := &load{t: t, n: n, every: every}
	for range clients {
		l.wg.Add(1)
		go l.client()
	}
	return l
}

// more waits until "count" further requests have been answered.
func (l *load) more(count int64) {
	l.t.Helper()
	target := l.count.Load() + count
	l.n.wait("the load", func() bool { return l.count.Load() >= target || l.failed() })
}

func (l *load) failed() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return len(l.fails) > 0
}

// quitting says that nginx is about to end.
func (l *load) quitting() { l.quits.Store(true) }

// stop ends the clients and fails the test if one of them was let down.
func (l *load) stop() {
	l.t.Helper()
	l.done.Store(true)
	l.wg.Wait()
	assert.Empty(l.t, l.fails, "of %d requests", l.count.Load())
}

func (l *load) client() {
	defer l.wg.Done()
	for !l.done.Load() {
		conn, err := net.DialTimeout("tcp", l.n.Addr, patience)
		if err != nil {
			if l.quits.Load() {
				return
			}
			l.fail("connect: %v", err)
			return
		}
		l.connection(conn)
		_ = conn.Close()
	}
}

func (l *load) answered(after time.Duration) {
	l.count.Add(1)
	l.lock.Lock()
	defer l.lock.Unlock()
	l.took = append(l.took, after)
}

// answers is what the requests have taken so far, in the order of their ends.
func (l *load) answers() []time.Duration {
	l.lock.Lock()
	defer l.lock.Unlock()
	return slices.Clone(l.took)
}

// percentile of latencies, "part" of 100: the largest is 100.
func percentile(took []time.Duration, part int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)-1)*part/100].Round(time.Microsecond)
}

func (l *load) fail(format string, args ...any) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.fails = append(l.fails, fmt.Sprintf(format, args...))
}

// connection asks until the server closes.  Only a clean end where a response
// would begin, on a connection that had been used, is the server's right: the
// request may be sent again on another one.
func (l *load) connection(conn net.Conn) {
	r := &lineReader{conn: conn}
	for used := 0; !l.done.Load(); used++ {
		text := "GET /response/plain HTTP/1.1\r\nHost: a\r\n\r\n"
		want := "plain"
		if used%2 == 1 {
			text = "POST /body/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\necho"
			want = "echo"
		}
		r.atStart = true
		began := time.Now()
		_ = conn.SetDeadline(began.Add(patience))
		_, err := io.WriteString(conn, text)
		var got string
		if err == nil {
			got, err = r.response(want)
		}
		switch {
		case err == nil && got == want:
			l.answered(time.Since(began))
		case (used > 0 || l.quits.Load()) && r.atStart && cleanEnd(err):
			return
		default:
			l.fail("request %d: %q, %v", used, got, err)
			return
		}
		time.Sleep(time.Until(began.Add(l.every)))
		if r.closes {
			return
		}
	}
}

func cleanEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

// lineReader reads the short responses of the load.
type lineReader struct {
	conn    net.Conn
	atStart bool // nothing of the response has come
	closes  bool // the server said that it closes
}

// response reads one that ends in "body", its last part.
func (r *lineReader) response(body string) (string, error) {
	var got strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.conn.Read(buf)
		if n > 0 {
			r.atStart = false
			got.Write(buf[:n])
		}
		text := got.String()
		if head, rest, found := strings.Cut(text, "\r\n\r\n"); found && rest == body {
			r.closes = strings.Contains(head, "Connection: close")
			if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
				return text, errors.New("not a 200")
			}
			return rest, nil
		}
		if err != nil {
			return text, err
		}
	}
}

// requests is how many the tests under load take, NWSGI_REQUESTS if it is set.
func requests(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("NWSGI_REQUESTS")
	if text == "" {
		return 10000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// moreUntil is l.more for loads that take longer than a test's patience.
func (l *load) moreUntil(count int64) {
	l.t.Helper()
	for l.count.Load() < count && !l.failed() {
		l.more(min(1000, count-l.count.Load()))
	}
}
