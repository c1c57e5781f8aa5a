package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"geerpc"
)

// The names of the phases.
const (
	calm    = "calm"
	kill    = "kill"
	drain   = "drain"
	restart = "registry restart"
)

// promised is what report.promise checks.
const promised = `The promise, whatever happens to servers and registry:
  1. no call that is marked idempotent fails;
  2. no call at all fails when a server is drained or the registry restarts;
  3. no call that is not marked runs twice;
  4. one that a server is killed over may fail, and says then that it may have run.
`

// A report adds up what became of the calls.
type report struct {
	phases  []phase
	end     time.Time
	records []record
	runs    map[int]int // of orders, by id: how often the servers wrote them down
}

// A phase is a part of the show. Calls belong to that in which they ended.
type phase struct {
	name  string
	begin time.Time
}

// begin begins a phase.
func (r *report) begin(name string, now time.Time) {
	r.phases = append(r.phases, phase{name, now})
}

// A tally is what became of the calls of one phase.
type tally struct {
	name       string
	calls      int
	idempotent []error // failures of calls so marked
	others     []error // of those not
	maybe      int     // of others, those that say that they may have run
	twice      int     // orders that ran twice, or more often
	wrong      int     // orders that ran, or not, other than their caller was told
	took       []time.Duration
	gap        time.Duration // the longest without a success
}

// tallies adds up the phases, one by one.
func (r *report) tallies() []*tally {
	slices.SortFunc(r.records, func(a, b record) int { return a.end.Compare(b.end) })
	var all []*tally
	for i, p := range r.phases {
		first, last := i == 0, i == len(r.phases)-1
		end := r.end
		if !last {
			end = r.phases[i+1].begin
		}
		t, success := &tally{name: p.name}, p.begin
		for _, c := range r.records {
			if !first && c.end.Before(p.begin) || !last && !c.end.Before(end) {
				continue
			}
			if t.add(c, r.runs[c.id]); c.err == nil {
				t.gap, success = max(t.gap, c.end.Sub(success)), c.end
			}
		}
		t.gap = max(t.gap, end.Sub(success))
		slices.Sort(t.took)
		all = append(all, t)
	}
	return all
}

// add adds a call, which ran that often if it was an order.
func (t *tally) add(c record, runs int) {
	t.calls++
	t.took = append(t.took, c.took)
	if !c.placed {
		if c.err != nil {
			t.idempotent = append(t.idempotent, c.err)
		}
		return
	}
	ran := ranOf(c.err)
	if c.err != nil {
		t.others = append(t.others, c.err)
		if ran == geerpc.RanMaybe {
			t.maybe++
		}
	}
	switch {
	case runs > 1:
		t.twice++
	case runs == 0 && ran == geerpc.RanYes, runs == 1 && ran == geerpc.RanNever:
		t.wrong++
	}
}

// ranOf returns what a caller is told about whether a method ran.
func ranOf(err error) geerpc.Ran {
	var e *geerpc.Error
	switch {
	case err == nil:
		return geerpc.RanYes
	case errors.As(err, &e):
		return e.Ran
	}
	return geerpc.RanMaybe
}

// table returns the report for people to read.
func (r *report) table() string {
	var b strings.Builder
	line := "%-16s %7v %11v %7v %10v %7v %9v %9v %9v\n"
	fmt.Fprintf(&b, line, "", "", "failed:", "failed:", "of those:", "ran", "", "", "longest")
	fmt.Fprintf(&b, line, "phase", "calls", "idempotent", "others", "maybe ran", "twice", "p50", "p99", "gap")
	for _, t := range r.tallies() {
		fmt.Fprintf(&b, line, t.name, t.calls, len(t.idempotent), len(t.others), t.maybe, t.twice,
			millis(t.percentile(0.5)), millis(t.percentile(0.99)), millis(t.gap))
	}
	return b.String()
}

// legend explains the table.
const legend = `"longest gap" is the longest time in which no call succeeded, of all callers together.
`

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

// percentile returns how long a part of the calls took at most.
func (t *tally) percentile(part float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[int(math.Ceil(part*float64(len(t.took))))-1]
}

// promise returns nil if the promise was kept, or what was not.
func (r *report) promise() error {
	var broken []error
	for _, t := range r.tallies() {
		broken = append(broken, t.broken()...)
	}
	return errors.Join(broken...)
}

// broken returns what was not kept of the promise in a phase.
func (t *tally) broken() (broken []error) {
	say := func(format string, a ...any) {
		broken = append(broken, fmt.Errorf("the promise is broken: "+t.name+": "+format, a...))
	}
	if t.calls == 0 {
		say("no calls were made")
	}
	if n := len(t.idempotent); n > 0 {
		say("%d idempotent calls failed, the first with %w", n, t.idempotent[0])
	}
	if n := len(t.others); n > 0 && t.name != kill {
		say("%d calls failed that are not idempotent, the first with %w", n, t.others[0])
	} else if n > t.maybe {
		say("%d calls failed of which it is known whether they ran", n-t.maybe)
	}
	if t.twice > 0 {
		say("%d orders ran twice", t.twice)
	}
	if t.wrong > 0 {
		say("of %d orders the caller was told wrongly whether they ran", t.wrong)
	}
	return broken
}

// logName returns the name of the file in which the nth server writes.
func logName(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("orders-%d", n)) }

// readLogs returns how often each order ran, by what all servers, dead or
// alive, have written.
func readLogs(dir string) (map[int]int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "orders-*"))
	if err != nil {
		return nil, err
	}
	runs := make(map[int]int)
	for _, name := range names {
		if err := readLog(name, runs); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

func readLog(name string, runs map[int]int) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		runs[id]++
	}
	return lines.Err()
}
