//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/stretchr/testify/require"
)

// Frames of HTTP/3, RFC 9114, 7.2.
const (
	h3data     = 0
	h3headers  = 1
	h3settings = 4
	h3goAway   = 7
)

// h3raw is a client of HTTP/3 that sends any list of fields, right or wrong.
type h3raw struct {
	*quic.Conn
	t *testing.T
}

// dialH3 connects to the QUIC server at Addr2, and grants "window" bytes of each
// response; 0 is as much as is usual.
func (n *instance) dialH3(t *testing.T, window uint64) *h3raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, n.Addr2,
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}},
		&quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })

	control, err := conn.OpenUniStream()
	require.NoError(t, err)
	_, err = control.Write([]byte{0, h3settings, 0})
	require.NoError(t, err)
	return &h3raw{conn, t}
}

// request sends a list of fields and a body, and no more if "end".
func (c *h3raw) request(fields []field, body string, end bool) *quic.Stream {
	c.t.Helper()
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range fields {
		require.NoError(c.t, enc.WriteField(qpack.HeaderField{Name: f.name, Value: f.value}))
	}
	text := h3frame(h3headers, block.Bytes())
	if body != "" {
		text = append(text, h3frame(h3data, []byte(body))...)
	}
	s, err := c.OpenStream()
	require.NoError(c.t, err)
	require.NoError(c.t, s.SetDeadline(time.Now().Add(patience)))
	_, err = s.Write(text)
	require.NoError(c.t, err)
	if end {
		require.NoError(c.t, s.Close())
	}
	return s
}

// needGoAway reads the server's control stream up to GOAWAY.
func (c *h3raw) needGoAway() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		s, err := c.AcceptUniStream(ctx)
		require.NoError(c.t, err)
		require.NoError(c.t, s.SetReadDeadline(time.Now().Add(patience)))
		r := quicvarint.NewReader(s)
		if kind, err := quicvarint.Read(r); err != nil || kind != 0 {
			continue // of QPACK
		}
		for kind := uint64(h3settings); kind != h3goAway; {
			kind, err = quicvarint.Read(r)
			require.NoError(c.t, err)
			size, err := quicvarint.Read(r)
			require.NoError(c.t, err)
			_, err = io.CopyN(io.Discard, r, int64(size))
			require.NoError(c.t, err)
		}
		return
	}
}

func h3frame(kind uint64, payload []byte) []byte {
	text := quicvarint.Append(nil, kind)
	return append(quicvarint.Append(text, uint64(len(payload))), payload...)
}

// response reads a whole one; err: it was reset, or is none.
func (c *h3raw) response(s *quic.Stream) (*h2reply, error) {
	all, err := io.ReadAll(s)
	if err != nil {
		return nil, err
	}
	r := &h2reply{End: h2done}
	for len(all) > 0 {
		var kind, size uint64
		for _, number := range []*uint64{&kind, &size} {
			value, n, err := quicvarint.Parse(all)
			if err != nil {
				return nil, err
			}
			*number, all = value, all[n:]
		}
		if size > uint64(len(all)) {
			return nil, fmt.Errorf("a frame of %d bytes has %d", size, len(all))
		}
		if err := r.takeH3(kind, all[:size]); err != nil {
			return nil, err
		}
		all = all[size:]
	}
	return r, nil
}

func (r *h2reply) takeH3(kind uint64, payload []byte) error {
	switch kind {
	case h3data:
		r.Body += string(payload)
	case h3headers:
		fields, err := qpack.NewDecoder(nil).DecodeFull(payload)
		if err != nil {
			return err
		}
		for _, f := range fields {
			if f.Name == ":status" {
				if r.Status, err = strconv.Atoi(f.Value); err != nil {
					return err
				}
			}
			r.Fields = append(r.Fields, field{f.Name, f.Value})
		}
	}
	return nil
}
