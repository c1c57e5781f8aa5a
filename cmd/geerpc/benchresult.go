package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"geerpc"
	"geerpc/internal/latency"
)

// A tally is what has become of calls.
type tally struct {
	calls     int64              // all
	latencies *latency.Histogram // of calls that succeeded
	sum       time.Duration      // of these
	min, max  time.Duration      // of these
	failures  map[geerpc.Code]*failures
	elapsed   time.Duration
}

// The failures with one code.
type failures struct {
	count int64
	first error
}

func newTally() tally {
	return tally{latencies: latency.New(scale), min: math.MaxInt64, failures: make(map[geerpc.Code]*failures)}
}

// add counts a call.
func (t *tally) add(took time.Duration, err error) {
	t.calls++
	if err == nil {
		t.latencies.Add(took)
		t.sum += took
		t.min, t.max = min(t.min, took), max(t.max, took)
		return
	}
	t.fail(geerpc.CodeOf(err), failures{1, err})
}

func (t *tally) fail(code geerpc.Code, more failures) {
	f := t.failures[code]
	if f == nil {
		f = &failures{first: more.first}
		t.failures[code] = f
	}
	f.count += more.count
}

// merge adds what another tally has counted.
func (t *tally) merge(other *tally) {
	t.calls += other.calls
	t.latencies.Merge(other.latencies)
	t.sum += other.sum
	t.min, t.max = min(t.min, other.min), max(t.max, other.max)
	for code, f := range other.failures {
		t.fail(code, *f)
	}
}

func (t *tally) failed() (n int64) {
	for _, f := range t.failures {
		n += f.count
	}
	return n
}

// since returns the latencies that earlier does not have.
func (t *tally) since(earlier *tally) *latency.Histogram {
	h := latency.New(scale)
	for i := range h.Counts {
		h.Counts[i] = t.latencies.Counts[i] - earlier.latencies.Counts[i]
	}
	return h
}

// A result is what a benchmark has found, as it is in JSON. Durations are in nanoseconds.
type result struct {
	Method         string           `json:"method"`
	Callers        int              `json:"callers"`
	Connections    int              `json:"connections"`
	Seconds        float64          `json:"seconds"`
	Rate           float64          `json:"rate,omitempty"`
	Calls          int64            `json:"calls"`
	CallsPerSecond float64          `json:"calls_per_second"`
	Failed         int64            `json:"failed"`
	NotSent        int64            `json:"not_sent,omitempty"` // with a rate: due, and not sent when the time was up
	Latency        percentiles      `json:"latency_ns,omitempty"`
	Histogram      []bar            `json:"histogram,omitempty"`
	Errors         []failuresResult `json:"errors,omitempty"`
}

// percentiles are an object in JSON.
type percentiles []percentile

type percentile struct {
	name  string
	value time.Duration
}

// MarshalJSON implements json.Marshaler.
func (ps percentiles) MarshalJSON() ([]byte, error) {
	var fields []string
	for _, p := range ps {
		fields = append(fields, fmt.Sprintf("%q:%d", p.name, p.value))
	}
	return []byte("{" + strings.Join(fields, ",") + "}"), nil
}

// A bar is how many calls took so long.
type bar struct {
	From  time.Duration `json:"from_ns"`
	To    time.Duration `json:"to_ns"`
	Calls int64         `json:"calls"`
}

type failuresResult struct {
	Code    string `json:"code"`
	Calls   int64  `json:"calls"`
	Example string `json:"example"`
	Exit    int    `json:"exit"`
}

