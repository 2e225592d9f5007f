// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait for something that has to happen.
const patience = 20 * time.Second

// server is what answers a workload: nginx with one worker, and the processes
// of a peer behind it, if there is one.
type server struct {
	name string
	dir  string // its own, with its logs
	addr string
	cmds []*exec.Cmd
}

func (s *server) url(q request) string { return "http://" + s.addr + "/" + q.Path }

// pids returns the processes that do the work.
func (s *server) pids() []int {
	var all []int
	for _, cmd := range s.cmds {
		all = append(all, descendants(cmd.Process.Pid)...)
	}
	return all
}

// spawn starts a process of this server; what it prints goes to a file.  It is
// in a process group of its own, out of a terminal's way.
func (s *server) spawn(cmd *exec.Cmd) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "output"),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd.Stdout = log
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return nil
}

// stop ends all processes, the last one first, with their descendants.
func (s *server) stop() {
	for i := len(s.cmds) - 1; i >= 0; i-- {
		pid := s.cmds[i].Process.Pid
		_ = syscall.Kill(pid, syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
		_ = s.cmds[i].Wait()
		late.Stop()
	}
}

// awaitReady returns when the server gives the right answer to a workload, and
// not before it has done so: only what is right is worth measuring.
func (s *server) awaitReady(ctx context.Context, w workload) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	end := time.Now().Add(patience)
	for {
		err := ask(ctx, client, s.url(w.request), w)
		if err == nil {
			return nil
		}
		if !isEarly(err) || time.Now().After(end) {
			return fmt.Errorf("%s: %w%s", s.name, err, s.logs())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// errEarly is the answer of nginx when the peer behind it does not listen yet.
var errEarly = errors.New("502 Bad Gateway")

func isEarly(err error) bool {
	return errors.Is(err, errEarly) || errors.Is(err, syscall.ECONNREFUSED)
}

// ask sends one request and says what is wrong with the answer.
func ask(ctx context.Context, client *http.Client, url string, w workload) error {
	r, err := w.httpRequest(url)
	if err != nil {
		return err
	}
	answer, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return err
	}
	defer answer.Body.Close()

	// Discard would read with a small buffer of its own.
	size, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body,
		make([]byte, bufferSize))
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusBadGateway:
		return errEarly
	case answer.StatusCode != http.StatusOK || size != int64(w.Size):
		return fmt.Errorf("answered %s with %d bytes, and not 200 with %d",
			answer.Status, size, w.Size)
	}
	return nil
}

// logs returns the ends of what the server has logged and printed.
func (s *server) logs() string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, file := range append(files, filepath.Join(s.dir, "output")) {
		if text := strings.TrimSpace(read(file)); text != "" {
			fmt.Fprintf(&b, "\n--- %s\n%s", filepath.Base(file), text[max(0, len(text)-4096):])
		}
	}
	return b.String()
}
