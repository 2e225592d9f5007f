//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Listen is the template's text for a server that speaks HTTP/2 at Addr2
// without TLS, which "dialH2" connects to.
func http2Listen(t *testing.T) string {
	t.Helper()
	return http2ListenAt(t, "{{.Addr2}}")
}

// http2ListenAt is the same for another address.  The directive came in 1.25.1.
func http2ListenAt(t *testing.T, addr string) string {
	t.Helper()
	if nginxMinor(t) > 25 {
		return "listen " + addr + "; http2 on;"
	}
	return "listen " + addr + " http2;"
}

// h2wire is a client that writes HTTP/2 frames as it is told, right or wrong,
// and sees which ones come.  It knows beforehand that the server speaks
// HTTP/2.  One goroutine reads; any may write.
type h2wire struct {
	net.Conn
	t *testing.T // nil: errors of writes are left in Err
	r *bufio.Reader

	lock   sync.Mutex // of what is written, and of the fields below
	framer *http2.Framer
	enc    *hpack.Encoder
	block  bytes.Buffer
	next   uint32 // the next stream's number
	Err    error  // of the first write that failed

	// Written by the goroutine that reads.
	streams map[uint32]*h2reply
	goAway  *http2.ErrCode
	closed  error // why no more frames can be read
	acks    int   // of PING
	wrong   error // what the server must not have sent
}

// h2end says how a response came to its end.
type h2end string

const (
	h2open   h2end = "not at all"
	h2done   h2end = "END_STREAM"
	h2reset  h2end = "RST_STREAM"
	h2goAway h2end = "GOAWAY"
	h2closed h2end = "the connection's end"
)

// h2reply is what has come on a stream.
type h2reply struct {
	Status  int
	Interim []int // statuses of interim responses
	Fields  []field
	Body    string
	End     h2end
	Code    http2.ErrCode // if End is h2reset or h2goAway
}

// get returns the only value of a field, or "".
func (r *h2reply) get(t *testing.T, name string) string {
	t.Helper()
	return (&reply{Fields: r.Fields}).get(t, name)
}

// dialH2 connects to Addr2 and grants "window" bytes for the body of each
// response until it is enlarged by windowUpdate.
func (n *instance) dialH2(t *testing.T, window uint32) *h2wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", n.Addr2, patience)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	w := newH2wire(conn)
	w.t = t
	w.hello(window)
	return w
}

// newH2wire makes one for a connection on which nothing has been sent.
func newH2wire(conn net.Conn) *h2wire {
	w := &h2wire{
		Conn: conn, r: bufio.NewReader(conn), next: 1, streams: map[uint32]*h2reply{},
	}
	w.framer = http2.NewFramer(conn, w.r)
	w.framer.AllowIllegalWrites = true
	w.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.framer.MaxHeaderListSize = 4 << 20
	w.enc = hpack.NewEncoder(&w.block)
	return w
}

// write calls "f" alone, and minds its error.
func (w *h2wire) write(f func() error) {
	w.lock.Lock()
	err := f()
	if err != nil && w.Err == nil {
		w.Err = err
	}
	w.lock.Unlock()
	if w.t != nil {
		w.t.Helper()
		require.NoError(w.t, err)
	}
}

// hello sends the preface and the settings.
func (w *h2wire) hello(window uint32) {
	w.raw([]byte(http2.ClientPreface))
	w.write(func() error {
		return w.framer.WriteSettings(
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
			http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	})
}

// raw sends bytes as they are.
func (w *h2wire) raw(data []byte) {
	w.write(func() error {
		_, err := w.Conn.Write(data)
		return err
	})
}

// request opens a stream without a body.
func (w *h2wire) request(method, target string, more ...field) uint32 {
	return w.headers(requestFields(method, target, more...), true)
}

// requestFields is the list of a request that is right.
func requestFields(method, target string, more ...field) []field {
	return append([]field{
		{":method", method}, {":scheme", "http"}, {":authority", "localhost"}, {":path", target},
	}, more...)
}

// headers opens a stream with the fields as they are given, pseudo-header
// fields among them, and returns its number.
func (w *h2wire) headers(fields []field, endStream bool) uint32 {
	w.lock.Lock()
	id := w.next
	w.next += 2
	w.lock.Unlock()
	w.headersIn(id, fields, endStream, 16384)
	return id
}

// headersIn sends a header block on stream "id" in frames of "piece" bytes,
// the first HEADERS, the others CONTINUATION.
func (w *h2wire) headersIn(id uint32, fields []field, endStream bool, piece int) {
	w.write(func() error {
		w.block.Reset()
		for _, f := range fields {
			if err := w.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
				return err
			}
		}
		rest := w.block.Bytes()
		first := rest[:min(piece, len(rest))]
		rest = rest[len(first):]
		err := w.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: first, EndStream: endStream, EndHeaders: len(rest) == 0,
		})
		for err == nil && len(rest) > 0 {
			part := rest[:min(piece, len(rest))]
			rest = rest[len(part):]
			err = w.framer.WriteContinuation(id, len(rest) == 0, part)
		}
		return err
	})
}

// data sends one DATA frame, with so many bytes of padding, up to 255.
func (w *h2wire) data(id uint32, data string, endStream bool, padding int) {
	w.write(func() error {
		var pad []byte
		if padding > 0 {
			pad = make([]byte, padding)
		}
		return w.framer.WriteDataPadded(id, endStream, []byte(data), pad)
	})
}

