package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A goal is what geerpc has to reach in a cell: must and aim are multiples of the best of
// the rivals; 0 is none.
type goal struct {
	ours      string
	work      string
	callers   string
	rivals    []string // at the same work, but that with a deadline is held against small
	must, aim float64
}

// Those that the goals are measured against. The raw rows of arpc run handlers where a
// slow one blocks the others, so that they only count for an aim.
var (
	netRPCOnly = []string{base}
	netJSON    = []string{"netrpc-json"}
	fast       = []string{"kitex", "kitex-pool", "gorpc", "gorpc-best"}
	others     = []string{"netrpc", "netrpc-json", "grpc", "kitex", "kitex-pool", "rpcx", "arpc", "arpc-raw", "arpc-best", "gorpc", "gorpc-best", "ttrpc", "drpc"}
	shared     = []string{"grpc", "kitex", "rpcx", "arpc", "gorpc", "gorpc-best", "ttrpc", "drpc"} // whose callers share a connection
	limit      = []string{"raw"}
)

var goals = []goal{
	{"geerpc", small, "1", others, 0.95, 1},
	{"geerpc", small, "1", limit, 0, 1 / 1.25},
	{"geerpc", small, "16", fast, 1.3, 0},
	{"geerpc", small, "16", others, 0, 2},
	{"geerpc", small, "128", fast, 1.5, 0},
	{"geerpc", small, "128", others, 0, 2.5},
	{"geerpc", small, "128", limit, 0, 1.0 / 2},
	{"geerpc", small, "1024", fast, 1.5, 0},
	{"geerpc", small, "1024", others, 0, 2.5},
	{"geerpc", small, "1024", limit, 0, 1.0 / 3},
	{"geerpc", small, "128x4", fast, 2, 0},
	{"geerpc", small, "128x4", others, 0, 3},
	{"geerpc-framed", small, "128", limit, 2.0 / 3, 0},

	{"geerpc", kibi, "16", fast, 1.25, 0},
	{"geerpc", kibi, "16", others, 0, 2},
	{"geerpc", kibi, "128", fast, 1.25, 0},
	{"geerpc", kibi, "128", others, 0, 2},
	{"geerpc", kibi, "1024", fast, 1.25, 0},
	{"geerpc", kibi, "1024", others, 0, 2},
	{"geerpc", kibi, "128x4", fast, 1.25, 0},
	{"geerpc", kibi, "128x4", others, 0, 2},

	{"geerpc", orders, "1", netRPCOnly, 1.4, 1.7},
	{"geerpc", orders, "1", []string{"kitex"}, 1.4, 1.7},
	{"geerpc", orders, "16", netRPCOnly, 2.5, 4},
	{"geerpc", orders, "16", shared, 2, 0},
	{"geerpc", orders, "128", netRPCOnly, 2.5, 4},
	{"geerpc", orders, "128", shared, 2, 0},

	{"geerpc", kibi64, "1", netRPCOnly, 1.2, 0},
	{"geerpc", kibi64, "1", others, 1, 0},
	{"geerpc", kibi64, "1", limit, 0, 1.0 / 2},
	{"geerpc", kibi64, "16", netRPCOnly, 1.4, 0},
	{"geerpc", kibi64, "16", others, 1, 0},
	{"geerpc", kibi64, "16", limit, 0, 1.0 / 2},
	{"geerpc", mebi, "4", netRPCOnly, 1.4, 0},
	{"geerpc", mebi, "4", others, 1, 0},
	{"geerpc", mebi, "4", limit, 0, 1.0 / 2},

	{"geerpc-json", small, "16", netJSON, 2, 4},
	{"geerpc-json", small, "128", netJSON, 2, 4},
	{"geerpc-json", orders, "1", netJSON, 1.3, 0},
	{"geerpc-json", orders, "16", netJSON, 1.3, 0},
	{"geerpc-json", orders, "128", netJSON, 1.3, 0},

	{"geerpc", timed, "128", []string{"geerpc"}, 0.75, 0.9},
}

// reportReach prints how far geerpc has come, if it and rivals were measured.
func (r *results) reportReach(w io.Writer) {
	if !slices.Contains(r.Libraries, "geerpc") {
		return
	}
	fmt.Fprint(w, "\n### Reach: calls/s as a multiple of the best of some others\n\n"+
		"| work | callers | library | multiple | of | must | aim |\n|---|---|---|---|---|---|---|\n")
	for _, g := range goals {
		for _, c := range r.cellsOf(g.work) {
			if c.String() == g.callers {
				r.reportGoal(w, g, c)
			}
		}
	}
}

// reportGoal prints a row. What was not reached is in bold.
func (r *results) reportGoal(w io.Writer, g goal, c cell) {
	rivalCell, of := c, ""
	if g.work == timed {
		rivalCell.Work, of = small, ", "+small
	}
	best := r.best(rivalCell, g.rivals)
	s := r.ratioOf(c, g.ours, rivalCell, best)
	if s.n == 0 {
		return
	}
	wanted := func(least float64) string {
		switch text := twoDecimals(least); {
		case least == 0:
			return "–"
		case s.median < least:
			return "**" + text + "**"
		default:
			return text
		}
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", g.work, strings.Replace(c.String(), "x", " on ", 1), g.ours,
		s.format(twoDecimals), best+of, wanted(g.must), wanted(g.aim))
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

func twoDecimals(v float64) string { return fmt.Sprintf("%.2f", v) }
