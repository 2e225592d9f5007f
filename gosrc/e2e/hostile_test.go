//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileRun is of a number of clients that send what they must not, each connection
// made up from the seed and its own index, for as long as NWSGI_HOSTILE says.
// NWSGI_HOSTILE_SEED repeats a run; with NWSGI_HOSTILE_ONLY=index,... these
// connections follow one another, again and again.
type hostileRun struct {
	t     *testing.T
	n     *instance
	seed  uint64
	ways  []way
	addrs [][2]string
	only  []uint64

	next atomic.Uint64
	done atomic.Bool
	wg   sync.WaitGroup

	lock   sync.Mutex
	now    map[uint64]bool // connections that are there
	recent []uint64        // and those that were the last to go
	fails  []failure
	hurt   bool // something has happened to a worker
	count  map[string]int
	probes []time.Duration
	memory []int // MB of each worker, by turns
}

// hostileClients is how many connections there are at a time.
const hostileClients = 48

func TestHostile(t *testing.T) {
	text := os.Getenv("NWSGI_HOSTILE")
	if text == "" {
		t.Skip("make soak-hostile")
	}
	lasts, err := time.ParseDuration(text)
	require.NoError(t, err)
	h := newHostile(t)
	t.Logf("NWSGI_HOSTILE_SEED=%d", h.seed)

	clients := hostileClients
	if h.only != nil {
		clients = 1
	}
	for range clients {
		h.wg.Add(1)
		go h.client()
	}
	h.wg.Add(2)
	go h.watch()
	go h.honest()

	began := time.Now()
	h.sleepUntil(began.Add(lasts / 4))
	before := watchGrowth(append(h.n.workers(), h.n.cmd.Process.Pid))
	for part := range time.Duration(9) {
		h.sleepUntil(began.Add(lasts * (part + 4) / 12))
		h.memory = append(h.memory, rss(h.n.pids[0])>>20, rss(h.n.pids[1])>>20)
	}
	h.done.Store(true)
	h.wg.Wait()
	h.judge(before)
}

func newHostile(t *testing.T) *hostileRun {
	t.Helper()
	h := &hostileRun{t: t, seed: rand.Uint64() >> 20, now: map[uint64]bool{}, count: map[string]int{}}
	var err error
	if text := os.Getenv("NWSGI_HOSTILE_SEED"); text != "" {
		h.seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	level := "crit"
	if text := os.Getenv("NWSGI_HOSTILE_ONLY"); text != "" {
		level = "info"
		for _, index := range strings.Split(text, ",") {
			n, err := strconv.ParseUint(index, 10, 64)
			require.NoError(t, err)
			h.only = append(h.only, n)
		}
	}
	h.ways = append(slices.Clone(hostileWays), crossedWays(rand.New(rand.NewPCG(h.seed, 0)), 30)...)
	for range hostileServers {
		h.addrs = append(h.addrs, [2]string{the.freeAddr(t), the.freeAddr(t)})
	}
	// 200 connections a second are too much for a log of all their errors
	conf := "error_log {{.Dir}}/error.log " + level + ";" + hostileConf(t, h.ways, h.addrs)
	h.n = start(t, conf, append(slices.Clone(hostilePages), workers(2), connections(8192), allowFDs(8))...)
	return h
}

func (h *hostileRun) sleepUntil(end time.Time) {
	for time.Now().Before(end) && !h.failed() {
		time.Sleep(50 * time.Millisecond) // it lasts as long as it is to
	}
}

func (h *hostileRun) failed() bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	return len(h.fails) > 0
}

// failure is what was wrong; those of the worst rank, 0, explain the others.
type failure struct {
	rank int
	text string
}

func (h *hostileRun) fail(rank int, format string, args ...any) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.hurt = h.hurt || rank == 0
	h.fails = append(h.fails, failure{rank, fmt.Sprintf(format, args...)})
}

// client has one connection after the other.
func (h *hostileRun) client() {
	defer h.wg.Done()
	for !h.done.Load() && !h.failed() {
		index := h.next.Add(1)
		if h.only != nil {
			index = h.only[index%uint64(len(h.only))]
		}
		h.begin(index)
		kind, text, err := h.connection(index)
		h.end(index, kind)
		if err != nil {
			h.fail(2, "connection %d: %v\n%s", index, err, text)
		}
	}
}

// connection has the client of this number run.
func (h *hostileRun) connection(index uint64) (kind, text string, err error) {
	rng := rand.New(rand.NewPCG(h.seed, index))
	i := rng.IntN(len(h.addrs))
	if rng.IntN(3) == 0 {
		c := newClient2(index, rng, h.ways)
		return "HTTP/2", fmt.Sprintf("server %d, %s", i, c.describe()), c.run(h.addrs[i][1])
	}
	p := newProgram(index, rng, h.ways)
	c := &client1{program: p, manner: newManner(rng, len(p.text))}
	return "HTTP/1", fmt.Sprintf("server %d, %s", i, c.describe()), c.run(h.addrs[i][0])
}

func (h *hostileRun) begin(index uint64) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.now[index] = true
}

func (h *hostileRun) end(index uint64, kind string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if !h.hurt {
		delete(h.now, index)
		h.recent = append(h.recent, index)
		h.recent = h.recent[max(0, len(h.recent)-hostileClients):]
		h.count[kind]++
	}
}

