package xclient

import (
	"math"
	"math/rand/v2"
	"time"
)

// minPause is the first pause of a backoff.
const minPause = 100 * time.Millisecond

// A backoff is how long to wait before what has failed is tried again: each
// time by a factor of 1.6 longer than the last. Zero: nothing has failed.
type backoff time.Duration

// next returns the next pause, which is limited by most. It varies by a fifth,
// so that clients which lost a server together don't come back together.
func (b *backoff) next(most time.Duration) time.Duration {
	*b = max(backoff(minPause), *b+min(*b/5*3, math.MaxInt64-*b))
	*b = min(*b, backoff(most))
	return vary(time.Duration(*b))
}

// vary returns d, give or take a fifth, and no more than a time.Duration holds.
func vary(d time.Duration) time.Duration {
	low := d - d/5
	return low + rand.N(min(d/5*2, math.MaxInt64-1-low)+1)
}

// doubled returns 2*d, or the longest time.Duration if that is less.
func doubled(d time.Duration) time.Duration {
	if d > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return 2 * d
}
