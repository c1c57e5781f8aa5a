package middleware

import (
	"context"
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

	// In parts of which every nanosecond brings gain, a token is cost. A bucket
	// holds burst tokens. None is negative.
	gain, cost uint64
	burst      int64

	mu      sync.Mutex
	buckets keyed[bucket] // guarded by mu
}

// A bucket has tokens, at a time that never goes back.
type bucket struct {
	tokens int64
	parts  uint64 // of the next token, zero if the bucket is full
	at     time.Duration
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

// prepare chooses the parts so small that all numbers are whole.
func (l *RateLimit) prepare() {
	calls, per := int64(l.Calls), int64(l.Per)
	if per <= 0 {
		per = int64(time.Second)
	}
	if l.burst = int64(l.Burst); l.burst <= 0 {
		l.burst = calls
	}
	divisor := gcd(calls, per)
	l.gain, l.cost = uint64(calls/divisor), uint64(per/divisor)
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
	e, isNew := l.buckets.get(key, func(b *bucket) bool { return l.fill(b, at) == l.burst })
	if isNew {
		e.state = bucket{tokens: l.burst, at: at}
	}
	if l.fill(&e.state, at) == 0 {
		return time.Duration((l.cost - e.state.parts + l.gain - 1) / l.gain)
	}
	e.state.tokens--
	return 0
}

// fill gives a bucket what has come in since it was last looked at, and returns
// the tokens that it has. What comes in need not fit into 64 bits: a quota for a year
// counts in small parts.
func (l *RateLimit) fill(b *bucket, at time.Duration) int64 {
	high, low := bits.Mul64(uint64(at-b.at), l.gain)
	low, carry := bits.Add64(low, b.parts, 0)
	b.at = at
	if high += carry; high < l.cost {
		came, parts := bits.Div64(high, low, l.cost)
		if came < uint64(l.burst-b.tokens) {
			b.tokens, b.parts = b.tokens+int64(came), parts
			return b.tokens
		}
	}
	b.tokens, b.parts = l.burst, 0
	return b.tokens
}
