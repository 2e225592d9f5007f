// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseStacks(t *testing.T) {
	const text = `Thread 0x00007f31c0ff96c0 [wsgi] (most recent call first):
  File "/usr/lib/python3.14/threading.py", line 369 in wait
  File "/app/caf\xe9 a.py", line ??? in <listcomp>
  File "<ngx_wsgi_boot>", line 56 in load

Current thread 0x00007f31c17fa6c0 (most recent call first):
  File ???, line 3 in ???
  ...

Thread 0x00007f31c1ffb6c0 (most recent call first):
  <no Python frame>

Thread 0x00007f31c27fc6c0 (most recent call first):
  Garbage-collecting

Thread 0x00007f31c2ffd6c0 (most recent call first):
  File "<ngx_wsgi_boot>", line 400 in join
`
	s := parseStacks(text)
	assert.Len(t, s, 5)
	assert.Equal(t, "\nstack of thread \"default-1\" (most recent call last):\n"+
		"  File \"/app/caf\\xe9 a.py\", line ???, in <listcomp>\n"+
		"  File \"/usr/lib/python3.14/threading.py\", line 369, in wait",
		s.of(0x7f31c0ff96c0, "default-1"))
	assert.Equal(t, "\nstack of thread (most recent call last):\n  ...\n"+
		"  File ???, line 3, in ???", s.of(0x7f31c17fa6c0, ""))
	assert.Equal(t, []string{"  <no Python frame>"}, s[0x7f31c1ffb6c0])
	assert.Equal(t, []string{"  Garbage-collecting"}, s[0x7f31c27fc6c0])
	assert.Equal(t, "\nit runs no Python code", s.of(0x7f31c2ffd6c0, ""))
	assert.Equal(t, "\nits Python stack cannot be had", s.of(1, ""))
}

// Whatever is read, and wherever it was cut off.
func TestParseStacksCut(t *testing.T) {
	const text = "Thread 0x1 (most recent call first):\n  File \"a.py\", line 12 in f\n" +
		"  File \"a.py\", line 34 in g\n"
	for n := range len(text) {
		for _, frame := range parseStacks(text[:n])[1] {
			assert.Contains(t, []string{"  File \"a.py\", line 12, in f", "  File \"a.py\", line 34, in g"},
				frame, "half a line")
		}
	}
	assert.Empty(t, parseStacks("  File \"a.py\", line 1 in f\n"), "of no thread")
	assert.Empty(t, parseStacks("Thread 0xffffffffffffffffffff:\nrubbish\n")[0])
}
