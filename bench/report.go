package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// base is what the others are measured by.
const base = "netrpc"

// claimRounds is how many rounds it takes to say that something is reached: on a
// shared machine fewer say little.
const claimRounds = 7

// report prints everything as Markdown.
func (r *results) report(w io.Writer) {
	rounds := 0
	for _, one := range r.Runs {
		rounds = max(rounds, one.Round+1)
	}
	fmt.Fprintf(w, "%s, %s, %d CPUs, %s; medians of %d interleaved runs of %s, with the least and the most.\n",
		r.GoVersion, r.Platform, r.CPUs, r.Date.Format("2006-01-02"), rounds, r.Window)
	for _, work := range workNames() {
		cells := r.cellsOf(work)
		if len(cells) == 0 {
			continue
		}
		r.table(w, "Calls/s as a multiple of net/rpc", work, cells, func(c cell, lib string) string {
			return r.ratio(c, lib, base).format(twoDecimals)
		})
		r.table(w, "Calls/s", work, cells, func(c cell, lib string) string {
			return r.of(c, lib, func(one run) float64 { return one.PerSec }).format(thousands)
		})
		r.table(w, "Latency in µs, p50 / p99", work, cells, func(c cell, lib string) string {
			return r.pairOf(c, lib, 0, func(one run) (float64, float64) { return one.P50, one.P99 })
		})
		r.table(w, "CPU in µs a call, client / server", work, cells, func(c cell, lib string) string {
			return r.pairOf(c, lib, 1, func(one run) (float64, float64) { return one.Client.CPUMicros, one.Server.CPUMicros })
		})
		r.table(w, "Allocations a call, client / server", work, cells, func(c cell, lib string) string {
			return r.pairOf(c, lib, 1, func(one run) (float64, float64) { return one.Client.Allocs, one.Server.Allocs })
		})
		r.table(w, "Writes a call, client / server", work, cells, func(c cell, lib string) string {
			if r.of(c, lib, func(one run) float64 { return one.Client.Writes }).median == 0 {
				return "–" // it sends with another system call, which nobody counts
			}
			return r.pairOf(c, lib, 2, func(one run) (float64, float64) { return one.Client.Writes, one.Server.Writes })
		})
	}
	if rounds >= claimRounds {
		r.reportReach(w)
	}
	r.reportMemory(w)
	if len(r.Failures) > 0 {
		fmt.Fprintf(w, "\n### Failed\n\n- %s\n", strings.Join(r.Failures, "\n- "))
	}
	fmt.Fprint(w, "\n### What was run\n\n")
	for _, lib := range r.Libraries {
		fmt.Fprintf(w, "- %s: %s\n", lib, r.Notes[lib])
	}
}

func (r *results) cellsOf(work string) []cell {
	var cells []cell
	for _, c := range r.cells() {
		if c.Work == work {
			cells = append(cells, c)
		}
	}
	return cells
}

// table prints a row for each library and a column for each number of callers.
func (r *results) table(w io.Writer, title, work string, cells []cell, text func(c cell, lib string) string) {
	fmt.Fprintf(w, "\n### %s, %s\n\n| callers |", work, title)
	for _, c := range cells {
		fmt.Fprintf(w, " %s |", strings.Replace(c.String(), "x", " on ", 1))
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(cells)))
	for _, lib := range r.Libraries {
		fmt.Fprintf(w, "| %s |", lib)
		for _, c := range cells {
			fmt.Fprintf(w, " %s |", text(c, lib))
		}
		fmt.Fprintln(w)
	}
}

// pairOf returns the medians of two figures that belong together.
func (r *results) pairOf(c cell, lib string, decimals int, figures func(run) (float64, float64)) string {
	a := r.of(c, lib, func(one run) float64 { a, _ := figures(one); return a })
	b := r.of(c, lib, func(one run) float64 { _, b := figures(one); return b })
	if a.n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f / %.*f", decimals, a.median, decimals, b.median)
}

// format returns the median, and the least and the most if there are several.
func (s spread) format(number func(float64) string) string {
	switch s.n {
	case 0:
		return "–"
	case 1:
		return number(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.median), number(s.low), number(s.high))
}

func (r *results) reportMemory(w io.Writer) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintf(w, "\n### A connection on the server, KiB\n\n"+
		"| | connections | before its first call | heap + stacks | after %d calls | heap + stacks |\n|---|---|---|---|---|---|\n", memoryCalls)
	for _, m := range r.Memory {
		fmt.Fprintf(w, "| %s | %s | %.1f | %s | %.1f | %s |\n", m.Library, thousands(float64(m.Conns)),
			m.Idle.total()/1024, m.Idle, m.After.total()/1024, m.After)
	}
	fmt.Fprintf(w, "\n### What an idle connection keeps of one message of %.1f MB, KiB\n\n"+
		"| | on the server | heap + stacks | on the client | heap + stacks |\n|---|---|---|---|---|\n", largeMessage/1e6)
	for _, m := range r.Memory {
		fmt.Fprintf(w, "| %s | %.1f | %s | %.1f | %s |\n", m.Library,
			m.KeptServer.total()/1024, m.KeptServer, m.KeptClient.total()/1024, m.KeptClient)
	}
}

func (w weight) String() string {
	return fmt.Sprintf("%.1f + %.1f", w.Heap/1024, w.Stacks/1024)
}

// thousands writes a number without decimals, with commas.
func thousands(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
