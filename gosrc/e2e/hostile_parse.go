//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// answers judges what has come over a connection of HTTP/1: responses, one
// behind the other, and nothing else.
type answers struct {
	methods []string // of the requests, if "known"
	known   bool
	head    bool // HEAD may be among the others
	raw     bool // HTTP/0.9 may be, a body without a head, or HTTP/2
	closed  bool // the connection has ended
}

var (
	oldRequest = regexp.MustCompile(`[A-Za-z_-]+ +(/|\*|http)[^\r\n]*\r?(\n|$)`)
	statusLine = regexp.MustCompile(`^HTTP/1\.1 ([1-9]\d\d)( [^\x00-\x08\x0a-\x1f]*)?$`)
	headerLine = regexp.MustCompile(`^[!-9;-~]+:( [^\x00\r\n]*)?$`)
	chunkSize  = regexp.MustCompile(`^[0-9a-f]{1,16}$`)
)

// newAnswers is for what a program has sent.
func newAnswers(p *program, sent []byte) *answers {
	a := &answers{methods: p.methods, known: p.known}
	if !p.known {
		a.head = strings.Contains(string(sent), "HEAD")
		a.raw = strings.Contains(string(sent), "PRI * HTTP/2.0")
		for _, line := range oldRequest.FindAllString(string(sent), -1) {
			a.raw = a.raw || !strings.Contains(line, " HTTP/")
		}
	}
	return a
}

// errPart says that the last response goes on.
var errPart = errors.New("a part of a response")

// count returns how many final responses are complete, and what is wrong: nil,
// errPart, or something that must not be.
func (a *answers) count(text string) (int, error) { return a.from(text, 0) }

func (a *answers) from(text string, number int) (int, error) {
	if text == "" {
		return number, nil
	}
	if !strings.HasPrefix(text, "HTTP/1.1 ") {
		if strings.HasPrefix("HTTP/1.1 ", text) || a.raw {
			return number, errPart
		}
		return number, fmt.Errorf("behind %d responses there is %.200q", number, text)
	}
	head, rest, found := strings.Cut(text, "\r\n\r\n")
	if !found {
		return number, errPart
	}
	r, err := parseHead(head)
	if err != nil {
		return number, fmt.Errorf("response %d: %w", number, err)
	}
	if r.Status < 200 && r.Status != 101 {
		return a.from(rest, number)
	}
	if a.known && number >= len(a.methods) {
		return number, fmt.Errorf("%d requests, and one more response: %.200q", number, text)
	}
	return a.body(r, rest, number)
}

// body goes on behind the body of a response.
func (a *answers) body(r *reply, rest string, number int) (int, error) {
	none := r.Status == 101 || r.Status == 204 || r.Status == 304
	if none || a.known && a.methods[number] == "HEAD" {
		return a.from(rest, number+1)
	}
	behind, err := r.skip(rest)
	count := number
	if err == nil {
		if count, err = a.from(behind, number+1); err == nil || errors.Is(err, errPart) {
			return count, err
		}
	}
	if a.head && !a.known {
		if other, err := a.from(rest, number+1); err == nil || errors.Is(err, errPart) {
			return other, err
		}
	}
	return count, err
}

func parseHead(head string) (*reply, error) {
	lines := strings.Split(head, "\r\n")
	found := statusLine.FindStringSubmatch(lines[0])
	if found == nil {
		return nil, fmt.Errorf("status line %.200q", lines[0])
	}
	r := &reply{}
	r.Status, _ = strconv.Atoi(found[1])
	for _, line := range lines[1:] {
		if !headerLine.MatchString(line) {
			return nil, fmt.Errorf("header line %.200q", line)
		}
		name, value, _ := strings.Cut(line, ":")
		r.Fields = append(r.Fields, field{name, strings.TrimSpace(value)})
	}
	lengths, codings := r.values("Content-Length"), r.values("Transfer-Encoding")
	if len(lengths)+len(codings) > 1 {
		return nil, fmt.Errorf("lengths %q and codings %q", lengths, codings)
	}
	return r, nil
}

// skip returns what is behind the body.
func (r *reply) skip(text string) (string, error) {
	if r.values("Transfer-Encoding") != nil {
		return skipChunks(text)
	}
	lengths := r.values("Content-Length")
	if lengths == nil {
		return "", errPart // until the connection's end
	}
	n, err := strconv.ParseUint(lengths[0], 10, 62)
	if err != nil {
		return "", err
	}
	if uint64(len(text)) < n {
		return "", errPart
	}
	return text[n:], nil
}

func skipChunks(text string) (string, error) {
	for {
		line, rest, found := strings.Cut(text, "\r\n")
		if !found {
			if len(text) > 17 {
				return "", fmt.Errorf("where a chunk begins there is %.200q", text)
			}
			return "", errPart
		}
		if !chunkSize.MatchString(line) {
			return "", fmt.Errorf("the size of a chunk is %.200q", line)
		}
		n, err := strconv.ParseUint(line, 16, 62)
		if err != nil {
			return "", err
		}
		if uint64(len(rest)) < n+2 {
			return "", errPart
		}
		if rest[n:n+2] != "\r\n" {
			return "", fmt.Errorf("a chunk of %d ends in %.200q", n, rest[n:])
		}
		text = rest[n+2:]
		if n == 0 {
			return text, nil
		}
	}
}
