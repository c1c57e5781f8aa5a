package xclient

import (
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
	*b = min(max(backoff(minPause), *b*8/5), backoff(most))
	d := time.Duration(*b)
	return d*4/5 + rand.N(d*2/5)
}
