package main

import (
	"fmt"
	"io"
	"slices"
)

// A goal is what geerpc has to reach in a cell: must is a multiple of the best
// of the rivals, aim of the best of all that have a serializer or none.
type goal struct {
	work      string
	callers   string
	rivals    []string
	must, aim float64
	ofLimit   float64 // aim as well, as a part of the raw echo; 0: none
}

// Those that the goals are measured against: arpc's raw rows run handlers
// where a slow one blocks the others, so that they only count for the aim.
var (
	fastRivals = []string{"kitex", "kitex-pool", "gorpc", "gorpc-best"}
	allRivals  = []string{"netrpc", "netrpc-json", "grpc", "kitex", "kitex-pool", "rpcx", "arpc", "arpc-raw", "arpc-best", "gorpc", "gorpc-best", "ttrpc", "drpc"}
)

var goals = []goal{
	{small, "1", allRivals, 0.95, 1, 1 / 1.25},
	{small, "16", fastRivals, 1.3, 2, 0},
	{small, "128", fastRivals, 1.5, 2.5, 1.0 / 2},
	{small, "1024", fastRivals, 1.5, 2.5, 1.0 / 3},
	{small, "128x4", fastRivals, 2, 3, 0},
	{kibi, "16", fastRivals, 1.25, 2, 0},
	{kibi, "128", fastRivals, 1.25, 2, 0},
	{kibi, "1024", fastRivals, 1.25, 2, 0},
	{kibi, "128x4", fastRivals, 1.25, 2, 0},
}

// reportReach prints how far geerpc has come, if it and rivals were measured.
func (r *results) reportReach(w io.Writer) {
	if !slices.Contains(r.Libraries, "geerpc") {
		return
	}
	fmt.Fprint(w, "\n### Reach: geerpc's calls/s as a multiple\n\n"+
		"| work | callers | of the better of gorpc and kitex | must | of the best of all | aim | of the limit | aim | p99 / least p99 of others |\n"+
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, g := range goals {
		for _, c := range r.cellsOf(g.work) {
			if c.String() == g.callers {
				r.reportGoal(w, g, c)
			}
		}
	}
	for _, c := range r.cellsOf(small) {
		if s := r.ratio(c, "geerpc-framed", "raw"); s.n > 0 && c.String() == "128" {
			fmt.Fprintf(w, "\ngeerpc-framed at 128 callers: %s of the limit, must be 0.67.\n", s.format(twoDecimals))
		}
		timedCell := cell{timed, c.Callers, c.Conns}
		if s := r.ratioOf(timedCell, "geerpc", c, "geerpc"); s.n > 0 && c.String() == "128" {
			fmt.Fprintf(w, "\ngeerpc with a deadline at 128 callers: %s of the same without, must be 0.75, aim 0.90.\n", s.format(twoDecimals))
		}
	}
}

func (r *results) reportGoal(w io.Writer, g goal, c cell) {
	cellText := func(rivals []string) string {
		best := r.best(c, rivals)
		if best == "" {
			return "–"
		}
		return fmt.Sprintf("%s %s", r.ratio(c, "geerpc", best).format(twoDecimals), best)
	}
	limit := "–"
	if g.ofLimit > 0 {
		limit = twoDecimals(g.ofLimit)
	}
	p99 := "–"
	if best, lib := r.leastP99(c); lib != "" {
		ours := r.of(c, "geerpc", func(one run) float64 { return one.P99 })
		p99 = fmt.Sprintf("%.0f / %.0f %s", ours.median, best, lib)
	}
	fmt.Fprintf(w, "| %s | %v | %s | %s | %s | %s | %s | %s | %s |\n", g.work, c,
		cellText(g.rivals), twoDecimals(g.must), cellText(allRivals), twoDecimals(g.aim),
		r.ratio(c, "geerpc", "raw").format(twoDecimals), limit, p99)
}

// best returns which of the libraries has the highest median.
func (r *results) best(c cell, libs []string) (name string) {
	most := 0.0
	for _, lib := range libs {
		if s := r.of(c, lib, func(one run) float64 { return one.PerSec }); s.median > most {
			name, most = lib, s.median
		}
	}
	return name
}

// leastP99 returns which of the others has the lowest 99th percentile.
func (r *results) leastP99(c cell) (least float64, name string) {
	for _, lib := range allRivals {
		s := r.of(c, lib, func(one run) float64 { return one.P99 })
		if s.n > 0 && (name == "" || s.median < least) {
			name, least = lib, s.median
		}
	}
	return least, name
}

func twoDecimals(v float64) string { return fmt.Sprintf("%.2f", v) }
