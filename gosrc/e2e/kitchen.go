//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kitchen serves the kitchen sink application and, beside it, nginx's own.
const kitchen = `
    wsgi_python_path {{.Apps}};
    server {
        listen {{.Addr}};
        location / { wsgi_pass kitchen; }
        location = /nginx { return 200 "nginx"; }
    }`

// set sets an event for which an endpoint waits.
func (n *instance) setEvent(t *testing.T, name string) {
	t.Helper()
	require.Equal(t, "set", n.text(t, "/event/set/"+name))
}

// openGate makes the file that some applications wait for in their import.
func (n *instance) openGate() {
	n.t.Helper()
	writeFile(n.t, n.Var, "open", "")
}

// threadsIn tells whether a thread runs a function of this name.
func (n *instance) threadsIn(t *testing.T, function string) (there bool) {
	t.Helper()
	n.json(t, &there, "/event/runs/"+function)
	return there
}

// notes returns what endpoints have noted under a name, when there are "count"
// of them, as text.
func (n *instance) notes(t *testing.T, name string, count int) []string {
	t.Helper()
	var list []any
	n.json(t, &list, fmt.Sprintf("/event/notes_of/%s?n=%d", name, count))
	require.GreaterOrEqual(t, len(list), count, "notes of %s: %v", name, list)

	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = fmt.Sprint(item)
	}
	return texts
}

// name makes a name for events and notes that no other subtest has.
func name(t *testing.T) string {
	return strings.NewReplacer("/", "-", "#", "-", " ", "-").Replace(t.Name())
}
