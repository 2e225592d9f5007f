// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed load.lua
var loadDone string

var errNoWrk = errors.New("wrk, the load generator, is not installed; " +
	"on Debian and Ubuntu: apt-get install wrk")

// load is what wrk has seen of a server.  Times are microseconds.
type load struct {
	Requests int64
	Duration int64
	P50, P99 int64
	Failed   int64 // answers that were neither 2xx nor 3xx
	Broken   int64 // connections, and time-outs
}

// generator puts load of one kind on a server, for about that long.
type generator interface {
	run(ctx context.Context, url string, w workload, d time.Duration) (load, error)
}

// wrk runs the program of that name.
type wrk struct {
	dir         string
	connections int
}

// run sends requests to a URL for that long, from one thread, on keep-alive
// connections, and fails when an answer is an error.
func (g wrk) run(ctx context.Context, url string, w workload, d time.Duration) (load, error) {
	script := filepath.Join(g.dir, "load.lua")
	if err := os.WriteFile(script, []byte(luaScript(w.request)), 0o644); err != nil {
		return load{}, err
	}
	args := []string{"-t1", "-c" + strconv.Itoa(g.connections),
		"-d" + strconv.Itoa(int(d.Seconds())), "-s", script}
	for _, h := range w.Headers {
		args = append(args, "-H", h)
	}

	cmd := exec.CommandContext(ctx, "wrk", append(args, url)...)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return load{}, errNoWrk
	}
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseLoad(string(out))
}

// luaScript makes wrk send such requests, and tell what came of them.
func luaScript(q request) string {
	if q.Body == 0 {
		return loadDone
	}
	return fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n",
		q.Body) + loadDone
}

func parseLoad(out string) (load, error) {
	var l load
	line := out[strings.LastIndexByte(strings.TrimRight(out, "\n"), '\n')+1:]
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		return l, fmt.Errorf("wrk said: %s", out)
	}
	switch {
	case l.Requests == 0:
		return l, errors.New("no request was answered")
	case l.Failed > 0 || l.Broken > 0:
		return l, fmt.Errorf("%d of %d answers were errors, and %d connections failed",
			l.Failed, l.Requests, l.Broken)
	}
	return l, nil
}
