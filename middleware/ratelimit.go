package middleware

import (
	"context"
	"math"
	"math/bits"
	"sync"
	"time"

	"geerpc"
)

// A RateLimit lets so many calls pass in so much time: one token bucket for all
// calls, or one for each Key.
//
//	limit := &middleware.RateLimit{Calls: 100, Burst: 20, Key: middleware.ByPeer}
//	server.Admit = append(server.Admit, limit.Admit)
//
// A bucket begins full, a call takes one token, and tokens come back one by one,
// evenly. It is exact: in any time t no more than Burst + t·Calls/Per calls pass,
// to one token and however long it runs, because it counts in whole numbers, by
// a clock that is never set. A call that finds no token is refused with
// resource exhausted; the error says when there will be one, and takes nothing.
//
// It protects a service from callers that ask for more than their share. It does
// not know how much the service can do; that is what Concurrency and Shed are
// for. On a client it keeps to a limit that a server is known to have.
//
// It belongs into Server.Admit, before the body is decoded, or among the first
// interceptors, or on a client inside Retry, so that each attempt counts. Use
// Intercept or Admit, not both: each takes a token. A call costs a lock and a
// look into a map, about 0.1 µs, and no allocation beyond that of the Key.
type RateLimit struct {
	// Calls is how many calls may pass in Per. Zero or negative: any number.
	Calls int

	// Per is the time for Calls. Zero or negative: a second.
	Per time.Duration

	// Burst is how many calls may pass at once after a pause, the size of the
	// bucket. Zero or negative: Calls.
	Burst int

	// Key says which calls share a bucket: ByMethod, ByPeer, or a function of
	// yours. Nil: all calls do.
	Key Key

	// MaxKeys is how many buckets are remembered. Buckets that are full again
	// are forgotten, because a new one is the same. If there are still too
	// many, the one that was not used for longest is forgotten: its key gets a
	// full bucket when it comes back. So somebody with more than MaxKeys keys
	// has no limit. Zero or negative: 65,536, of about 200 bytes each.
	MaxKeys int

	refuser refuser
	once    sync.Once

	// In units of which every nanosecond brings gain, a token is cost, and a
	// bucket holds capacity.
	gain, cost, capacity int64

	mu      sync.Mutex
	buckets keyed[bucket] // guarded by mu
}

// A bucket has tokens.
type bucket struct {
	level int64         // at the time at
	at    time.Duration // never goes back
}

// Intercept is a geerpc.Interceptor: it takes a token for each call.
func (l *RateLimit) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	return admitting(l.Admit, next)
}

// Admit takes a token for a call. It is for Server.Admit.
func (l *RateLimit) Admit(ctx context.Context, serviceMethod string) error {
	if l.Calls <= 0 {
		return nil
	}
	l.once.Do(l.prepare)
	wait := l.take(l.Key.of(ctx, serviceMethod))
	if wait == 0 {
		return nil
	}
	return l.refuser.refuse(geerpc.CodeResourceExhausted,
		Refusal{By: "rate limit", Reason: "no token left", RetryAfter: wait})
}

// Refused returns how many calls were refused, by reason.
func (l *RateLimit) Refused() map[string]int64 { return l.refuser.byReason() }

// prepare chooses the units so small that all numbers are whole.
func (l *RateLimit) prepare() {
	calls, per, burst := int64(l.Calls), int64(l.Per), int64(l.Burst)
	if per <= 0 {
		per = int64(time.Second)
	}
	if burst <= 0 {
		burst = calls
	}
	divisor := gcd(calls, per)
	l.gain, l.cost = calls/divisor, per/divisor
	l.capacity = math.MaxInt64 // what no bucket has in a lifetime
	if high, low := bits.Mul64(uint64(burst), uint64(l.cost)); high == 0 && low < math.MaxInt64 {
		l.capacity = int64(low)
	}
	l.buckets.max = l.MaxKeys
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// take takes a token from the bucket of a key. It returns zero, or how long it
// takes until there is one.
func (l *RateLimit) take(key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now()
	e, isNew := l.buckets.get(key, func(b *bucket) bool { return l.fill(b, at) == l.capacity })
	if isNew {
		e.state = bucket{l.capacity, at}
	}
	if l.fill(&e.state, at) < l.cost {
		return time.Duration(divideUp(l.cost-e.state.level, l.gain))
	}
	e.state.level -= l.cost
	return 0
}

// fill gives a bucket what has come in since it was last looked at, and returns
// what it has.
func (l *RateLimit) fill(b *bucket, at time.Duration) int64 {
	if passed := int64(at - b.at); passed > (l.capacity-b.level)/l.gain {
		b.level = l.capacity
	} else {
		b.level += passed * l.gain
	}
	b.at = at
	return b.level
}

func divideUp(a, b int64) int64 {
	if a%b > 0 {
		return a/b + 1
	}
	return a / b
}
