//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// program is what one connection over HTTP/1 sends, all of it from a seed and
// an index.
type program struct {
	index uint64
	rng   *rand.Rand
	ways  []way

	text    []byte
	methods []string // of the requests, unless the text may have others
	known   bool     // it has not
}

// newProgram makes up requests, pipelined, and spoils what it has made.
func newProgram(index uint64, rng *rand.Rand, ways []way) *program {
	p := &program{index: index, rng: rng, ways: ways, known: true}
	for range 1 + rng.IntN(4)*rng.IntN(2) {
		if rng.IntN(6) == 0 {
			p.text = append(p.text, pick(rng, hostileSeeds)...)
			p.known = false
		} else {
			p.request()
		}
	}
	if rng.IntN(2) == 0 {
		p.known = false
		for range 1 + rng.IntN(4) {
			p.text = pick(rng, mutators)(p)
		}
	}
	return p
}

// request adds one that is well-formed, or nearly.
func (p *program) request() {
	method := pick(p.rng, hostileMethods)
	var b strings.Builder
	b.WriteString(method + " " + hostileTarget(p.rng, p.ways) + p.version() + "\r\nHost: a\r\n")
	for range p.rng.IntN(4) {
		field := pick(p.rng, hostileFields)
		if strings.HasPrefix(field, "Content-Length") || strings.HasPrefix(field, "Transfer") {
			p.known = false // where a body ends, and a request begins
		}
		b.WriteString(field + "\r\n")
	}
	if method == "GET" || method == "HEAD" {
		if p.rng.IntN(5) != 0 {
			b.WriteString("\r\n")
			p.add(method, b.String())
			return
		}
	}
	b.WriteString(p.body())
	p.add(method, b.String())
}

func (p *program) add(method, text string) {
	p.methods = append(p.methods, method)
	p.text = append(p.text, text...)
}

func (p *program) version() string {
	if p.rng.IntN(3) != 0 {
		return " HTTP/1.1"
	}
	version := pick(p.rng, hostileVersions)
	if version != " HTTP/1.1" && version != " HTTP/1.0" {
		p.known = false
	}
	return version
}

// body returns the rest of a head, and a body.
func (p *program) body() string {
	body := ownToken(p.index) + strings.Repeat("line of a body\n", p.rng.IntN(4)*p.rng.IntN(4)*p.rng.IntN(800))
	switch p.rng.IntN(6) {
	case 0: // too short, or too long
		p.known = false
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", max(0, len(body)-7+p.rng.IntN(14)), body)
	case 1, 2:
		return "Transfer-Encoding: chunked\r\n\r\n" + p.chunked(body, false)
	case 3:
		p.known = false
		return "Transfer-Encoding: chunked\r\n\r\n" + p.chunked(body, true)
	}
	return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// chunked frames a body, with something odd among its chunks if "odd".
func (p *program) chunked(body string, odd bool) string {
	var b strings.Builder
	size := 1 + p.rng.IntN(5000) + len(body)/100
	for ; body != ""; body = body[min(size, len(body)):] {
		if odd && p.rng.IntN(3) == 0 {
			b.WriteString(pick(p.rng, hostileChunks))
		}
		chunk := body[:min(size, len(body))]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	if !odd || p.rng.IntN(2) == 0 {
		b.WriteString("0\r\n\r\n")
	}
	return b.String()
}

// mutators return the text, spoiled in one way.
var mutators = []func(p *program) []byte{
	flipBit, setByte, deleteRange, duplicateRange, insertField, insertField, insertNoise,
	splice, cutOff, swapToken, swapToken,
}

// at is a place in the text, more often one in its first head.
func (p *program) at() int {
	if len(p.text) == 0 {
		return 0
	}
	if p.rng.IntN(2) == 0 {
		return p.rng.IntN(min(len(p.text), 120))
	}
	return p.rng.IntN(len(p.text))
}

// put replaces "drop" bytes at "i".
func (p *program) put(i, drop int, text string) []byte {
	return []byte(string(p.text[:i]) + text + string(p.text[min(i+drop, len(p.text)):]))
}

func flipBit(p *program) []byte {
	if len(p.text) > 0 {
		p.text[p.at()] ^= 1 << p.rng.IntN(8)
	}
	return p.text
}

func setByte(p *program) []byte {
	return p.put(p.at(), 1, pick(p.rng, []string{"\x00", "\r", "\n", " ", ":", "\xff", "/", "%", "\t", "0"}))
}

func deleteRange(p *program) []byte { return p.put(p.at(), 1+p.rng.IntN(30), "") }

func duplicateRange(p *program) []byte {
	i := p.at()
	return p.put(i, 0, string(p.text[i:min(len(p.text), i+p.rng.IntN(200))]))
}

// insertField puts a header field behind the end of some line.
func insertField(p *program) []byte {
	i := p.at()
	if line := strings.Index(string(p.text[i:]), "\r\n"); line >= 0 {
		return p.put(i+line+2, 0, pick(p.rng, hostileFields)+"\r\n")
	}
	return p.text
}

func insertNoise(p *program) []byte {
	return p.put(p.at(), 0, pick(p.rng, []string{
		"%zz", "%00", "/../", "//", "?", "#", " ", "\r\n\r\n", "\x00", "%2e%2e%2f", "&", ";", "+",
		strings.Repeat("n", 5000), strings.Repeat("X-N: n\r\n", 500), "\xc3\xa9", "%",
	}))
}

func splice(p *program) []byte {
	return p.put(p.at(), p.rng.IntN(50), pick(p.rng, append(hostileSeeds, hostileChunks...)))
}

func cutOff(p *program) []byte { return p.text[:p.at()] }

// swapToken changes one word for another of its kind.
func swapToken(p *program) []byte {
	kinds := [][]string{hostileMethods, hostileVersions, hostileTargets, {"chunked", "identity"}, {"Host", "X"}}
	kind := pick(p.rng, kinds)
	for _, word := range kind {
		if word != "" && strings.Contains(string(p.text), word) {
			return []byte(strings.Replace(string(p.text), word, pick(p.rng, kind), 1))
		}
	}
	return p.text
}
