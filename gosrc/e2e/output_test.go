//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outputServer has one thread for what is tested, and others to look at it.
const outputServer = `
    wsgi_python_path {{.Apps}};
    wsgi_threads 1;
    wsgi_pool steering threads=2;
    server {
        listen {{.Addr}} sndbuf=64k;
        location / { wsgi_pass kitchen; }
        location /event/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location /output/progress/ { wsgi_use_pool steering; wsgi_pass kitchen; }
        location /unbuffered/ {
            wsgi_buffering off;
            wsgi_script_name /unbuffered;
            wsgi_pass kitchen;
        }
    }`

// dialSlow connects with small buffers, so that what the client does not take
// is soon nginx's to keep.
func (n *instance) dialSlow(t *testing.T) *wire {
	t.Helper()
	w := n.dial(t)
	require.NoError(t, w.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
	return w
}

// content is the body of a response whose head was read.
func (w *wire) content(r *reply) io.Reader {
	w.t.Helper()
	if length := r.get(w.t, "Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		require.NoError(w.t, err)
		return io.LimitReader(w.r, n)
	}
	return httputil.NewChunkedReader(w.r)
}

// block is what the application makes of a number.
func block(number, size int) []byte {
	b := make([]byte, size)
	for i := range b[8:] {
		b[8+i] = byte(i % 251 * 7 % 251)
	}
	binary.BigEndian.PutUint64(b, uint64(number))
	return b
}

// needBlocks reads blocks, and fails at the first that is not right.
func needBlocks(t *testing.T, r io.Reader, size, from, to int) {
	t.Helper()
	want, got := block(0, size), make([]byte, size)
	for number := from; number < to; number++ {
		binary.BigEndian.PutUint64(want, uint64(number))
		_, err := io.ReadFull(r, got)
		require.NoError(t, err, "block %d", number)
		require.True(t, bytes.Equal(want, got), "block %d is wrong", number)
	}
}

func needEnd(t *testing.T, r io.Reader) {
	t.Helper()
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.Zero(t, n, "bytes after the end")
}

// askBlocks begins a response with a slow client.
func askBlocks(
	t *testing.T, n *instance, prefix string, size, count int, more string,
) (*wire, io.Reader) {
	t.Helper()
	w := n.dialSlow(t)
	w.request("GET", fmt.Sprintf("%s/output/blocks/%s?size=%d&count=%d%s",
		prefix, name(t), size, count, more))
	r := w.head()
	require.Equal(t, 200, r.Status)
	return w, w.content(r)
}

// made says how many blocks the application has made, when it makes no more.
func made(t *testing.T, n *instance) int {
	t.Helper()
	last, still := -1, 0
	n.wait("the application to stop", func() bool {
		var now int
		n.json(t, &now, "/output/progress/"+name(t))
		still++
		if now != last {
			last, still = now, 0
		}
		time.Sleep(50 * time.Millisecond) // it could go on in this time
		return still == 3
	})
	return last
}

// peak is the greatest resident memory since forgetPeak.
func peak(pid int) int {
	for _, line := range strings.Split(procFile(pid, "status"), "\n") {
		if text, found := strings.CutPrefix(line, "VmHWM:"); found {
			kb, _ := strconv.Atoi(strings.Fields(text)[0])
			return kb << 10
		}
	}
	return 0
}

func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/clear_refs", pid)
	require.NoError(t, os.WriteFile(path, []byte("5"), 0))
}

// needGrowth bounds the peak since forgetPeak.
func needGrowth(t *testing.T, n *instance, before, limit int) {
	t.Helper()
	assert.Less(t, peak(n.worker())-before, memory(limit), "growth of memory")
}

// spools counts the temporary files that a worker has open.
func (n *instance) spools() int {
	count := 0
	for _, link := range fdLinks(n.worker()) {
		if strings.HasPrefix(link, filepath.Join(n.Dir, "temp")) {
			count++
		}
	}
	return count
}

// The only thread is free although a client takes 50 MB slowly, and the
// worker's memory does not grow with the response.
func TestBufferingFreesThread(t *testing.T) {
	t.Parallel()
	const size, count = 64 << 10, 800
	n := start(t, outputServer)
	n.text(t, "/response/big?size=65536&count=32") // memory that stays
	forgetPeak(t, n.worker())
	before := rss(n.worker())

	_, body := askBlocks(t, n, "", size, count, "")
	assert.Equal(t, []string{"done", "closed"}, n.notes(t, name(t), 2))
	assert.Equal(t, 1, n.spools())

	// 100 KB/s for a second, and others are served meanwhile
	for number := range 2 {
		begin := time.Now()
		assert.Equal(t, "plain", n.text(t, "/response/plain"))
		assert.Less(t, time.Since(begin), time.Duration(slack())*time.Second)
		needBlocks(t, body, size, number, number+1)
		time.Sleep(500 * time.Millisecond) // a client that is slow
	}

	needBlocks(t, body, size, 2, count)
	needEnd(t, body)
	needGrowth(t, n, before, 16<<20)
	n.wait("the temporary file to be closed", func() bool { return n.spools() == 0 })
	n.waitLog(`\[warn\].*wsgi: the response of application "kitchen" is buffered`)
}

