package xclient

import (
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"geerpc/internal/backoff"
	"geerpc/xclient/internal/attempt"
)

// The defaults of an Ejection.
const (
	DefaultEjectFailures = 5
	DefaultEjectPause    = 5 * time.Second
	DefaultMaxEjectPause = 5 * time.Minute
	DefaultEjectSilence  = 5 * time.Second
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
// The zero Ejection has the defaults.
type Ejection struct {
	// Failures is how many calls have to fail in a row. Zero: 5; negative:
	// servers are not ejected.
	Failures int

	// Silence is for how long a server has to leave as many calls without an
	// answer, having given none to any other. It is four times the server's
	// latency at least. Zero: 5 s; negative: silence does not matter.
	Silence time.Duration

	// Pause is for how long, give or take a fifth, a server gets no calls the
	// first time. It doubles with every time that follows without an answer in
	// between, up to MaxPause. Zero or negative: 5 s and 5 minutes.
	Pause, MaxPause time.Duration
}

func (e Ejection) withDefaults() Ejection {
	if e.Failures == 0 {
		e.Failures = DefaultEjectFailures
	}
	if e.Silence == 0 {
		e.Silence = DefaultEjectSilence
	}
	if e.Pause <= 0 {
		e.Pause = DefaultEjectPause
	}
	if e.MaxPause <= 0 {
		e.MaxPause = DefaultMaxEjectPause
	}
	e.MaxPause = max(e.MaxPause, e.Pause)
	return e
}

// Why a server gets no calls, or few.
const (
	down      = 1 << iota // there is no connection to it
	ejected               // it has failed too often
	probation             // it has been ejected, and is to show that it is well
	gone                  // it has left the list; calls may be in flight
)

// health is whether a server is to get calls. The zero value is a server of
// which nothing is known.
type health struct {
	fleet  *fleet // nil: it is nobody's
	state  atomic.Uint32
	probed atomic.Int64 // when it last got a call on probation, by attempt.Now

	pause  time.Duration // of the latest ejection; guarded by the fleet's mu
	until  time.Duration // when that ends, by attempt.Now; the same
	reason string        // for it; the same
	back   *time.Timer   // ends the ejection; the same
}

// fit tells whether the server is to get calls as long as there are others.
func (h *health) fit() bool { return !h.is(down | ejected) }

// is tells whether the server is in one of some states.
func (h *health) is(states uint32) bool { return h.state.Load()&states != 0 }

// setDown tells whether there is a way to the server.
func (h *health) setDown(isDown bool) {
	if isDown {
		h.change(h.state.Or(down)&down == 0)
	} else {
		h.change(h.state.And(^uint32(down))&down != 0)
	}
}

// change has the servers that are fit looked at anew.
func (h *health) change(changed bool) {
	if changed && h.fleet != nil {
		h.fleet.changes.Add(1)
	}
}

// suspect looks at a server after so many failures in a row.
func (f *fleet) suspect(s *Server, row int) {
	least := f.ejection.Failures
	onProbation := s.health.is(probation)
	if least < 0 || row < least && !onProbation {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := attempt.Now()
	if !onProbation && !f.pollSince(s.record.FailingSince(), now) {
		return // what the others did before says nothing of what they do now
	}
	if onProbation || byChance(f.othersLocked(s, now), row) < maxChance {
		f.ejectLocked(s, fmt.Sprintf("%d failures in a row", row))
	}
}

// maxChance is how likely a row of failures may be, if it is to be the server's
// fault.
const maxChance = 1e-6

// byChance returns how likely it is that a server fails so many times in a
// row which does no worse than others, of whose calls a share fails.
func byChance(share float64, row int) float64 { return math.Pow(share, float64(row)) }

// ejectLocked keeps calls off a server for a while, unless too many others are
// out.
func (f *fleet) ejectLocked(s *Server, reason string) {
	h := &s.health
	state := h.state.Load()
	if state&(ejected|gone) != 0 || 2*(f.out+1) > len(f.servers) || f.ctx.Err() != nil {
		return
	}
	f.out++
	if state&probation == 0 { // it has been well since the last time
		h.pause = 0
	}
	h.pause = min(max(backoff.Double(h.pause), f.ejection.Pause), f.ejection.MaxPause)
	h.reason = reason
	h.state.Or(ejected)
	h.state.And(^uint32(probation))
	f.changes.Add(1)
	pause := backoff.Vary(h.pause, 5)
	h.until = attempt.Now() + min(pause, math.MaxInt64/2)
	f.tell(s, slog.LevelWarn, "ejected", "for", pause.Round(time.Millisecond), "reason", reason)
	h.back = time.AfterFunc(pause, func() { f.spawn(func() { f.readmit(s) }) }) // the fleet's close stops it, or waits
}
