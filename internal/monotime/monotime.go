// Package monotime is a clock that never jumps, and the timers that need one.
package monotime

import (
	"math"
	"time"
)

var start = time.Now()

// Now returns the time since the process started. Its times can be compared and subtracted,
// and mean nothing else: in a test's bubble they are negative.
func Now() time.Duration { return time.Since(start) }

// Add returns t+d, or the last time that there is.
func Add(t, d time.Duration) time.Duration {
	if sum := t + d; d <= 0 || sum > t {
		return sum
	}
	return math.MaxInt64
}

// At returns what Now returns at t. A time that is too far away for that becomes one that
// is far away.
func At(t time.Time) time.Duration {
	if t == t.Round(0) { // by the wall clock alone, which may have jumped since the start
		return Add(Now(), max(time.Until(t), longPast))
	}
	return max(t.Sub(start), longPast)
}

// longPast is less than any time of Now's, and subtracting one from it does not overflow.
const longPast = -100 * 365 * 24 * time.Hour

// minLate is how late a timer may always be.
const minLate = 50 * time.Millisecond

// Late reports whether a timer for d, which was due at a time of Now's, fires
// so late that the process must have been stopped, or starved. What it waited
// for may have arrived meanwhile, and not been seen.
func Late(due, d time.Duration) bool { return Now()-due > max(d/4, minLate) }
