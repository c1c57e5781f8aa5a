package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A cell is one row of the measurements: a kind of work, done by callers that
// share connections.
type cell struct {
	Work    string `json:"work"`
	Callers int    `json:"callers"`
	Conns   int    `json:"conns"`
}

func (c cell) String() string {
	if c.Conns == 1 {
		return strconv.Itoa(c.Callers)
	}
	return fmt.Sprintf("%dx%d", c.Callers, c.Conns)
}

// parseCells reads lists like "1,16,128x4": callers, and connections if it is
// not one. Empty: the callers that each work is measured with.
func parseCells(names, callers string) ([]cell, error) {
	var cells []cell
	for work := range strings.SplitSeq(names, ",") {
		list, known := callers, false
		for _, w := range works {
			if w.name == work {
				known = true
				list = cmp.Or(callers, w.callers)
			}
		}
		if !known {
			return nil, fmt.Errorf("unknown work %q", work)
		}
		for text := range strings.SplitSeq(list, ",") {
			c := cell{Work: work, Conns: 1}
			n, conns, several := strings.Cut(text, "x")
			var err error
			if c.Callers, err = strconv.Atoi(n); err == nil && several {
				c.Conns, err = strconv.Atoi(conns)
			}
			if err != nil || c.Conns < 1 || c.Callers < c.Conns {
				return nil, fmt.Errorf("callers %q: want a number, or callers x connections", text)
			}
			cells = append(cells, c)
		}
	}
	return cells, nil
}

// A plan is what to measure.
type plan struct {
	libs        []library
	cells       []cell
	rounds      int
	window      time.Duration // that is measured
	warmup      time.Duration // before it
	profiles    string        // folder for CPU profiles; empty: none
	memoryConns int           // 0: memory is not measured
}

// measure carries the plan out, and saves what there is after each cell. The
// libraries take turns within a round, and each round starts with another, so
// that no library has the better neighbour. One that fails is noted down.
func (p plan) measure(progress io.Writer, save func(*results) error) (*results, error) {
	res := newResults(p.libs, p.window)
	bar := progressBar{w: progress, total: len(p.cells) * p.rounds * len(p.libs), begin: time.Now()}
	for _, together := range p.groups() {
		for round := range p.rounds {
			for i := range p.libs {
				for _, c := range together {
					p.measureCell(res, &bar, p.libs[(i+round)%len(p.libs)], c, round)
				}
			}
		}
		if err := save(res); err != nil {
			return nil, err
		}
	}
	if p.memoryConns > 0 {
		p.measureMemory(progress, res)
	}
	return res, save(res)
}

// groups returns the cells in groups that are measured together: those of the work with
// a deadline, each with the same without.
func (p plan) groups() (groups [][]cell) {
	for _, c := range p.cells {
		without := cell{small, c.Callers, c.Conns}
		i := slices.IndexFunc(groups, func(g []cell) bool { return c.Work == timed && g[0] == without })
		if i < 0 {
			groups = append(groups, []cell{c})
		} else {
			groups[i] = append(groups[i], c)
		}
	}
	return groups
}

// measureCell measures one library once.
func (p plan) measureCell(res *results, bar *progressBar, library library, c cell, round int) {
	if !library.does(c.Work) {
		bar.skip()
		return
	}
	where := fmt.Sprintf("%-14s %6v callers, round %d: %-13s", c.Work, c, round+1, library.name)
	one, err := p.runOnce(library.name, c)
	if err != nil {
		res.Failures = append(res.Failures, fmt.Sprintf("%s %v", where, err))
		bar.step("%s FAILED: %v", where, err)
		return
	}
	one.Round = round
	res.Runs = append(res.Runs, one)
	bar.step("%s %10s calls/s, p99 %.0f µs", where, thousands(one.PerSec), one.P99)
}

// A progressBar says how far we are.
type progressBar struct {
	w           io.Writer
	done, total int
	begin       time.Time
}

// skip is a step that is not taken.
func (b *progressBar) skip() { b.total-- }

func (b *progressBar) step(format string, args ...any) {
	b.done++
	left := time.Since(b.begin) * time.Duration(b.total-b.done) / time.Duration(b.done)
	fmt.Fprintf(b.w, "[%*d/%d, %v left] %s\n",
		len(strconv.Itoa(b.total)), b.done, b.total, left.Round(time.Second), fmt.Sprintf(format, args...))
}

// runOnce measures a library in processes that have done nothing else.
func (p plan) runOnce(lib string, c cell) (run, error) {
	pair, err := startPair(order{Library: lib, Conns: c.Conns, Callers: c.Callers, Work: c.Work})
	if err != nil {
		return run{}, err
	}
	defer pair.end()
	if _, err := pair.client.do(order{Do: "run", Library: lib, Duration: p.warmup}); err != nil {
		return run{}, err
	}
	stop, err := p.startProfiles(pair, lib, c)
	if err != nil {
		return run{}, err
	}
	before, err := pair.usages()
	if err != nil {
		return run{}, err
	}
	got, err := pair.client.do(order{Do: "run", Library: lib, Duration: p.window})
	if err != nil {
		return run{}, err
	}
	after, err := pair.usages()
	if err != nil {
		return run{}, err
	}
	t := got.Tally
	return run{
		cell: c, Library: lib, Calls: t.Calls, PerSec: float64(t.Calls) / t.Elapsed.Seconds(),
		P50: micros(t.P50), P99: micros(t.P99),
		Client: after[0].since(before[0], t.Calls), Server: after[1].since(before[1], t.Calls),
	}, stop()
}

// usages measures client and server.
func (p pair) usages() (u [2]usage, err error) {
	for i, proc := range []*process{p.client, p.server} {
		a, err := proc.do(order{Do: "usage"})
		if err != nil {
			return u, err
		}
		u[i] = a.Usage
	}
	return u, nil
}

// startProfiles profiles both sides, if that is wanted, until stop is called.
// Of several rounds the last one's profiles stay.
func (p plan) startProfiles(pair pair, lib string, c cell) (stop func() error, err error) {
	if p.profiles == "" {
		return func() error { return nil }, nil
	}
	sides := map[string]*process{"client": pair.client, "server": pair.server}
	for side, proc := range sides {
		name := fmt.Sprintf("%s-%s-%v-%s.prof", lib, c.Work, c, side)
		path, err := filepath.Abs(filepath.Join(p.profiles, name))
		if err != nil {
			return nil, err
		}
		if _, err := proc.do(order{Do: "profile", Path: path}); err != nil {
			return nil, err
		}
	}
	return func() error {
		for _, proc := range sides {
			if _, err := proc.do(order{Do: "profile"}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
