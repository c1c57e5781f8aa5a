package callstats

import (
	"sync/atomic"
	"time"

	"geerpc/internal/latency"
)

// A Span is how far back a Window looks.
type Span int

// The spans.
const (
	Minute Span = iota
	Hour
	Day
	spans
)

// A span consists of slots, of which the last is under way.
const slots = 30

var slotLengths = [spans]time.Duration{2 * time.Second, 2 * time.Minute, 48 * time.Minute}

// String returns "minute", "hour" or "day".
func (s Span) String() string { return [...]string{"minute", "hour", "day"}[s] }

// Length returns how long the span is, and how long each of its slots.
func (s Span) Length() (whole, slot time.Duration) { return slots * slotLengths[s], slotLengths[s] }

// A ring has the last slots of a span. It costs next to nothing for a method that is not
// called.
type ring struct {
	began   bool
	current time.Duration    // the number of the slot that is under way: a time, in slot lengths
	before  *[counters]int64 // the counters when it began; nil: zeros
	ended   [slots]slot      // by their numbers modulo slots
}

// A slot says by how much counters have grown in its time.
type slot struct {
	number time.Duration
	grown  []growth
}

type growth struct {
	counter uint16
	by      int64
}

// turn ends the slot that is under way if a later one has the number now. What is counted
// before the next turn belongs to that. A number that has passed is of a goroutine that has
// read the clock before another one turned the ring.
func (r *ring) turn(now time.Duration, counts *[counters]atomic.Int64) {
	if r.began && now <= r.current {
		return
	}
	if r.began {
		grown := r.growth(counts)
		r.ended[index(r.current)] = slot{r.current, grown}
		if r.before == nil && len(grown) > 0 {
			r.before = new([counters]int64)
		}
		for _, g := range grown { // the counters may have grown on
			r.before[g.counter] += g.by
		}
	}
	r.began, r.current = true, now
}

// divide rounds down, even below zero, where a clock may be.
func divide(a, b time.Duration) (quotient, remainder time.Duration) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		return quotient - 1, remainder + b
	}
	return quotient, remainder
}

func index(number time.Duration) int {
	_, i := divide(number, slots)
	return int(i)
}

// growth returns by how much counters have grown since the last turn. It reads failures
// first, or one could be counted whose call is not.
func (r *ring) growth(counts *[counters]atomic.Int64) (list []growth) {
	for i := counters - 1; i >= 0; i-- {
		n := counts[i].Load()
		if r.before != nil {
			n -= r.before[i]
		}
		if n != 0 {
			list = append(list, growth{uint16(i), n})
		}
	}
	return list
}

// addTo adds all slots of a span to w, which ends in the current slot.
func (r *ring) addTo(w *Window, counts *[counters]atomic.Int64) {
	for _, s := range r.ended {
		if age := r.current - s.number; age < slots && len(s.grown) > 0 {
			w.add(s.grown, slots-1-int(age))
		}
	}
	w.add(r.growth(counts), slots-1)
}

// A Window is what has become of the calls of a span.
type Window struct {
	Span    Span
	Covered time.Duration      // how long the span is: the last slot is under way
	Calls   int64              // that have ended
	Errors  int64              // of these: failed
	ByCode  [Codes]int64       // the errors; that of code 0 is not used
	Latency *latency.Histogram // of the calls that ran
	Slots   [slots]SlotCounts  // oldest first
}

// SlotCounts are the calls that have ended in a slot.
type SlotCounts struct{ Calls, Errors int64 }

// NewWindow returns a Window without calls.
func NewWindow(now time.Duration, span Span) *Window {
	whole, slot := span.Length()
	_, underWay := divide(now, slot)
	return &Window{Span: span, Covered: whole - slot + underWay, Latency: latency.New(scale)}
}

func (w *Window) add(grown []growth, slot int) {
	at := &w.Slots[slot]
	for _, g := range grown {
		switch c := int(g.counter); {
		case c >= byCode:
			w.ByCode[c-byCode] += g.by
			w.Errors += g.by
			at.Errors += g.by
		case c < untimed:
			w.Latency.Counts[c] += g.by
			fallthrough
		default:
			w.Calls += g.by
			at.Calls += g.by
		}
	}
}

// ErrorsByCode returns how many errors there were of each code, by its name.
func (w *Window) ErrorsByCode(name func(code uint8) string) map[string]int64 {
	errors := make(map[string]int64)
	for code, n := range w.ByCode {
		if n != 0 {
			errors[name(uint8(code))] = n
		}
	}
	return errors
}

// Merge adds what has become of the calls of another method, in the same span.
func (w *Window) Merge(other *Window) {
	w.Calls += other.Calls
	w.Errors += other.Errors
	for i, n := range other.ByCode {
		w.ByCode[i] += n
	}
	w.Latency.Merge(other.Latency)
	for i, s := range other.Slots {
		w.Slots[i].Calls += s.Calls
		w.Slots[i].Errors += s.Errors
	}
}

// PerSecond returns how many calls have ended in a second, of a server that has been up
// for some time.
func (w *Window) PerSecond(up time.Duration) float64 {
	return float64(w.Calls) / max(min(w.Covered, up).Seconds(), 1)
}
