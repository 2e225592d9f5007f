//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Everything at once: a load that must not fail, clients that go at every
// moment, others that read slowly, failing applications, and reloads one after
// the other.
func TestStress(t *testing.T) {
	t.Parallel()
	n := start(t, "wsgi_shutdown_timeout 5s;"+kitchen, workers(2), allowRespawn())

	load := startLoad(t, n, 4)
	rude := startRude(n, 4)
	for range 10 {
		load.more(50)
		n.signal(syscall.SIGHUP) // the last one need not be over
	}
	load.more(300)
	rude.stop()
	load.stop()

	// they have to end by turns: ten generations, each of which may take 5 s
	for end := time.Now().Add(2 * patience); time.Now().Before(end); {
		if len(sessionMembers(n.cmd.Process.Pid)) == 1+n.set.workers {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.wait("the last workers", func() bool {
		return len(sessionMembers(n.cmd.Process.Pid)) == 1+n.set.workers
	})
	n.pids = n.workers()
	n.fds = nil
	assert.Equal(t, "plain", n.text(t, "/response/plain"))
}

// rude clients ask for all sorts of things and mostly do not wait for them.
type rude struct {
	n    *instance
	wg   sync.WaitGroup
	over chan struct{}
}

func startRude(n *instance, clients int) *rude {
	r := &rude{n: n, over: make(chan struct{})}
	for i := range clients {
		r.wg.Add(1)
		go r.client(i)
	}
	return r
}

func (r *rude) stop() {
	close(r.over)
	r.wg.Wait()
}

func (r *rude) client(seed int) {
	defer r.wg.Done()
	for i := seed; ; i++ {
		select {
		case <-r.over:
			return
		default:
			r.once(i)
		}
	}
}

var rudeTargets = []string{
	"/response/big?size=100000&count=100", "/failing/late", "/timing/sleep/0.02",
	"/failing/before", "/framing/length?length=50&chunks=hello", "/process/fork_exit",
	"/timing/gaps?count=5&gap=0.01", "/body/echo",
}

// once sends a request, or a part of it, reads a part of the response, and
// goes: with a reset every other time.
func (r *rude) once(i int) {
	conn, err := net.DialTimeout("tcp", r.n.Addr, time.Second)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))

	text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n%01000d",
		rudeTargets[i%len(rudeTargets)], i)
	if i%3 == 0 {
		text = text[:len(text)*(i%100)/100]
	}
	_, _ = io.WriteString(conn, text)
	_, _ = io.CopyN(io.Discard, conn, int64(i%5)*3000)
	if tcp, ok := conn.(*net.TCPConn); ok && i%2 == 0 {
		_ = tcp.SetLinger(0)
	}
}
