// Copyright (C) the ngx_wsgi authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// report is what -json prints.
type report struct {
	Date        string   `json:"date"`
	Machine     string   `json:"machine"`
	Nginx       string   `json:"nginx"`
	Python      string   `json:"python"`
	Load        string   `json:"load_average"` // of the machine, before the run
	Connections int      `json:"connections"`
	Threads     int      `json:"threads"`
	Rounds      int      `json:"rounds"`
	Seconds     float64  `json:"seconds"`
	Rows        []row    `json:"cases"`
	Transfers   []row    `json:"transfers"`
	Skipped     []string `json:"skipped,omitempty"`
}

// row is what has been found of one case.
type row struct {
	Name     string   `json:"name"`
	What     string   `json:"what"`
	CPU      spread   `json:"cpu_us"`
	PerMB    spread   `json:"cpu_us_mb"`
	Ratio    spread   `json:"ratio"`
	Switches spread   `json:"switches"`
	Rate     spread   `json:"requests_s"`
	MBps     spread   `json:"mb_s"`
	P50      spread   `json:"p50_ms"`
	P99      spread   `json:"p99_ms"`
	RSS      int64    `json:"rss_bytes"`
	Over     int64    `json:"rss_over_nginx_bytes"`
	Samples  []sample `json:"samples"`
}

func newRow(c, base *contender) row {
	of := func(f func(sample) float64) spread { return spreadOf(c.samples, f) }
	r := row{
		Name: c.Name, What: c.What, RSS: c.rss, Over: c.rss - base.rss, Samples: c.samples,
		CPU:      of(func(s sample) float64 { return s.CPU }),
		PerMB:    of(func(s sample) float64 { return s.PerMB }),
		Ratio:    of(func(s sample) float64 { return s.Ratio }),
		Switches: of(func(s sample) float64 { return s.Switches }),
		Rate:     of(func(s sample) float64 { return s.Rate }),
		MBps:     of(func(s sample) float64 { return s.MBps }),
		P50:      of(func(s sample) float64 { return s.P50 }),
		P99:      of(func(s sample) float64 { return s.P99 }),
	}
	if c == base {
		cost := of(c.cost)
		r.Ratio = spread{Median: 1, Min: cost.Min / cost.Median, Max: cost.Max / cost.Median}
	}
	return r
}

func newReport(o options, f *fleet) report {
	return report{
		Date: time.Now().UTC().Format("2006-01-02"), Machine: machine(),
		Nginx:       strings.TrimPrefix(said(f.workshop.nginx, "-v"), "nginx version: "),
		Python:      said(os.Getenv("NWSGI_PYTHON"), "-V"),
		Load:        f.workshop.load,
		Connections: o.connections, Threads: o.threads,
		Rounds: o.rounds, Seconds: o.duration.Seconds(), Skipped: f.skipped,
	}
}

// add puts what a bench has found into the table of its kind.
func (r *report) add(b *bench) {
	rows := &r.Rows
	if b.base.Transfer {
		rows = &r.Transfers
	}
	for _, c := range append([]*contender{b.base}, b.others...) {
		*rows = append(*rows, newRow(c, b.base))
	}
}

// said returns what a program says of itself, on one line.
func said(program string, args ...string) string {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

func machine() string {
	model := "unknown CPU"
	for _, line := range strings.Split(read("/proc/cpuinfo"), "\n") {
		if name, value, found := strings.Cut(line, ":"); found && strings.HasPrefix(name, "model name") {
			model = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), model, runtime.GOARCH)
}

func (r report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

var (
	requestHeads = []string{"case", "CPU µs", "× return 200", "req/s", "p50 ms", "p99 ms",
		"switches", "RSS MB", "over nginx"}
	transferHeads = []string{"case", "CPU µs/MB", "× 100 MB file", "MB/s", "switches",
		"RSS MB", "over nginx"}
)

// markdown writes the tables, which read as well on a terminal.
func (r report) markdown(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s\n%s%s%s", r.head(),
		tableOf(requestHeads, r.Rows, row.requestCells),
		tableOf(transferHeads, r.Transfers, row.transferCells), r.tail())
	return err
}

// tableOf returns a table with an empty line before it, and nothing for no rows.
func tableOf(heads []string, rows []row, cells func(row) []string) string {
	if len(rows) == 0 {
		return ""
	}
	table := [][]string{heads}
	for _, r := range rows {
		table = append(table, cells(r))
	}
	return "\n" + align(table)
}

func (r report) head() string {
	return fmt.Sprintf("%s, %s, %s, %s, load average %s before the run.\n"+
		"One worker, %d threads, %d connections; medians of %d rounds of %g s, "+
		"of the ratio also the least and the greatest.", r.Date, r.Machine, r.Nginx,
		r.Python, r.Load, r.Threads, r.Connections, r.Rounds, r.Seconds)
}

func (r row) requestCells() []string {
	return append([]string{
		r.What,
		fmt.Sprintf("%.1f", r.CPU.Median),
		r.Ratio.String(),
		fmt.Sprintf("%.0f", r.Rate.Median),
		fmt.Sprintf("%.2f", r.P50.Median),
		fmt.Sprintf("%.2f", r.P99.Median),
		fmt.Sprintf("%.2f", r.Switches.Median),
	}, r.memoryCells()...)
}

func (r row) transferCells() []string {
	return append([]string{
		r.What,
		fmt.Sprintf("%.1f", r.PerMB.Median),
		r.Ratio.String(),
		fmt.Sprintf("%.0f", r.MBps.Median),
		fmt.Sprintf("%.1f", r.Switches.Median),
	}, r.memoryCells()...)
}

func (r row) memoryCells() []string {
	over := "-"
	if r.Over != 0 {
		over = fmt.Sprintf("%.1f", float64(r.Over)/1e6)
	}
	return []string{fmt.Sprintf("%.1f", float64(r.RSS)/1e6), over}
}

// What the project wants of the hello application and of a file.
const (
	aimRatio = 2.2
	aimRSS   = 20e6
	aimFile  = 1.1
)

// tail says whether the aims were met, and what was left out.
func (r report) tail() string {
	var b strings.Builder
	for _, row := range r.Rows {
		if row.Name == "hello" {
			fmt.Fprintf(&b, "\nhello: %s the CPU of `return 200`; %s over plain nginx.\n",
				aim(row.Ratio.Median, aimRatio, "%.2f times"),
				aim(float64(row.Over)/1e6, aimRSS/1e6, "%.1f MB"))
		}
	}
	for _, row := range r.Transfers {
		if row.Name == "wrapper" {
			fmt.Fprintf(&b, "\nfile_wrapper: %s the CPU of nginx's own file.\n",
				aim(row.Ratio.Median, aimFile, "%.2f times"))
		}
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "\nskipped: %s\n", s)
	}
	return b.String()
}

func aim(value, limit float64, format string) string {
	verdict := "met"
	if value > limit {
		verdict = "missed"
	}
	return fmt.Sprintf(format+" (aim "+format+": %s)", value, limit, verdict)
}

// align pads the cells of a markdown table.
func align(table [][]string) string {
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}

	var b strings.Builder
	for n, cells := range table {
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("| " + cell + pad)
			} else {
				b.WriteString(" | " + pad + cell)
			}
		}
		b.WriteString(" |\n")
		if n == 0 {
			b.WriteString("|" + strings.Repeat("-", widths[0]+2))
			for _, width := range widths[1:] {
				b.WriteString("|" + strings.Repeat("-", width+1) + ":")
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
