// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package pool

// state is what the manager thinks of a thread:
//
//	serving ──► suspect ──► abandoned ──► gone
//	   ▲  │        │  │                    ▲
//	   └──┼────────┘  └────────────────────┤
//	      └────────────────────────────────┘
type state uint8

const (
	serving   state = iota // takes jobs
	suspect                // an exception was raised in it, it has Grace
	abandoned              // given up and replaced; leaves when it comes back
	gone                   // has left; its slot is free
)

func (s state) String() string {
	return [...]string{"serving", "suspect", "abandoned", "gone"}[s]
}

// thread is what there is in a slot.  Guarded by the manager's lock.
type thread struct {
	slot   uint32
	pool   uint32
	name   string
	state  state
	serial uint64 // of the request that made it suspect
}

var next = [...][]state{
	serving:   {suspect, gone},
	suspect:   {serving, suspect, abandoned, gone},
	abandoned: {gone},
	gone:      {},
}

// advance changes the state if that may be.
func (t *thread) advance(to state) bool {
	for _, s := range next[t.state] {
		if s == to {
			t.state = to
			return true
		}
	}
	return false
}