func newResult(b *benchmark, t tally) *result {
	r := &result{Method: b.serviceMethod, Callers: b.callers, Connections: b.conns, Seconds: t.elapsed.Seconds(), Rate: b.rate,
		Calls: t.calls, CallsPerSecond: float64(t.calls) / t.elapsed.Seconds(), Failed: t.failed()}
	if b.rate > 0 {
		due := int64(math.Ceil(b.rate * min(b.duration, t.elapsed).Seconds()))
		r.NotSent = max(due-t.calls, 0)
	}
	if succeeded := t.calls - r.Failed; succeeded > 0 {
		r.Latency = append(r.Latency, percentile{"min", t.min}, percentile{"mean", t.sum / time.Duration(succeeded)})
		for _, p := range []float64{50, 90, 99, 99.9, 99.99} {
			value := min(max(t.latencies.Quantile(p/100), t.min), t.max)
			r.Latency = append(r.Latency, percentile{fmt.Sprintf("p%v", p), value})
		}
		r.Latency = append(r.Latency, percentile{"max", t.max})
		r.Histogram = bars(t.latencies)
	}
	for _, code := range slices.Sorted(maps.Keys(t.failures)) {
		f := t.failures[code]
		r.Errors = append(r.Errors, failuresResult{code.String(), f.count, f.first.Error(), exitCode(f.first)})
	}
	return r
}

// bars sums up a histogram between 1, 2 and 5 times the powers of ten.
func bars(h *latency.Histogram) (list []bar) {
	current := bar{To: 1}
	for i, n := range h.Counts {
		for h.Low(i) >= current.To {
			if list = append(list, current); list[0].Calls == 0 {
				list = nil
			}
			current = bar{From: current.To, To: next125(current.To)}
		}
		current.Calls += n
	}
	list = append(list, current)
	for len(list) > 0 && list[len(list)-1].Calls == 0 {
		list = list[:len(list)-1]
	}
	return list
}

// next125 returns the number after d in the sequence 1, 2, 5, 10, 20, 50 and so on.
func next125(d time.Duration) time.Duration {
	power := time.Duration(1)
	for power*10 <= d {
		power *= 10
	}
	switch d / power {
	case 1:
		return 2 * power
	case 2:
		return 5 * power
	}
	return 10 * power
}

// show prints the result as text.
func (r *result) show(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s  callers: %d, connections: %d", r.Method, r.Callers, r.Connections)
	if r.Rate > 0 {
		fmt.Fprintf(&out, ", rate: %v calls/s", r.Rate)
	}
	fmt.Fprintf(&out, "\n\ncalls    %s in %.1f s: %s/s\nfailed   %s\n", grouped(r.Calls), r.Seconds, grouped(int64(r.CallsPerSecond)), grouped(r.Failed))
	if r.NotSent > 0 {
		fmt.Fprintf(&out, "not sent %s that were due when the time was up, and are not in the percentiles; more callers (-c) would send more\n", grouped(r.NotSent))
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&out, "  %s × %s, such as: %s\n", grouped(e.Calls), e.Code, e.Example)
	}
	if len(r.Latency) > 0 {
		fmt.Fprint(&out, "\nlatency\n")
	}
	for _, p := range r.Latency {
		fmt.Fprintf(&out, "  %-6s %9s\n", p.name, short(p.value))
	}
	r.showHistogram(&out)
	_, err := io.WriteString(w, out.String())
	return err
}

const barWidth = 40

func (r *result) showHistogram(out *strings.Builder) {
	if len(r.Histogram) == 0 {
		return
	}
	most := slices.MaxFunc(r.Histogram, func(a, b bar) int { return cmp.Compare(a.Calls, b.Calls) }).Calls
	fmt.Fprint(out, "\nhistogram\n")
	for _, b := range r.Histogram {
		width := int(math.Ceil(float64(b.Calls) / float64(most) * barWidth))
		line := fmt.Sprintf("  %6s to %6s %12s  %s", short(b.From), short(b.To), grouped(b.Calls), strings.Repeat("█", width))
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

// failure returns the error of a benchmark whose calls have failed.
func (r *result) failure(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if r.Failed == 0 {
		return nil
	}
	worst := slices.MaxFunc(r.Errors, func(a, b failuresResult) int { return cmp.Compare(a.Exit, b.Exit) })
	return &failure{exit: worst.Exit, err: fmt.Errorf("%s of %s failed", grouped(r.Failed), counted(r.Calls, "call", "calls"))}
}

// short returns a duration with three digits.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}

// counted writes a number with a word in its singular or plural.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes a number with commas.
func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
