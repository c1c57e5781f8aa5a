package attempt

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// halfLife is how soon half of a latency is forgotten while no attempt is
	// in flight that would renew it.
	halfLife = 5 * time.Second

	// maxOverMedian is how many times the median of all servers a server's
	// average may be: one slow call, such as the first on a server that has
	// just started, is no reason to shun it for long.
	maxOverMedian = 4
)

// A latency is how long a server takes to answer, as far as attempts have shown.
// Its record's lock is held to change it; balancers read it without.
//
// The average is over answers, and each answer also stands for the time that
// was spent in vain since the one before: a server whose attempts are cancelled
// because others are faster must not look as fast as those. (That is the most
// likely mean of exponentially distributed times of which some have been cut
// off.)
type latency struct {
	average      atomic.Int64 // of answers, in nanoseconds; 0: none has come
	inVain       atomic.Int64 // spent without an answer since the last one
	lastEnded    atomic.Int64 // when an attempt last ended
	waitingSince atomic.Int64 // when the oldest attempt in flight began, of those since the server was last heard; 0: there is none
	busy         atomic.Bool  // an attempt is in flight
	lastBegan    atomic.Int64 // when the latest attempt began

	// Errors that come sooner than answers count as in flight for as long as an
	// answer would have taken: a server that fails at once is not idle. Their
	// number decays as attempts would end.
	errors   atomic.Uint64 // how many, a float64; 0: none
	errorsAt atomic.Int64  // when
	lifetime atomic.Int64  // how long an answer takes
}

// observe notes an attempt that ended now. sinceSign is how long ago the server
// was last heard, median the latency of all servers, 0 if it is not known.
func (l *latency) observe(ev latencyEvidence, took, sinceSign, now, median time.Duration) {
	switch {
	case ev == exact, ev == atLeast && took > l.ofAnswers(now, median):
		l.addAnswer(took+time.Duration(l.inVain.Load()), now, median)
	case ev == inVain: // time that several waited at once counts once
		l.inVain.Store(int64(min(time.Duration(l.inVain.Load())+took, sinceSign)))
	}
	l.lastEnded.Store(int64(now))
}

// addAnswer adds an answer to the average. It counts for an eighth, as with the
// round trips of TCP (RFC 6298), or alone if the average is old.
func (l *latency) addAnswer(took, now, median time.Duration) {
	average := took
	if before := l.ofAnswers(now, median); before > 0 && l.halvings(now) == 0 {
		average = before + (took-before)/8
	}
	l.average.Store(int64(max(average, 1)))
	l.inVain.Store(0)
}

// ofAnswers returns the average of the answers.
func (l *latency) ofAnswers(now, median time.Duration) time.Duration {
	average := time.Duration(l.average.Load())
	if median > 0 {
		average = min(average, maxOverMedian*median)
	}
	return average >> l.halvings(now)
}

// expected returns how long the next call is likely to take: no less than what
// attempts have lately waited without an answer, or are waiting now.
func (l *latency) expected(now, median time.Duration) time.Duration {
	inVain := time.Duration(l.inVain.Load()) >> l.halvings(now)
	if since := time.Duration(l.waitingSince.Load()); since > 0 {
		inVain = max(inVain, now-since)
	}
	return max(l.ofAnswers(now, median), inVain)
}

// halvings returns how many half-lives have passed without an attempt. now may
// lie before the end of the last one: another goroutine has read the clock
// since.
func (l *latency) halvings(now time.Duration) time.Duration {
	if l.busy.Load() {
		return 0
	}
	return min(max(now-time.Duration(l.lastEnded.Load()), 0)/halfLife, 62)
}

// patience returns how long an answer may take before its delay says something
// about the server.
func (l *latency) patience(now, median time.Duration) time.Duration {
	return maxOverMedian * max(l.ofAnswers(now, median), median)
}

// addError counts an error that came sooner than an answer would have.
func (l *latency) addError(took, now, median time.Duration) {
	life := l.ofAnswers(now, median)
	if life == 0 {
		life = median
	}
	if took >= life {
		return
	}
	n := l.errorsLeft(now) + 1 - float64(took)/float64(life)
	l.errors.Store(math.Float64bits(n))
	l.errorsAt.Store(int64(now))
	l.lifetime.Store(int64(life))
}

// errorsLeft returns how many errors count as in flight.
func (l *latency) errorsLeft(now time.Duration) float64 {
	bits := l.errors.Load()
	if bits == 0 {
		return 0
	}
	age := max(now-time.Duration(l.errorsAt.Load()), 0)
	return math.Float64frombits(bits) * math.Exp(-float64(age)/float64(max(l.lifetime.Load(), 1)))
}

// forget makes the latency unknown.
func (l *latency) forget() {
	l.average.Store(0)
	l.inVain.Store(0)
	l.errors.Store(0)
}

// Latency returns how long a call that begins now is likely to take, 0 if that
// is not known. It is at most four times the median of all servers, unless there
// is no answer.
func (r *Record) Latency(now, median time.Duration) time.Duration {
	return r.latency.expected(now, median)
}

// Average returns the average latency of answers, which halves every five
// seconds while nothing is in flight; 0: none has come.
func (r *Record) Average(now time.Duration) time.Duration { return r.latency.ofAnswers(now, 0) }

// CurrentAverage is Average, or 0 if that has begun to decay.
func (r *Record) CurrentAverage(now time.Duration) time.Duration {
	if r.latency.halvings(now) > 0 {
		return 0
	}
	return r.Average(now)
}

// ErrorsInFlight returns how many errors count as attempts in flight.
func (r *Record) ErrorsInFlight(now time.Duration) float64 { return r.latency.errorsLeft(now) }

// WaitingSince returns when the oldest attempt in flight began, of those that
// began since the server was last heard, 0 if there is none.
func (r *Record) WaitingSince() time.Duration { return time.Duration(r.latency.waitingSince.Load()) }

// retryAfter is how long a server that may hang is left alone.
const retryAfter = time.Second

// DueForTrial reports whether the server should be tried again although it may
// hang: calls wait for an answer, and no new one has been made for a while.
func (r *Record) DueForTrial(now time.Duration) bool {
	return r.WaitingSince() > 0 && now-time.Duration(r.latency.lastBegan.Load()) >= retryAfter
}
