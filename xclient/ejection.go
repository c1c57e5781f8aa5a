package xclient

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"geerpc/internal/backoff"
	"geerpc/xclient/internal/attempt"
)

// The defaults of an Ejection.
const (
	DefaultEjectFailures   = 5
	DefaultEjectBackoff    = 5 * time.Second
	DefaultMaxEjectBackoff = 5 * time.Minute
	DefaultEjectSilence    = 5 * time.Second
)

// An Ejection keeps calls off servers that do worse than the others. A server
// is ejected
//
//   - when calls on it fail one after the other: with the deadline, in the
//     server (CodeUnavailable, CodeResourceExhausted, its handle timeout), or
//     with a lost connection, which counts once for all calls on it;
//   - when the share of its calls that failed in the last five to ten seconds
//     is far greater than that of the others, at least 3 in 10 of 20;
//   - when it gives no answer at all to calls that have no deadline, or whose
//     callers leave.
//
// Where the others fail too, chance explains a longer row: it must be one that
// would come about once in a million calls at the rate at which the others
// fail. So no server is ejected when all do equally badly, and at most half
// are out at a time. What a method says itself counts as an answer. The
// package comment has a table of what counts as what.
//
// After a pause the server is pinged, and if it answers gets one call at a
// time, and one a second, until one has been answered or it is ejected again,
// for twice as long. While calls hang there these are ones with a deadline of
// half a minute at most, or after a minute without one of them any other.
//
// A call that is not waited for longer than four times what answers take as a
// rule, on the server itself or on all, is no evidence against it.
//
// Servers that can't be connected to get no calls either, however many: that
// is not an ejection, and has no settings.
//
// An Ejection is the circuit breaker of each server. It compares a server with
// the others and sends its calls to them, so no call fails because of it. The
// Breaker of package middleware knows nothing of servers: it makes the calls of a
// method fail while most of them do, wherever they go. The two go together: where
// all servers do equally badly none is ejected, and the Breaker opens.
//
// The zero Ejection has the defaults.
type Ejection struct {
	// Failures is how many calls have to fail in a row. Zero: 5; negative:
	// servers are not ejected.
	Failures int

	// Silence is how long a server has to leave that many calls without an
	// answer, having given none to any other. It is at least four times the
	// server's latency. Zero: 5 s; negative: silence does not matter.
	Silence time.Duration

	// Backoff is how long, give or take a fifth, a server gets no calls the first
	// time. It doubles with each further ejection without an answer in between,
	// up to MaxBackoff. Zero: 5 s and 5 minutes; a negative Backoff is 5 s too, a
	// negative MaxBackoff no limit, as in Retry.
	Backoff, MaxBackoff time.Duration

	// OnChange is told of each server that is ejected (from StateReady or
	// StateProbation to StateEjected), that may show that it is well (to
	// StateProbation), and that has shown it (to StateReady). It is told one by one,
	// in order, on a goroutine of its own; no call waits for it. If it is slow, and 64
	// changes and messages to the Logger wait already, further ones are dropped:
	// XClient.Servers knows the truth. Nil: nobody is told.
	OnChange func(e Endpoint, from, to ServerState)
}

func (e Ejection) withDefaults() Ejection {
	if e.Failures == 0 {
		e.Failures = DefaultEjectFailures
	}
	if e.Silence == 0 {
		e.Silence = DefaultEjectSilence
	}
	if e.Backoff <= 0 {
		e.Backoff = DefaultEjectBackoff
	}
	switch {
	case e.MaxBackoff == 0:
		e.MaxBackoff = DefaultMaxEjectBackoff
	case e.MaxBackoff < 0:
		e.MaxBackoff = unlimitedBackoff
	}
	e.MaxBackoff = max(e.MaxBackoff, e.Backoff)
	return e
}

// checkFailures ejects a server that has failed so many times in a row, unless that
// may be chance.
func (set *endpointSet) checkFailures(s *Server, failures int) {
	least := set.ejection.Failures
	onProbation := s.health.is(probation)
	if least < 0 || failures < least && !onProbation {
		return
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	now := attempt.Now()
	if !onProbation && !set.resampleLocked(s.record.FailingSince(), now) {
		return // what the others did before says nothing of what they do now
	}
	if onProbation || chanceOf(set.othersFailureRateLocked(s, now), failures) < maxChance {
		where := "in a row"
		if onProbation { // where one is enough
			where = "on probation"
		}
		set.ejectLocked(s, plural(failures, "failure")+" "+where)
	}
}

// maxChance is how likely consecutive failures may be by chance if they are to count
// as the server's fault.
const maxChance = 1e-6

// chanceOf returns how likely so many consecutive failures are on a server that does
// no worse than others, of whose calls a share fails.
func chanceOf(share float64, failures int) float64 { return math.Pow(share, float64(failures)) }

// ejectLocked keeps calls off a server for a while, unless too many others are
// out.
func (set *endpointSet) ejectLocked(s *Server, reason string) {
	h := &s.health
	state := h.state.Load()
	if state&(ejected|gone) != 0 || 2*(set.ejectedCount+1) > len(set.servers) || set.ctx.Err() != nil {
		return
	}
	set.ejectedCount++
	if state&probation == 0 { // it has been well since the last time
		h.pause = 0
	}
	h.pause = min(max(backoff.Double(h.pause), set.ejection.Backoff), set.ejection.MaxBackoff)
	h.reason = reason
	h.state.Or(ejected)
	h.state.And(^uint32(probation))
	set.healthChanges.Add(1)
	pause := backoff.Vary(h.pause, 5)
	h.until = attempt.Now() + min(pause, math.MaxInt64/2)
	from := StateReady
	if state&probation != 0 {
		from = StateProbation
	}
	set.onChange(s, from, StateEjected)
	set.log(s, slog.LevelWarn, "ejected", "for", pause.Round(time.Millisecond), "reason", reason)
	h.readmitTimer = time.AfterFunc(pause, func() { set.spawn(func() { set.readmit(s) }) }) // the set's close stops it, or waits
}

// onChange tells the user's hook of a change.
func (set *endpointSet) onChange(s *Server, from, to ServerState) {
	if hook := set.ejection.OnChange; hook != nil {
		e := *s.Endpoint()
		set.reports.Call(func() { hook(e, from, to) })
	}
}

// readmit ends an ejection: the server is on probation if it answers a ping, and
// otherwise out for twice as long.
func (set *endpointSet) readmit(s *Server) {
	there := s.answersPing(set.ctx)
	set.mu.Lock()
	defer set.mu.Unlock()
	h := &s.health
	if h.state.Load()&ejected == 0 {
		return // it has left
	}
	set.ejectedCount--
	now := attempt.Now()
	s.record.StartProbation(now)
	h.probed.Store(int64(now - probeInterval)) // the first may come now
	h.state.Or(probation)
	h.state.And(^uint32(ejected))
	set.healthChanges.Add(1)
	set.onChange(s, StateEjected, StateProbation)
	if there {
		set.log(s, slog.LevelInfo, "on probation")
	} else {
		set.ejectLocked(s, "no answer to a ping")
	}
}

// answersPing reports whether the server is there, as far as a ping can show. If it
// can't be pinged, a call will have to find out.
func (s *Server) answersPing(ctx context.Context) bool {
	client := s.client()
	if client == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	err := client.Ping(ctx)
	return !errors.Is(err, context.DeadlineExceeded)
}
