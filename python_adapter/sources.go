// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package adapter

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/go-python/cpy3"
)

//go:embed ngx_wsgi_sources.py
var sourcesSource string

//go:embed ngx_wsgi_trial.py
var trialSource string

// maxTrial is how much of what a failed trial printed is logged, the end.
const maxTrial = 16 * 1024

// sources is what wsgi_script_reloading has.
type sources struct {
	module *python3.PyObject
	fresh  fresh
}

// fresh is how a process of its own is started in which Python is as it is here
// before the first import; by ngx_wsgi_sources.watch().
type fresh struct {
	Args []string
	Env  []string
	Dir  string
	Path json.RawMessage // names that are no UTF-8 included
}

// watchSources has what is imported from now on noted.  With the GIL.
func (p *Python) watchSources() error {
	module, err := p.module("ngx_wsgi_sources", sourcesSource)
	if err != nil {
		return err
	}
	p.sources.module = module
	value, err := p.call(module, "watch")
	if err != nil {
		return err
	}
	defer value.DecRef()
	return json.Unmarshal([]byte(text(value)), &p.sources.fresh)
}

// Changes describes what differs from what was imported, or is "".  Waits for
// the GIL.  Locked.
func (p *Python) Changes() string { return p.ask("changes") }

// Examine compiles what has changed: what is wrong with it, or "".  Waits for
// the GIL.  Locked.
func (p *Python) Examine() string { return p.ask("examine") }

// Hold has requests wait (true) or be served again (false).
func (p *Python) Hold(on bool) { Hold(on) }

// Replace ends what runs, then the worker.
func (p *Python) Replace(reason string) { Drain(reason, true) }

func (p *Python) ask(function string) string {
	defer enter()()
	value, err := p.call(p.sources.module, function)
	if err != nil {
		return err.Error()
	}
	defer value.DecRef()
	return text(value)
}

// Trial imports the applications in a process of its own, as wsgi_check does in
// one that nginx forks: what is wrong with them, or "".  Waits for that process
// or "ctx".  Locked: the process ends with its thread, if not before.
func (p *Python) Trial(ctx context.Context) string {
	// An application may exit with 0, but does not know this.
	token := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	input, err := p.trialInput(token)
	if err != nil {
		return err.Error()
	}
	fresh := p.sources.fresh
	args := append(fresh.Args[1:len(fresh.Args):len(fresh.Args)], trialSource)
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, fresh.Args[0], args...)
	cmd.Env, cmd.Dir = fresh.Env, fresh.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second // its children may hold the pipe
	err = cmd.Run()
	printed := strings.TrimSpace(out.String())
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		if strings.Contains(printed, token) {
			return ""
		}
		err = errors.New("it has ended its process")
	}
	return verdict(ctx, err, printed)
}

// verdict puts into words why a trial has failed.
func verdict(ctx context.Context, err error, printed string) string {
	printed = printed[max(0, len(printed)-maxTrial):]
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "their import has not ended within wsgi_start_timeout\n" + printed
	case errors.As(err, &exit) && exit.Exited() && printed != "":
		return printed
	default:
		return fmt.Sprintf("their import: %v\n%s", err, printed)
	}
}

func (p *Python) trialInput(token string) ([]byte, error) {
	apps := make([][3]string, len(p.apps))
	for i, app := range p.apps {
		apps[i] = [3]string{app.Target, app.Callable, strings.Join(app.Middleware, " ")}
	}
	return json.Marshal(map[string]any{
		"Path": p.sources.fresh.Path, "Apps": apps, "Guest": guestSource, "Boot": bootSource,
		"Token": token,
	})
}
