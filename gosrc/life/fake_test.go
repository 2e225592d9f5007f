// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/clock"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/config"
	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// python is a fake interpreter that notes its calls.  A call with a gate in
// "hold" ends when that is closed; one with a value in "panics" panics.
type python struct {
	mu       sync.Mutex
	changed  *sync.Cond
	calls    []string
	hold     map[string]chan struct{}
	fails    map[string]error
	panics   map[string]bool
	serials  map[uint32]uint64
	closed   bool
	importer uint64
	edited   string
}

func newPython() *python {
	p := &python{
		hold:    map[string]chan struct{}{},
		fails:   map[string]error{},
		panics:  map[string]bool{},
		serials: map[uint32]uint64{},
	}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *python) call(format string, args ...any) error {
	name := fmt.Sprintf(format, args...)
	p.mu.Lock()
	p.calls = append(p.calls, name)
	p.changed.Broadcast()
	hold, err, panics := p.hold[name], p.fails[name], p.panics[name]
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if panics {
		panic("no reason")
	}
	return err
}

// holdAt has a call wait for the gate.
func (p *python) holdAt(call string, gate chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold[call] = gate
}

func (p *python) Prepare() error         { return p.call("prepare") }
func (p *python) Start() (string, error) { return "Python 3", p.call("start") }
func (p *python) Load(app uint32) error  { return p.call("load %d", app) }
func (p *python) Join()                  { _ = p.call("join") }
func (p *python) Exit()                  { _ = p.call("exit") }
func (p *python) Room() error            { return nil }
func (p *python) Leave(uint32)           {}
func (p *python) Refuse()                { _ = p.call("refuse") }
func (p *python) Ready(failures int)     { _ = p.call("ready, %d failed", failures) }
func (p *python) Finalize() error        { return p.call("finalize") }
func (p *python) Fail()                  { _ = p.call("fail") }
func (p *python) Examine() string        { return "" }
func (p *python) Note(time.Duration)     {}
func (p *python) Hold(bool)              {}
func (p *python) Replace(string)         { _ = p.call("replace") }
func (p *python) Trial(context.Context) string {
	_ = p.call("trial")
	return ""
}

func (p *python) Changes() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.edited
}

func (p *python) EndImport(app uint32, ident uint64, why string) string {
	_ = p.call("end import %d", app)
	p.mu.Lock()
	defer p.mu.Unlock()
	if ident != p.importer {
		return ""
	}
	return "ended: " + why
}

func (p *python) Close() {
	_ = p.call("close")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
}

func (p *python) Run(slot, _ uint32, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serials[slot] = 0
	p.changed.Broadcast()
	for p.serials[slot] != 0 || !p.closed {
		p.changed.Wait()
	}
	delete(p.serials, slot)
	return nil
}

func (p *python) Job(slot uint32) (uint64, uint32, uint64, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.serials[slot], 0, uint64(slot) + 0x1000, time.Minute
}

func (p *python) Dump() (uint64, string)           { _ = p.call("dump"); return 0, "" }
func (p *python) Record(uint64, log.Level, string) {}
func (p *python) Drain(reason string, _ bool)      { _ = p.call("drain: %s", reason) }

func (p *python) Interrupt(slot uint32, serial uint64, reason uint32) bool {
	_ = p.call("interrupt %d", serial)
	return true
}

func (p *python) work(slot uint32, serial uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if _, ok := p.serials[slot]; ok {
			break
		}
		p.changed.Wait()
	}
	p.serials[slot] = serial
	p.changed.Broadcast()
}

// await waits for a call.
func (p *python) await(call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for _, c := range p.calls {
			if c == call {
				return
			}
		}
		p.changed.Wait()
	}
}

func (p *python) made() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.calls, ", ")
}

type fixture struct {
	*Life
	python *python
	clock  *clock.Fake
	said   log.Recorder
}

func fresh() *fixture {
	f := &fixture{python: newPython(), clock: clock.NewFake()}
	conf := &config.Config{
		StartTimeout:    time.Minute,
		ShutdownTimeout: 8 * time.Second,
		Pools:           []config.Pool{{Name: "default", Threads: 2}},
		Apps: []config.App{
			{Target: "one", Preload: true}, {Target: "two"}, {Target: "three", Preload: true},
		},
	}
	f.Life = New(conf, 10, f.python, f.clock, f.said.Log)
	return f
}

// running returns a life whose applications are imported.
func running(t *testing.T) *fixture {
	f := fresh()
	require.NoError(t, f.Start())
	f.await(t, Running)
	return f
}

func (f *fixture) await(t *testing.T, s State) {
	require.Eventually(t, func() bool { return f.State() >= s },
		10*time.Second, time.Millisecond)
	require.Equal(t, s, f.State())
}

// stop calls Stop as nginx does, while the fake time goes on by "step" a call.
func (f *fixture) stop(t *testing.T, step time.Duration) (Outcome, time.Duration) {
	begin := f.clock.Now()
	for range 100000 {
		result := make(chan Outcome, 1)
		go func() { result <- f.Stop(time.Millisecond) }()
		var o Outcome
		for waiting := true; waiting; {
			select {
			case o = <-result:
				waiting = false
			case <-time.After(time.Millisecond):
				f.clock.Advance(max(step, time.Millisecond))
			}
		}
		if o != Again {
			return o, f.clock.Now().Sub(begin)
		}
	}
	t.Fatal("it does not stop")
	return Again, 0
}

// beginStop has Stop begin, whose time passes when the test says so.
func (f *fixture) beginStop(t *testing.T) {
	require.Equal(t, Again, f.Stop(0))
	f.python.await("close") // its timers are set
}
