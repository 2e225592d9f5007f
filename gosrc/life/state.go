// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package life

// State is how far a life has come.  States are passed in this order, some
// may be left out, and the last three are ends.
type State int

// The states.
const (
	Idle       State = iota
	Starting         // Python and the applications are
	Running          // all that was to be imported at the start has been
	Draining         // threads end what they run
	Joining          // threads that applications have started
	Exiting          // atexit
	Finalizing       // Py_FinalizeEx
	Ended
	Failed // to start
	Stuck  // could not be ended
)

// String completes the sentence "Python is ...".
func (s State) String() string {
	return [...]string{
		"not started",
		"starting",
		"running",
		"waiting for requests",
		"waiting for threads that applications have started",
		"calling what applications have registered with atexit",
		"finalizing",
		"ended",
		"not there",
		"given up",
	}[s]
}
