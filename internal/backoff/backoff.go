// Package backoff waits before something that failed is tried again.
package backoff

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// A Backoff is the latest pause between tries that fail. Each is 1.6 times as
// long as the one before. Zero: nothing has failed.
type Backoff time.Duration

// Next returns how long to wait before the next try: about first after the first
// failure, and never more than about most. The pause varies by a fifth, so that
// clients which failed together don't come back together.
func (b *Backoff) Next(first, most time.Duration) time.Duration {
	grown := *b + min(*b/5*3, math.MaxInt64-*b)
	*b = min(max(Backoff(first), grown), Backoff(most))
	return Vary(time.Duration(*b), 5)
}

// Vary returns a random time around d, which differs from d by at most a part of
// it: a fifth if part is 5.
func Vary(d, part time.Duration) time.Duration {
	low := d - d/part
	return low + rand.N(min(d/part*2, math.MaxInt64-1-low)+1)
}

// Jitter returns a random time between half of d and d.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d/2 + rand.N(d-d/2+1)
}

// Double returns 2*d, or the longest time.Duration if that is less.
func Double(d time.Duration) time.Duration {
	if d > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return 2 * d
}

// Sleep waits for d. It returns false, at once, when ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