// watch notices that a worker has ended, or what is in the log.
func (h *hostileRun) watch() {
	defer h.wg.Done()
	for turn := 0; !h.done.Load() && !h.failed(); turn++ {
		for _, pid := range h.n.pids {
			if !alive(pid) {
				h.fail(0, "worker %d has ended", pid)
			}
		}
		if turn%10 == 0 {
			if found := suspicious(h.n.log(), nil); len(found) > 0 {
				h.fail(0, "the error log has %.500q", found[0])
			}
		}
		time.Sleep(20 * time.Millisecond) // how exactly it is known
	}
}

// honest is a client that has to be served whatever the others do.
func (h *hostileRun) honest() {
	defer h.wg.Done()
	for !h.done.Load() && !h.failed() {
		began := time.Now()
		if err := plainly(h.n.Addr, "/nginx"); err != nil {
			h.fail(1, "an honest client of nginx alone after %v: %v", time.Since(began), err)
		}
		if err := h.probe(); err != nil {
			h.fail(1, "an honest client after %v: %v", time.Since(began), err)
		}
		h.lock.Lock()
		h.probes = append(h.probes, time.Since(began))
		h.lock.Unlock()
		time.Sleep(100 * time.Millisecond) // between two of them
	}
}

// hostileBound is the longest time that an honest client may wait, for Python's
// lock more than for anything else: two dozen threads want it.
func hostileBound() time.Duration { return time.Duration(5*slack()) * time.Second }

// probe asks an application over both protocols, on new connections.
func (h *hostileRun) probe() error {
	if err := plainly(h.n.Addr, "/response/plain"); err != nil {
		return err
	}
	conn, err := dialHostile(h.n.Addr2, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(hostileBound()))
	w := newH2wire(conn)
	w.hello(65535)
	if r := w.response(w.request("GET", "/response/plain")); r.Status != 200 || r.Body != "plain" {
		return fmt.Errorf("HTTP/2: %d %q, %w", r.Status, r.Body, errors.Join(w.closed, w.Err))
	}
	return nil
}

// plainly asks a server for "plain", after an upload.
func plainly(addr, target string) error {
	conn, err := dialHostile(addr, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(hostileBound()))
	r := &lineReader{conn: conn}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", target)
	if err == nil {
		var got string
		if got, err = r.response("plain"); err != nil {
			err = fmt.Errorf("%.500q: %w", got, err)
		}
	}
	return err
}

// judge fails the test for all that has been wrong.
func (h *hostileRun) judge(before growths) {
	h.t.Logf("connections: %v, MB of the workers: %v", h.count, h.memory)
	if len(h.probes) > 0 {
		h.t.Logf("%d honest requests: p50 %v, p99 %v, slowest %v", len(h.probes),
			percentile(h.probes, 50), percentile(h.probes, 99), percentile(h.probes, 100))
	}
	slices.SortStableFunc(h.fails, func(a, b failure) int { return a.rank - b.rank })
	for _, f := range h.fails[:min(len(h.fails), 5)] {
		if h.hurt && f.rank > 0 {
			break // it follows from that
		}
		assert.Fail(h.t, "NWSGI_HOSTILE_SEED="+fmt.Sprint(h.seed), "%s", f.text)
	}
	if h.hurt {
		h.culprits()
		return
	}
	if h.only == nil {
		assert.Positive(h.t, h.count["HTTP/1"])
		assert.Positive(h.t, h.count["HTTP/2"])
	}
	began := time.Now()
	assert.NoError(h.t, plainly(h.addrs[0][0], "/both/response/plain"), "after all of them")
	h.t.Logf("an honest request after them: %v", time.Since(began))
	for _, g := range before.compare() {
		h.t.Logf("process %d: %d KB and then %d KB", g.pid, g.before>>10, g.after>>10)
		if !sanitized { // its allocator keeps what is freed, and tells what is lost
			assert.Less(h.t, g.after-g.before, 32<<20, "process %d has grown", g.pid)
		}
	}
}

// culprits has the connections that were there when something happened to the
// workers follow one another, and tells those that make it happen again.
func (h *hostileRun) culprits() {
	suspects := h.recent
	for index := range h.now {
		suspects = append(suspects, index)
	}
	slices.Sort(suspects)
	h.t.Logf("suspects: %v", suspects)
	pids, lines := h.serving(), len(suspicious(h.n.log(), nil))
	for end := time.Now().Add(2 * patience); len(suspects) > 0 && time.Now().Before(end); {
		index := suspects[0]
		suspects = suspects[1:]
		var text string
		for range 3 {
			_, text, _ = h.connection(index)
		}
		if slices.Equal(pids, h.n.workers()) && lines == len(suspicious(h.n.log(), nil)) {
			continue
		}
		h.t.Logf("NWSGI_HOSTILE_SEED=%d NWSGI_HOSTILE_ONLY=%d does it:\n%s", h.seed, index, text)
		writeFile(h.t, h.n.Dir, fmt.Sprintf("hostile-%d", index), text)
		pids, lines = h.serving(), len(suspicious(h.n.log(), nil))
	}
}

// serving waits until there are two workers that serve, and returns them.
func (h *hostileRun) serving() []int {
	h.n.wait("the workers", func() bool {
		pids := h.n.workers()
		return len(pids) == 2 && h.n.countLog(pythonReady) >= 2 && h.probe() == nil &&
			slices.Equal(pids, h.n.workers())
	})
	return h.n.workers()
}
