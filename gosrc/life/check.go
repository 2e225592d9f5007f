// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

import (
	"errors"
	"runtime"
	"time"

	"github.com/ngx-wsgi/ngx_wsgi/gosrc/log"
)

// Check is a life that only imports: it starts Python, imports every
// application and runs what atexit has.  It returns how many cannot be
// imported, which have been logged, or why there is no Python.  Instead of
// Start, in a process that ends after it.
func (l *Life) Check() (failures int, err error) {
	if err := l.python.Prepare(); err != nil {
		return 0, err
	}
	err = errors.New("a panic, see above")
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		defer l.log.Guard("the check")
		failures, err = l.check()
	}()
	select {
	case <-done:
		return failures, err
	case <-l.late():
		l.log(log.Err, "the import does not end: it waits in C code")
		return 1, nil
	}
}

// late tells when even an import that was told to end should have ended.
func (l *Life) late() <-chan struct{} {
	c := make(chan struct{})
	limit := l.conf.StartTimeout * time.Duration(len(l.conf.Apps))
	l.clock.AfterFunc(limit+time.Second, func() { close(c) })
	return c
}

// check runs on Python's main thread.
func (l *Life) check() (failures int, err error) {
	if _, err := l.python.Start(); err != nil {
		return 0, err
	}
	for i := range l.conf.Apps {
		if err := l.python.Load(uint32(i)); err != nil {
			l.log(log.Err, err.Error())
			failures++
		}
	}
	l.python.Exit()
	return failures, nil
}
