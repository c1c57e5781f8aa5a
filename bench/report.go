package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
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
	fmt.Fprintf(w, "%s, %s, %d CPUs, %s; ", r.GoVersion, r.Platform, r.CPUs, r.Date.Format("2006-01-02"))
	if rounds < claimRounds {
		fmt.Fprintf(w, "rounds: %d, of %s. **That is enough to see that it works, and too little to compare.**\n", rounds, r.Window)
	} else {
		fmt.Fprintf(w, "medians of %d interleaved runs of %s, with the least and the most.\n", rounds, r.Window)
	}
	r.sideBySide(w)
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
			if l, err := find(lib); err == nil && l.writesUncounted {
				return "–"
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

// compared is what stands side by side in the first table and in the chart.
var compared = []struct{ work, callers string }{
	{small, "1"}, {orders, "1"}, {kibi64, "1"},
	{small, "16"}, {orders, "16"}, {kibi64, "16"},
	{small, "128"}, {orders, "128"}, {mebi, "4"},
}

// comparedCells returns those of them that were measured.
func (r *results) comparedCells() (cells []cell) {
	for _, one := range compared {
		for _, c := range r.cellsOf(one.work) {
			if c.String() == one.callers {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// sideBySide prints a row for each library and a column for each work and number of
// callers.
func (r *results) sideBySide(w io.Writer) {
	cells := r.comparedCells()
	slices.SortStableFunc(cells, func(a, b cell) int {
		return cmp.Compare(slices.Index(workNames(), a.Work), slices.Index(workNames(), b.Work))
	})
	fmt.Fprint(w, "\n### Side by side: calls/s as a multiple of net/rpc\n\n| |")
	for _, c := range cells {
		fmt.Fprintf(w, " %s, %v |", c.Work, c)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(cells)))
	for _, lib := range r.Libraries {
		fmt.Fprintf(w, "| %s |", lib)
		for _, c := range cells {
			text := "–"
			if s := r.ratio(c, lib, base); s.n > 0 {
				text = twoDecimals(s.median)
			}
			fmt.Fprintf(w, " %s |", text)
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
