// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

// Bench measures what a request costs: CPU time of the nginx worker, beside
// that of nginx's own `return 200` in the same run, rates, latency and memory.
// docs/benchmarks.md says how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are those of the command line.
type options struct {
	cases       string
	peers       string
	duration    time.Duration
	rounds      int
	connections int
	threads     int
	json        bool
	out         string
	strace      bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.cases, "cases", "", "`list` of cases (default all: "+names(workloads)+","+names(transfers)+")")
	f.StringVar(&o.peers, "peers", "", "`list` of others to run hello with: "+peerNames())
	f.DurationVar(&o.duration, "duration", 2*time.Second, "of one measurement")
	f.IntVar(&o.rounds, "rounds", 5, "how often each case is measured")
	f.IntVar(&o.connections, "connections", 64,
		fmt.Sprintf("kept alive; large bodies have %d", transferConnections))
	f.IntVar(&o.threads, "threads", 8, "wsgi_threads, and those of the peers")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.out, "out", "", "write the table to a `file`, too")
	f.BoolVar(&o.strace, "strace", false,
		"count system calls per request instead (of hello, unless -cases says more)")
	if err = f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("what is %q?", f.Arg(0))
	case o.duration < time.Second || o.duration%time.Second != 0:
		err = errors.New("-duration has to be whole seconds")
	case o.rounds < 1 || o.connections < 1 || o.threads < 1:
		err = errors.New("-rounds, -connections and -threads have to be 1 or more")
	}
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if _, err = exec.LookPath("wrk"); err != nil {
		return errNoWrk
	}
	if o.strace && o.cases == "" {
		o.cases = "hello"
	}
	chosen, err := choose(o.cases)
	if err != nil {
		return err
	}
	w, err := newWorkshop(o.threads, o.connections)
	if err != nil {
		return err
	}
	defer w.close()

	others, skipped, err := choosePeers(o.peers, w.venv)
	if err != nil {
		return err
	}
	f := &fleet{workshop: w, skipped: skipped}
	defer f.stop()
	benches, err := f.start(ctx, o, append(chosen, others...))
	if err != nil {
		return err
	}
	if o.strace {
		return traceAll(ctx, o, f)
	}
	return measureAll(ctx, o, newReport(o, f), benches)
}

// measureAll runs the benches and tells what was found.
func measureAll(ctx context.Context, o options, r report, benches []*bench) error {
	for _, b := range benches {
		if err := b.run(ctx); err != nil {
			return err
		}
		r.add(b)
	}
	if o.out != "" {
		if err := writeTo(o.out, r.markdown); err != nil {
			return err
		}
	}
	if o.json {
		return r.json(os.Stdout)
	}
	return r.markdown(os.Stdout)
}

func writeTo(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, strings.TrimSpace(format)+"\n", args...)
}

// generator returns what puts load on the server of a workload.
func (o options) generator(load workload, w *workshop) generator {
	if load.Transfer {
		return courier{connections: transferConnections}
	}
	return wrk{dir: w.dir, connections: o.connections}
}

// fleet is the servers of a run, all up from its beginning to its end: a bad
// minute of the machine then falls on a round of all and not on all of one.
type fleet struct {
	workshop *workshop
	servers  []*contender
	skipped  []string
}

// start starts what the workloads need, and returns a bench for the requests
// among them and one for the transfers, each if there are any.
func (f *fleet) start(ctx context.Context, o options, loads []workload) ([]*bench, error) {
	var benches []*bench
	for _, base := range []workload{baseline, fileByNginx} {
		kind := slices.DeleteFunc(slices.Clone(loads),
			func(w workload) bool { return w.Transfer != base.Transfer })
		if len(kind) == 0 {
			continue
		}
		first := len(f.servers)
		for _, load := range append([]workload{base}, kind...) {
			if err := f.startOne(ctx, load); err != nil {
				return nil, err
			}
		}
		benches = append(benches, &bench{
			generator: o.generator(base, f.workshop), cost: base.cost,
			duration: o.duration, rounds: o.rounds,
			base: f.servers[first], others: f.servers[first+1:], progress: progress,
		})
	}
	return benches, nil
}

func (f *fleet) startOne(ctx context.Context, load workload) error {
	if load.Package != "" && !f.workshop.has(load.Package) {
		f.skipped = append(f.skipped, load.Name+": not in the virtualenv")
		return nil
	}
	progress("starting %s", load.Name)
	s, err := f.workshop.start(ctx, load)
	if err != nil {
		return err
	}
	f.servers = append(f.servers, &contender{workload: load, server: s})
	return nil
}

func (f *fleet) stop() {
	for _, c := range f.servers {
		c.server.stop()
	}
}