func (w *h2wire) rst(id uint32, code http2.ErrCode) {
	w.write(func() error { return w.framer.WriteRSTStream(id, code) })
}

// windowUpdate grants more bytes of a stream, of the connection if id is 0.
func (w *h2wire) windowUpdate(id uint32, more uint32) {
	w.write(func() error { return w.framer.WriteWindowUpdate(id, more) })
}

// settings changes the window of each stream, those that are open included.
func (w *h2wire) settings(window uint32) {
	w.write(func() error {
		return w.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	})
}

func (w *h2wire) priority(id, on uint32, weight uint8, exclusive bool) {
	w.write(func() error {
		return w.framer.WritePriority(id, http2.PriorityParam{
			StreamDep: on, Weight: weight, Exclusive: exclusive,
		})
	})
}

func (w *h2wire) leave(last uint32, code http2.ErrCode) {
	w.write(func() error { return w.framer.WriteGoAway(last, code, nil) })
}

// ping returns when the server has taken all that was sent before.
func (w *h2wire) ping() {
	w.t.Helper()
	acks := w.acks
	w.write(func() error { return w.framer.WritePing(false, [8]byte{}) })
	w.readUntil("PING", func() bool { return w.acks > acks })
}

// stream returns what has come on one so far.
func (w *h2wire) stream(id uint32) *h2reply {
	r := w.streams[id]
	if r == nil {
		r = &h2reply{End: h2open}
		w.streams[id] = r
		w.endLost(id)
	}
	return r
}

// response reads until the stream has ended, and grants as much as it reads.
func (w *h2wire) response(id uint32) *h2reply {
	r := w.stream(id)
	for r.End == h2open {
		if w.t != nil {
			w.t.Helper()
		}
		before := len(r.Body)
		if !w.read() {
			break
		}
		if more := len(r.Body) - before; more > 0 && r.End == h2open {
			w.windowUpdate(id, uint32(more))
			w.windowUpdate(0, uint32(more))
		}
	}
	return r
}

// readUntil reads until "done", and grants nothing.
func (w *h2wire) readUntil(what string, done func() bool) {
	w.t.Helper()
	for !done() {
		require.True(w.t, w.read(), "%s: %v", what, w.closed)
	}
}

// silent says that nothing has come since the last frame that was read.
func (w *h2wire) silent() bool {
	return (&wire{Conn: w.Conn, r: w.r}).silent()
}

// read takes one frame in; false: the connection has ended, or the time.
func (w *h2wire) read() bool {
	if w.closed != nil {
		return false
	}
	frame, err := w.framer.ReadFrame()
	var wrong http2.StreamError
	if errors.As(err, &wrong) {
		w.end(wrong.StreamID, h2reset, wrong.Code)
		return true
	}
	if err == nil {
		if err = w.take(frame); err != nil {
			w.wrong = err
		}
	}
	var broken http2.ConnectionError
	if errors.As(err, &broken) {
		w.wrong = err
	}
	if err != nil {
		w.lost(err)
	}
	return err == nil
}

func (w *h2wire) take(frame http2.Frame) error {
	id := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			w.answer(w.framer.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if f.IsAck() {
			w.acks++
		} else {
			w.answer(func() error { return w.framer.WritePing(true, f.Data) })
		}
	case *http2.MetaHeadersFrame:
		if w.stream(id).End == h2done {
			return fmt.Errorf("HEADERS behind the end of stream %d", id)
		}
		if err := w.stream(id).head(f); err != nil {
			return err
		}
		if f.StreamEnded() {
			w.end(id, h2done, 0)
		}
	case *http2.DataFrame:
		// nginx ends an empty response twice, if its HEADERS had to wait
		if w.stream(id).End == h2done && len(f.Data()) > 0 {
			return fmt.Errorf("DATA behind the end of stream %d", id)
		}
		w.stream(id).Body += string(f.Data())
		if f.StreamEnded() {
			w.end(id, h2done, 0)
		}
	case *http2.RSTStreamFrame:
		w.end(id, h2reset, f.ErrCode)
	case *http2.GoAwayFrame:
		code := f.ErrCode
		w.goAway = &code
	}
	return nil
}

// answer writes what a frame asks for; the server may have closed meanwhile.
func (w *h2wire) answer(f func() error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	_ = f()
}

// head takes the fields of a response, or its trailers.
func (r *h2reply) head(f *http2.MetaHeadersFrame) error {
	if text := f.PseudoValue("status"); text != "" {
		status, err := strconv.Atoi(text)
		if err != nil || r.Status != 0 {
			return fmt.Errorf("status %q after %d", text, r.Status)
		}
		if status < 200 {
			r.Interim = append(r.Interim, status)
			return nil
		}
		r.Status = status
	}
	for _, h := range f.RegularFields() {
		r.Fields = append(r.Fields, field{h.Name, h.Value})
	}
	return nil
}

func (w *h2wire) end(id uint32, how h2end, code http2.ErrCode) {
	r := w.stream(id)
	if r.End == h2open {
		r.End, r.Code = how, code
	}
}

// lost ends all streams with the connection.
func (w *h2wire) lost(err error) {
	w.closed = err
	for id := range w.streams {
		w.endLost(id)
	}
}

func (w *h2wire) endLost(id uint32) {
	switch {
	case w.closed == nil:
	case w.goAway != nil:
		w.end(id, h2goAway, *w.goAway)
	default:
		w.end(id, h2closed, 0)
	}
}