// Without buffering the application waits for its client, and goes on with it.
func TestBufferingOff(t *testing.T) {
	t.Parallel()
	const size, count = 16 << 10, 2000
	n := start(t, outputServer)
	forgetPeak(t, n.worker())
	before := rss(n.worker())

	w, body := askBlocks(t, n, "/unbuffered", size, count, "")
	first := made(t, n)
	assert.Less(t, first, 200, "blocks made for a client that takes none")
	needBlocks(t, body, size, 0, 500)
	second := made(t, n)
	assert.Less(t, second, 500+200)
	assert.Greater(t, second, 500)

	needBlocks(t, body, size, 500, count)
	needEnd(t, body)
	needGrowth(t, n, before, 8<<20)
	assert.Zero(t, n.countLog("buffered to a temporary file"))
	_ = w
}

// A response that is longer than its file may be: the application waits then,
// and nothing is lost.  The file is used again.
func TestBufferingFileIsFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		max    string
		size   int
		spools int
		least  int // bytes that are made before the client takes any
		most   int
	}{
		{"1m", 16 << 10, 1, 1 << 20, 3 << 20},
		{"1m", 3 << 20, 1, 3 << 20, 16 << 20}, // a chunk larger than the file
		{"0", 16 << 10, 0, 16 << 10, 2 << 20},
	} {
		t.Run(c.max+"/"+strconv.Itoa(c.size), func(t *testing.T) {
			t.Parallel()
			n := start(t, "wsgi_max_temp_file_size "+c.max+";"+outputServer)
			count := (48 << 20) / c.size
			_, body := askBlocks(t, n, "", c.size, count, "&length=1")

			bytes := made(t, n) * c.size
			assert.GreaterOrEqual(t, bytes, c.least)
			assert.LessOrEqual(t, bytes, c.most)
			assert.Equal(t, c.spools, n.spools())

			needBlocks(t, body, c.size, 0, count)
			needEnd(t, body)
			assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
		})
	}
}

// A directory that cannot be written: told once, and the response is complete.
func TestBufferingFileIsDenied(t *testing.T) {
	t.Parallel()
	const size, count = 16 << 10, 500
	n := start(t, "wsgi_temp_path {{.Dir}}/temp/wsgi;"+outputServer,
		allowLog(`\[crit\].*temp/wsgi.*Permission denied`))
	dir := filepath.Join(n.Dir, "temp", "wsgi")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0))

	_, body := askBlocks(t, n, "", size, count, "")
	assert.Less(t, made(t, n), 200, "the application has to wait")
	assert.Zero(t, n.spools())
	needBlocks(t, body, size, 0, count)
	needEnd(t, body)
	assert.Equal(t, 1, n.countLog(
		`\[error\].*response of application "kitchen" cannot be buffered.*request: "GET`))

	require.NoError(t, os.Chmod(dir, info.Mode().Perm()))
	_, body = askBlocks(t, n, "", size, count, "")
	n.wait("the file", func() bool { return n.spools() == 1 })
	needBlocks(t, body, size, 0, count)
	needEnd(t, body)
}

// Every way in which nginx may read the file: nothing lost, nothing twice,
// nothing in another order, with a client that comes and goes.
func TestBufferingKeepsOrder(t *testing.T) {
	t.Parallel()
	for what, conf := range map[string]string{
		"sendfile":   "sendfile on;",
		"read":       "sendfile off;",
		"aio":        "aio threads; sendfile off;",
		"aio both":   "aio threads; sendfile on;",
		"in memory":  `sub_filter never ever; sub_filter_types *;`,
		"small":      "wsgi_buffers 2 1k; sendfile on;",
		"file full":  "wsgi_max_temp_file_size 300k; sendfile on;",
		"limit_rate": "limit_rate 40m; sendfile on;",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := start(t, conf+outputServer)
			for i, size := range []int{100, 5000, 70000, 1 << 20} {
				t.Run(strconv.Itoa(size), func(t *testing.T) {
					count := min((12<<20)/size, 20000)
					w, body := askBlocks(t, n, "", size, count, strings.Repeat("&length=1", i%2))
					for number := 0; number < count; {
						next := min(count, number+count/5+1)
						needBlocks(t, body, size, number, next)
						number = next
						time.Sleep(10 * time.Millisecond) // the queue fills again
					}
					needEnd(t, body)
					_ = w
				})
			}
		})
	}
}

// The application fails when much of what it has sent is still in the file: the
// client gets all of that, and can tell that something is missing.
func TestBufferingThenFailure(t *testing.T) {
	t.Parallel()
	const size, good = 16 << 10, 1000
	n := start(t, outputServer)
	for _, c := range []struct {
		what, more string
		end        error
	}{
		{"chunked", "", io.ErrUnexpectedEOF},
		{"length", "&length=1", io.EOF},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, body := askBlocks(t, n, "", size, 2*good, fmt.Sprintf("%s&fail=%d", c.more, good))
			assert.Equal(t, []string{"closed"}, n.notes(t, name(t), 1))
			needBlocks(t, body, size, 0, good)
			_, err := body.Read(make([]byte, 1))
			assert.ErrorIs(t, err, c.end)
		})
	}
}

