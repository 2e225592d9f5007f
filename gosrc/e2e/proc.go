//go:build e2e

// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What /proc tells.  A process that has gone has nothing to tell: all of these
// return zero values then.

func procFile(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return string(text)
}

func commandLine(pid int) string {
	return strings.TrimSpace(strings.ReplaceAll(procFile(pid, "cmdline"), "\x00", " "))
}

// alive says that a process has not ended.
func alive(pid int) bool { return commandLine(pid) != "" }

// statFields returns /proc/pid/stat from its third field, the state, on: the
// second may hold anything.
func statFields(pid int) []string {
	text := procFile(pid, "stat")
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

func statField(pid, field int) int {
	fields := statFields(pid)
	if len(fields) <= field-3 {
		return 0
	}
	n, _ := strconv.Atoi(fields[field-3])
	return n
}

// parent, session: fields 4 and 6 of stat.
func parent(pid int) int  { return statField(pid, 4) }
func session(pid int) int { return statField(pid, 6) }

// cpuTime is what a process has used, of which the kernel counts 100 parts a
// second.
func cpuTime(pid int) time.Duration {
	return time.Duration(statField(pid, 14)+statField(pid, 15)) * 10 * time.Millisecond
}

// rss is a process's resident memory in bytes.
func rss(pid int) int {
	fields := strings.Fields(procFile(pid, "statm"))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

// threads is how many a process has.
func threads(pid int) int { return statField(pid, 20) }

func allPIDs() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	pids := make([]int, 0, len(dirs))
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func children(pid int) []int {
	var found []int
	for _, other := range allPIDs() {
		if parent(other) == pid {
			found = append(found, other)
		}
	}
	return found
}

// sessionPIDs returns the processes of a session, ended ones that nobody has
// waited for included.
func sessionPIDs(sid int) []int {
	var found []int
	for _, pid := range allPIDs() {
		if session(pid) == sid {
			found = append(found, pid)
		}
	}
	return found
}

func sessionMembers(sid int) []string {
	var found []string
	for _, pid := range sessionPIDs(sid) {
		found = append(found, fmt.Sprintf("%d %s", pid, commandLine(pid)))
	}
	return found
}

// fdLinks returns what the descriptors of a process are.
func fdLinks(pid int) map[int]string {
	links := map[int]string{}
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range paths {
		fd, _ := strconv.Atoi(filepath.Base(path))
		if link, err := os.Readlink(path); err == nil {
			links[fd] = link
		}
	}
	return links
}

// listeningInodes returns "socket:[inode]" of the sockets that listen.
func listeningInodes(pid int) map[string]bool {
	found := map[string]bool{}
	add := func(file string, state, inode int, listening string) {
		for _, line := range strings.Split(procFile(pid, file), "\n") {
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listening {
				found["socket:["+f[inode]+"]"] = true
			}
		}
	}
	add("net/tcp", 3, 9, "0A")
	add("net/tcp6", 3, 9, "0A")
	add("net/unix", 3, 6, "00010000")
	return found
}

func readFile(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// oDirect is Linux's O_DIRECT, which differs between architectures.
const oDirect = int64(syscall.O_DIRECT)
