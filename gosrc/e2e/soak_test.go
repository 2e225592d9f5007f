//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const soakBack = `
    wsgi_python_path {{.Apps}};
    wsgi_zone soak 1m;
    wsgi_threads 16;
    client_max_body_size 0;
    server {
        listen unix:{{.Sock}};
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
    }`

// soakFront tries again what it may, and buffers no response, so that slow
// clients are those of the WSGI instance.
func soakFront(stormy, calm string) string {
	// What may be tried again is tried until none of the connections that are
	// kept can be one to a worker that has just been killed.
	server := func(sock string) string {
		return strings.Repeat("server unix:"+sock+" max_fails=0; ", 20)
	}
	return `
    upstream stormy { ` + server(stormy) + ` keepalive 16; }
    upstream calm { ` + server(calm) + ` keepalive 16; }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    client_max_body_size 0;
    server {
        listen {{.Addr}};
        location / { proxy_pass http://stormy; }
        location /calm/ { proxy_pass http://calm/; }
    }`
}

// soak is a mix of everything for as long as NWSGI_SOAK says, through a front
// with keep-alive upstreams: to an instance that is reloaded and whose workers
// are killed and crash, and to one whose workers must not change.
type soak struct {
	t     *testing.T
	back  *instance
	done  atomic.Bool
	wg    sync.WaitGroup
	lock  sync.Mutex
	ends  []time.Time // of workers, by a signal
	fails []soakFailure
	count map[string]int

	read  int64 // bytes of the back's log, which grows by 100 MB in 15 minutes
	ready int   // times that a worker was, in these
	lost  []string
}

// soakFailure is a request that did not get its answer.
type soakFailure struct {
	kind, id     string
	calm, safe   bool
	began, ended time.Time
	err          error
}

func TestSoak(t *testing.T) {
	text := os.Getenv("NWSGI_SOAK")
	if text == "" {
		t.Skip("make soak")
	}
	lasts, err := time.ParseDuration(text)
	require.NoError(t, err)

	back := start(t, soakBack, workers(2), allowRespawn(),
		allowLog(`worker process \d+ exited on signal (9|11)`))
	calm := start(t, soakBack, workers(2))
	front := start(t, soakFront(back.Sock, calm.Sock), withoutModule(), allowFDs(64))

	s := &soak{t: t, back: back, count: map[string]int{}}
	for _, kind := range soakers {
		s.clients(kind, "http://"+front.Addr, false)
		s.clients(kind, "http://"+front.Addr+"/calm", true)
	}
	end := time.Now().Add(lasts)
	s.storm(time.Now().Add(lasts / 4))
	before := watchGrowth(append(calm.pids, back.cmd.Process.Pid))
	s.storm(end)
	grown := before.compare()
	s.done.Store(true)
	s.wg.Wait()

	s.judge()
	master := grown[len(grown)-1] // of the workers, finish checks the descriptors
	assert.Empty(t, master.fds, "descriptors that the master has not closed")
	for _, g := range grown {
		t.Logf("process %d: %d KB and then %d KB, %d descriptors more", g.pid,
			g.before>>10, g.after>>10, len(g.fds))
		assert.Less(t, g.after-g.before, memory(8<<20), "process %d has grown", g.pid)
	}
}

// clients starts two of a kind.
func (s *soak) clients(kind soaker, base string, calm bool) {
	for range 2 {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			c := &soakClient{http: newClient(), base: base}
			defer c.http.CloseIdleConnections()
			for !s.done.Load() {
				s.once(kind, c, calm)
				time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // a pause
			}
		}()
	}
}

func (s *soak) once(kind soaker, c *soakClient, calm bool) {
	id := fmt.Sprintf("%08x", rand.Uint32())
	began := time.Now()
	err := kind.ask(c, id)
	s.lock.Lock()
	defer s.lock.Unlock()
	s.count[kind.kind]++
	if err != nil {
		s.fails = append(s.fails, soakFailure{kind.kind, id, calm, kind.safe, began, time.Now(), err})
	}
}

// storm reloads the instance and ends workers of it, by turns.
func (s *soak) storm(until time.Time) {
	for turn := 0; turn < 3 || time.Now().Before(until); turn++ { // each of them once
		s.readLog()
		ready := s.ready
		switch turn % 3 {
		case 0:
			s.back.reload()
			s.count1("reload")
		case 1:
			s.end("kill", func() {
				s.back.kill(s.back.workers()[0])
			})
			s.waitReady(ready + 1)
		default:
			s.end("crash", func() {
				_, _ = http.Post(s.back.url("/process/fault/soak"), "text/plain", nil)
			})
			s.waitReady(ready + 1)
		}
		time.Sleep(2 * time.Second) // in which all is as usual
	}
}

// readLog looks at what has come to the back's log since it did so last.
func (s *soak) readLog() {
	log, err := os.Open(filepath.Join(s.back.Dir, "error.log"))
	require.NoError(s.t, err)
	defer log.Close()
	text, err := io.ReadAll(io.NewSectionReader(log, s.read, math.MaxInt64-s.read))
	require.NoError(s.t, err)
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	s.read += int64(len(text))
	for _, line := range strings.Split(string(text), "\n") {
		if strings.Contains(line, "died with a request in flight") {
			s.lost = append(s.lost, line)
		}
		if strings.Contains(line, pythonReady) {
			s.ready++
		}
	}
}

func (s *soak) waitReady(times int) {
	s.back.wait("a worker to be ready", func() bool {
		s.readLog()
		return s.ready >= times
	})
}

func (s *soak) count1(what string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.count[what]++
}

// end has a worker end, and notes the time.
func (s *soak) end(how string, do func()) {
	began := time.Now()
	do()
	s.count1(how)
	s.lock.Lock()
	defer s.lock.Unlock()
	s.ends = append(s.ends, began, time.Now())
}

// judge fails the test for each request that failed without an excuse: it has
// one if it was under way when a worker ended, and could not be sent again.
func (s *soak) judge() {
	for _, what := range []string{"reload", "kill", "crash"} {
		assert.Positive(s.t, s.count[what], what)
	}
	s.readLog()
	assert.Equal(s.t, s.count["crash"], s.told("/process/fault/soak"))

	reported := 0
	excused := map[string]int{}
	for _, f := range s.fails {
		reported += s.told(f.id)
		if !f.calm && !f.safe && s.hit(f) {
			excused[f.kind]++
			continue
		}
		assert.Fail(s.t, "a request failed", "%s %s, calm %v, for %v: %v",
			f.kind, f.id, f.calm, f.ended.Sub(f.began), f.err)
	}
	s.t.Logf("requests and events: %v", s.count)
	s.t.Logf("in flight when a worker ended: %v, %d of them in its report", excused, reported)
}

// told counts the requests in reports that have this in their line.
func (s *soak) told(what string) (times int) {
	for _, line := range s.lost {
		if strings.Contains(line, what) {
			times++
		}
	}
	return times
}

// hit says that a worker ended between the two ends of a request.
func (s *soak) hit(f soakFailure) bool {
	for i := 0; i < len(s.ends); i += 2 {
		if f.began.Before(s.ends[i+1]) && f.ended.After(s.ends[i]) {
			return true
		}
	}
	return false
}

// growth is of a process that is to stay as it is.
type growth struct {
	pid, before, after int
	had                descriptors
	fds                []string
}

type growths []growth

func watchGrowth(pids []int) growths {
	var all growths
	for _, pid := range pids {
		all = append(all, growth{pid: pid, before: rss(pid), had: openFDs(pid)})
	}
	return all
}

func (all growths) compare() growths {
	for i := range all {
		all[i].after = rss(all[i].pid)
		all[i].fds = all[i].had.grown(openFDs(all[i].pid))
	}
	return all
}
