// Package callstats remembers what has become of the calls of a method: how many there
// were in the last minute, hour and day, how long they took, with which codes they
// failed, and a few of the latest of each kind.
//
//	a call ends ──→ Record ──→ counters that only grow
//	                             │ when a slot's time is up, what they have grown by
//	                             ↓
//	                           a ring of slots for each span ──→ Window
//
// To record a call is a few atomic operations. Nothing else happens, and no timer runs,
// while nobody calls and nobody looks.
package callstats

import (
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/latency"
)

// scale has a microsecond as its unit: a method that takes less is quick, that is all.
var scale = latency.Scale{Shift: 10, Bits: 3}

// Codes is how many codes are told apart, 0 for success among them. Others are counted as
// the last.
const Codes = 18

// The counters of a Recorder.
const (
	timed    = 0           // calls by their latency: one for each bucket of scale
	untimed  = timed + 193 // calls that never ran
	byCode   = untimed + 1 // failures: one for each code; that of code 0 is not used
	counters = byCode + Codes
)

// A Recorder counts the calls of a method. It is safe for concurrent use. The zero
// Recorder is ready. All times that are called now come from one clock that never jumps.
type Recorder struct {
	counts [counters]atomic.Int64
	due    atomic.Int64 // when the current slot of the shortest span ends; 0: not known

	mu    sync.Mutex // guards rings
	rings [spans]ring

	samples samples
}

// Record counts a call that took some time and ended now with a code, 0 for success. It
// reports whether the call is one that Keep should be told of.
func (r *Recorder) Record(now, took time.Duration, code uint8) (keep bool) {
	r.count(now, timed+scale.Bucket(took), code)
	return r.samples.want(now, kindOf(took, code))
}

// RecordRefused counts a call that never ran.
func (r *Recorder) RecordRefused(now time.Duration, code uint8) (keep bool) {
	r.count(now, untimed, code)
	return r.samples.want(now, kindOf(0, code))
}

// RecordFailure counts the failure of a call that has been, or will be, recorded as a
// success. It reports the same.
func (r *Recorder) RecordFailure(now time.Duration, code uint8) (keep bool) {
	r.turn(now)
	r.counts[byCode+clamp(code)].Add(1)
	return r.samples.want(now, kindOf(0, code))
}

func (r *Recorder) count(now time.Duration, counter int, code uint8) {
	r.turn(now)
	r.counts[counter].Add(1)
	if code != 0 {
		r.counts[byCode+clamp(code)].Add(1)
	}
}

func clamp(code uint8) int { return int(min(code, Codes-1)) }

// turn ends the slots whose time is up.
func (r *Recorder) turn(now time.Duration) {
	if due := time.Duration(r.due.Load()); due != 0 && now-due < 0 || !r.mu.TryLock() {
		return // another goroutine is at it
	}
	defer r.mu.Unlock()
	r.turnLocked(now)
}

func (r *Recorder) turnLocked(now time.Duration) {
	for span, length := range slotLengths {
		number, _ := divide(now, length)
		r.rings[span].turn(number, &r.counts)
	}
	r.due.Store(int64((r.rings[Minute].current + 1) * slotLengths[Minute]))
}

// Totals returns how many calls have ended, and how many of these have failed, since the
// beginning.
func (r *Recorder) Totals() (ended, failed int64) {
	for i := byCode; i < counters; i++ { // first, or a failure could be counted whose call is not
		failed += r.counts[i].Load()
	}
	for i := range byCode {
		ended += r.counts[i].Load()
	}
	return ended, failed
}

// Window returns what has become of the calls of a span, up to now.
func (r *Recorder) Window(now time.Duration, span Span) *Window {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	w := NewWindow(now, span)
	r.rings[span].addTo(w, &r.counts)
	return w
}
