// Package budget limits how many further attempts a client makes, so that
// servers which fail under load don't get even more. (Finagle's retry budgets
// work like this.)
package budget

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// DefaultShare is how many further attempts each call allows.
	DefaultShare = 0.2

	window = 10 // seconds over which calls and attempts are counted
)

// A Budget keeps the further attempts that a policy makes to a share of the
// calls it has seen in the last ten seconds, or to a few, for clients that have
// few calls.
type Budget struct {
	share   float64 // negative: no limit
	floor   float64
	made    atomic.Int64                  // further attempts, ever
	refused atomic.Int64                  // the same
	seconds [window]atomic.Pointer[count] // by second modulo window
}

// A count is what came in one second. Each second gets a new one, so that none is
// reset while others count.
type count struct {
	second int64 // since start
	calls  atomic.Int64
	made   atomic.Int64 // further attempts
}

// start is early enough to make all seconds positive, even if a test's clock is
// set back by decades.
var start = time.Now().Add(-100 * 365 * 24 * time.Hour)

func thisSecond() int64 { return int64(time.Since(start) / time.Second) }

// New returns a Budget of share further attempts per call, or of floor in ten
// seconds if that is more. Zero is the default share, a negative one no limit.
func New(share, floor float64) *Budget {
	if share == 0 {
		share = DefaultShare
	}
	return &Budget{share: share, floor: floor}
}

// now returns the count of this second.
func (b *Budget) now() *count {
	second := thisSecond()
	at := &b.seconds[second%window]
	for {
		c := at.Load()
		if c != nil && c.second >= second {
			return c
		}
		at.CompareAndSwap(c, &count{second: second})
	}
}

// AddCall counts a call, which allows a share of a further attempt.
func (b *Budget) AddCall() {
	if b.share >= 0 {
		b.now().calls.Add(1)
	}
}

// Spend counts a further attempt, or returns false if it must not be made.
func (b *Budget) Spend() bool {
	if b.Left() < 1 {
		b.refused.Add(1)
		return false
	}
	b.now().made.Add(1)
	b.made.Add(1)
	return true
}

// Left returns how many further attempts may be made now.
func (b *Budget) Left() float64 {
	if b.share < 0 {
		return math.Inf(1)
	}
	second := thisSecond()
	var calls, made int64
	for i := range b.seconds {
		if c := b.seconds[i].Load(); c != nil && second-c.second < window {
			calls += c.calls.Load()
			made += c.made.Load()
		}
	}
	return max(b.share*float64(calls), b.floor) - float64(made)
}

// Counts returns how many further attempts were made and how many refused.
func (b *Budget) Counts() (made, refused int64) { return b.made.Load(), b.refused.Load() }
