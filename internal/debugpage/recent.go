package debugpage

import (
	"cmp"
	"slices"
	"time"

	"geerpc/internal/callstats"
)

// Recent is what has become of calls lately: in the last minute, hour and day.
type Recent struct {
	Minute Window `json:"last_minute"`
	Hour   Window `json:"last_hour"`
	Day    Window `json:"last_day"`
}

// In returns the window of a span.
func (r *Recent) In(span callstats.Span) *Window {
	return [...]*Window{&r.Minute, &r.Hour, &r.Day}[span]
}

// A Window is what has become of calls in a span. Latencies are in seconds, and 0 if no
// call has run.
type Window struct {
	Calls     int64            `json:"calls"` // that have ended
	Errors    int64            `json:"errors"`
	ByCode    map[string]int64 `json:"errors_by_code"`
	PerSecond float64          `json:"calls_per_second"`
	P50       float64          `json:"p50_seconds"`
	P90       float64          `json:"p90_seconds"`
	P99       float64          `json:"p99_seconds"`
	P999      float64          `json:"p999_seconds"`
	Rate      []int64          `json:"rate"` // calls in each thirtieth of the span, oldest first

	stats *callstats.Window
}

func newWindow(w *callstats.Window, up time.Duration, codeName func(uint8) string) Window {
	v := Window{Calls: w.Calls, Errors: w.Errors, ByCode: w.ErrorsByCode(codeName), PerSecond: w.PerSecond(up), stats: w}
	for _, q := range []struct {
		to    *float64
		share float64
	}{{&v.P50, 0.5}, {&v.P90, 0.9}, {&v.P99, 0.99}, {&v.P999, 0.999}} {
		*q.to = w.Latency.Quantile(q.share).Seconds()
	}
	for _, s := range w.Slots {
		v.Rate = append(v.Rate, s.Calls)
	}
	return v
}

// A CodeCount is how many calls have failed with a code.
type CodeCount struct {
	Code  string
	Count int64
	Fault bool // the server's, not the caller's
}

// Codes returns the errors by their codes, those first that are the server's fault, then
// the most frequent.
func (w *Window) Codes() (list []CodeCount) {
	for name, n := range w.ByCode {
		list = append(list, CodeCount{name, n, isFault(name)})
	}
	slices.SortFunc(list, func(a, b CodeCount) int {
		if a.Fault != b.Fault {
			if a.Fault {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return list
}

// Faults returns how many errors are the server's fault.
func (w *Window) Faults() (n int64) {
	for _, c := range w.Codes() {
		if c.Fault {
			n += c.Count
		}
	}
	return n
}

// Failing reports whether somebody should look: errors are the server's fault, or half of
// the calls fail.
func (w *Window) Failing() bool {
	return w.Faults() > 0 || w.Calls >= 10 && w.Errors >= w.Calls/2
}

// isFault reports whether a call that ends with a code says something of the server. Other
// codes say that the caller has asked for what it can't have, or has left, and
// "unknown" is that of a method's own error.
func isFault(code string) bool {
	return slices.Contains([]string{"deadline exceeded", "resource exhausted", "internal", "unavailable", "data loss"}, code)
}

// Complete adds what has become of calls lately. Now is by the clock of the recorders.
func (i *Info) Complete(now time.Duration, codeName func(uint8) string) {
	up := time.Duration(i.UptimeSeconds * float64(time.Second))
	for span := callstats.Minute; span <= callstats.Day; span++ {
		all := callstats.NewWindow(now, span)
		for _, s := range i.Services {
			for m := range s.Methods {
				method := &s.Methods[m]
				w := method.Stats.Window(now, span)
				*method.In(span) = newWindow(w, up, codeName)
				all.Merge(w)
			}
		}
		*i.In(span) = newWindow(all, up, codeName)
	}
	for _, s := range i.Services {
		for m := range s.Methods {
			s.Methods[m].Samples = SamplesOf(s.Methods[m].Stats, codeName)
		}
	}
}

// SamplesOf returns the calls that a recorder has kept.
func SamplesOf(r *callstats.Recorder, codeName func(uint8) string) []Sample {
	list := []Sample{}
	for _, s := range r.Samples() {
		list = append(list, Sample{s.At, s.Took.Seconds(), codeName(s.Code), s.Peer, s.Error, s.Trace})
	}
	return list
}
