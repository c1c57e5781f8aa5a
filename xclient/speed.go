package xclient

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// speedHalfLife is how soon half of a server's latency is forgotten while
	// no attempt is in flight that would renew it.
	speedHalfLife = 5 * time.Second

	// maxOverTypical is how many times the median of all servers a server's
	// average may be: one slow call, such as the first on a server that has
	// just started, is no reason to shun it for long.
	maxOverTypical = 4
)

// A speed is how long a server takes to answer, as far as attempts have shown.
// Its record's lock is held to change it; balancers read it without.
//
// The average is over answers, and each of them answers for the time that was
// spent in vain since the one before: a server whose attempts are cancelled,
// because others are faster, does not look as fast as those are. (That is the
// most likely mean of exponentially distributed times of which some have been
// cut off.)
type speed struct {
	average atomic.Int64 // of answers, in nanoseconds; 0: none has come
	inVain  atomic.Int64 // spent without an answer since the last one
	at      atomic.Int64 // when an attempt last ended, as sinceStart tells
	asked   atomic.Int64 // when the oldest attempt in flight began since the server was last heard; 0: there is none
	busy    atomic.Bool  // an attempt is in flight
	begun   atomic.Int64 // when the latest began

	// Errors that come sooner than answers stay in the load as if they took as
	// long: a server that fails at once is not idle. What is left of them at a
	// time decays as attempts would end.
	errors   atomic.Uint64 // how many, a float64; 0: none
	errorsAt atomic.Int64  // when
	lifetime atomic.Int64  // how long an answer takes
}

// learn takes note of an attempt that ended now. sinceHeard is how long ago the
// server was last heard, typical the median of all servers, 0 if it is not
// known.
func (s *speed) learn(l timeLesson, took, sinceHeard, now, typical time.Duration) {
	switch {
	case l == exact, l == atLeast && took > s.answers(now, typical):
		s.answered(took+time.Duration(s.inVain.Load()), now, typical)
	case l == inVain: // several at a time count once
		s.inVain.Store(int64(min(time.Duration(s.inVain.Load())+took, sinceHeard)))
	}
	s.at.Store(int64(now))
}

// answered counts an answer. It counts for an eighth, as with the round trips
// of TCP (RFC 6298), or alone if what it is added to is old.
func (s *speed) answered(took, now, typical time.Duration) {
	average := took
	if before := s.answers(now, typical); before > 0 && s.halvings(now) == 0 {
		average = before + (took-before)/8
	}
	s.average.Store(int64(max(average, 1)))
	s.inVain.Store(0)
}

// answers returns the average of the answers.
func (s *speed) answers(now, typical time.Duration) time.Duration {
	average := time.Duration(s.average.Load())
	if typical > 0 {
		average = min(average, maxOverTypical*typical)
	}
	return average >> s.halvings(now)
}

// latency returns how long the server is likely to take: no less than what has
// been waited for an answer lately, and the oldest attempt is waiting still.
func (s *speed) latency(now, typical time.Duration) time.Duration {
	inVain := time.Duration(s.inVain.Load()) >> s.halvings(now)
	if asked := time.Duration(s.asked.Load()); asked > 0 {
		inVain = max(inVain, now-asked)
	}
	return max(s.answers(now, typical), inVain)
}

// halvings returns how many half-lives have gone by without an attempt. Other
// goroutines may have looked at the clock after this one did.
func (s *speed) halvings(now time.Duration) time.Duration {
	if s.busy.Load() {
		return 0
	}
	return min(max(now-time.Duration(s.at.Load()), 0)/speedHalfLife, 62)
}

// failedSoon counts an error that came sooner than an answer would have.
func (s *speed) failedSoon(took, now, typical time.Duration) {
	life := s.answers(now, typical)
	if life == 0 {
		life = typical
	}
	if took >= life {
		return
	}
	n := s.errorsLeft(now) + 1 - float64(took)/float64(life)
	s.errors.Store(math.Float64bits(n))
	s.errorsAt.Store(int64(now))
	s.lifetime.Store(int64(life))
}

// errorsLeft returns how many errors count as in flight.
func (s *speed) errorsLeft(now time.Duration) float64 {
	bits := s.errors.Load()
	if bits == 0 {
		return 0
	}
	age := max(now-time.Duration(s.errorsAt.Load()), 0)
	return math.Float64frombits(bits) * math.Exp(-float64(age)/float64(max(s.lifetime.Load(), 1)))
}

// triedAfter is how long a server is left alone that is waited for.
const triedAfter = time.Second

// due tells whether it is time to try a server again of which nobody knows
// whether it hangs: calls wait for it, and others have avoided it for a while.
func (s *speed) due(now time.Duration) bool {
	return s.asked.Load() > 0 && now-time.Duration(s.begun.Load()) >= triedAfter
}

// expected returns how long an answer may well take.
func (s *speed) expected(now, typical time.Duration) time.Duration {
	return maxOverTypical * max(s.answers(now, typical), typical)
}

// forget is for a server that has been out and is well again: what it was like
// before says little.
func (s *speed) forget() {
	s.average.Store(0)
	s.inVain.Store(0)
	s.errors.Store(0)
}

// longAgo is before anything that is noted: so no time is 0, and none is before
// 0, also where a test's clock is set back by decades.
var longAgo = time.Now().Add(-100 * 365 * 24 * time.Hour)

// sinceStart is the clock of attempts, which never jumps.
func sinceStart() time.Duration { return time.Since(longAgo) }