// A client that goes while its response waits in the file.
func TestBufferingClientVanishes(t *testing.T) {
	t.Parallel()
	const size, count = 64 << 10, 300
	n := start(t, outputServer)
	for _, prefix := range []string{"", "/unbuffered"} {
		t.Run("off"+prefix, func(t *testing.T) {
			w, _ := askBlocks(t, n, prefix, size, count, "")
			made(t, n)
			w.abort()
			notes := n.notes(t, name(t), 1)
			assert.Equal(t, "closed", notes[len(notes)-1])
			n.wait("the file to be closed", func() bool { return n.spools() == 0 })
			assert.Equal(t, "plain", n.text(t, "/response/plain"))
		})
	}
}

// A large object is sent from where it is, and given back.
func TestLargeBodyIsNotCopied(t *testing.T) {
	t.Parallel()
	n := start(t, outputServer)
	var before, after int
	n.json(t, &before, "/output/references")
	forgetPeak(t, n.worker())
	memory := rss(n.worker())

	var wires []*wire
	for range 3 {
		w := n.dialSlow(t)
		w.request("GET", "/output/whole")
		r := w.head()
		assert.Equal(t, strconv.Itoa(48<<20), r.get(t, "Content-Length"))
		wires = append(wires, w)
	}
	var during int
	n.json(t, &during, "/output/references")
	assert.Equal(t, before+3, during, "nginx has three references")
	assert.Zero(t, n.spools())

	wires[0].abort()
	for _, w := range wires[1:] {
		size, err := io.CopyN(io.Discard, w.r, 48<<20)
		require.NoError(t, err, "after %d", size)
	}
	n.wait("the references to be dropped", func() bool {
		n.json(t, &after, "/output/references")
		return after == before
	})
	needGrowth(t, n, memory, 8<<20)
}

// They are dropped by a thread that has nothing else to do, and by one that is
// in the middle of its response.
func TestLargeBodyIsDropped(t *testing.T) {
	t.Parallel()
	n := start(t, outputServer)

	w := n.dial(t)
	require.Len(t, w.get("/output/mortal").Body, 8<<20)
	n.waitLogTimes("mortal body is gone", 1)

	w = n.dialSlow(t)
	w.request("GET", "/output/mortal")
	w.head()
	w.abort()
	n.waitLogTimes("mortal body is gone", 2)

	w = n.dial(t)
	w.request("GET", "/output/mortals/"+name(t))
	body := w.content(w.head())
	_, err := io.CopyN(io.Discard, body, 8<<20)
	require.NoError(t, err)
	n.waitLogTimes("mortal body is gone", 2+6)
	n.setEvent(t, name(t))
	end, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Equal(t, "end", string(end))
	n.waitLogTimes("mortal body is gone", 2+8)
	assert.Equal(t, 10, n.countLog("mortal body is gone"))

	// the only thread there is
	n = start(t, "wsgi_threads 1;"+kitchen)
	_, most, found := strings.Cut(n.text(t, "/output/counted"), " ")
	require.True(t, found)
	count, err := strconv.Atoi(most)
	require.NoError(t, err)
	assert.Less(t, count, 20, "objects alive at once, of 100")
}

// Streams of one HTTP/2 connection, taken in turns.
func TestBufferingHTTP2(t *testing.T) {
	t.Parallel()
	const size, count = 70000, 150
	n, client := startHTTP2(t)
	var bodies []io.Reader
	for _, more := range []string{"", "&length=1"} {
		resp, err := client.Get(fmt.Sprintf("https://%s/output/blocks/%s?size=%d&count=%d%s",
			n.Addr2, name(t), size, count, more))
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		require.Equal(t, 200, resp.StatusCode)
		bodies = append(bodies, resp.Body)
	}
	n.notes(t, name(t), 3) // both have ended, one of them without being asked to
	for number := range count {
		for _, body := range bodies {
			needBlocks(t, body, size, number, number+1)
		}
	}
	for _, body := range bodies {
		needEnd(t, body)
	}
}

// Two parts of one page: the second has to wait for its turn, its thread not.
func TestBufferingSubrequests(t *testing.T) {
	t.Parallel()
	const size, count = 30000, 300
	include := fmt.Sprintf(`<!--#include virtual="/output/blocks/%s?size=%d&count=%d" -->`,
		name(t), size, count)
	n := start(t, `
    wsgi_python_path {{.Apps}};
    wsgi_threads 2;
    server {
        listen {{.Addr}} sndbuf=64k;
        location / { wsgi_pass kitchen; }
        location = /page { ssi on; ssi_types *; root {{.Dir}}; }
    }`, file("page", include+include))
	forgetPeak(t, n.worker())
	before := rss(n.worker())

	w := n.dialSlow(t)
	w.request("GET", "/page")
	body := w.content(w.head())
	assert.Len(t, n.notes(t, name(t), 4), 4, "both have ended")
	for range 2 {
		needBlocks(t, body, size, 0, count)
	}
	needEnd(t, body)
	needGrowth(t, n, before, 12<<20)
}
