//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answer is a response to a client that does not look at the wire.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// newClient makes a client that does what it is told: no redirects followed,
// no compression asked for.
func newClient() *http.Client {
	return &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

func (n *instance) url(target string) string { return "http://" + n.Addr + target }

// get asks for a target; headers are "Name: value".
func (n *instance) get(t *testing.T, target string, headers ...string) *answer {
	t.Helper()
	return n.do(t, "GET", target, nil, headers...)
}

// post sends a body.
func (n *instance) post(t *testing.T, target, body string, headers ...string) *answer {
	t.Helper()
	return n.do(t, "POST", target, strings.NewReader(body), headers...)
}

func (n *instance) do(
	t *testing.T, method, target string, body io.Reader, headers ...string,
) *answer {
	t.Helper()
	a, err := n.try(method, target, body, headers...)
	require.NoError(t, err)
	return a
}

// try is do for goroutines, in which a test cannot be failed.
func (n *instance) try(
	method, target string, body io.Reader, headers ...string,
) (*answer, error) {
	req, err := http.NewRequest(method, n.url(target), body)
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	return exchange(n.client, req)
}

func exchange(client *http.Client, req *http.Request) (*answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()

	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, string(data)}, nil
}

// text returns the body of a response that has to be a 200.
func (n *instance) text(t *testing.T, target string, headers ...string) string {
	t.Helper()
	a := n.get(t, target, headers...)
	require.Equal(t, 200, a.Status, "%s: %s", target, a.Body)
	return a.Body
}

// json decodes the body of a response that has to be a 200.
func (n *instance) json(t *testing.T, into any, target string, headers ...string) {
	t.Helper()
	decode(t, n.text(t, target, headers...), into)
}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), into), body)
}

// later runs a request beside the test.
func (n *instance) later(method, target string, headers ...string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		a, err := n.try(method, target, nil, headers...)
		done <- outcome{a, err}
	}()
	return done
}

type outcome struct {
	*answer
	err error
}
