package xclient

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"geerpc/xclient/internal/attempt"
)

// The states in which a server gets no calls, or few.
const (
	down      = 1 << iota // there is no connection to it
	ejected               // it has failed too often
	probation             // it has been ejected, and has to show that it is well
	gone                  // it has left the list; calls may be in flight
)

// A health says whether a server gets calls. The zero value is that of a server
// about which nothing is known: it gets them.
type health struct {
	set    *endpointSet // nil: it is nobody's
	state  atomic.Uint32
	probed atomic.Int64 // when it last got a call on probation, by attempt.Now

	pause        time.Duration // of the latest ejection; guarded by the set's mu
	until        time.Duration // when that ends, by attempt.Now; the same
	reason       string        // for it; the same
	readmitTimer *time.Timer   // ends the ejection; the same
}

// fit reports whether the server gets calls as long as there are others.
func (h *health) fit() bool { return !h.is(down | ejected) }

// is reports whether the server is in one of some states.
func (h *health) is(states uint32) bool { return h.state.Load()&states != 0 }

// setDown notes whether there is no way to the server.
func (h *health) setDown(isDown bool) {
	if isDown {
		h.change(h.state.Or(down)&down == 0)
	} else {
		h.change(h.state.And(^uint32(down))&down != 0)
	}
}

// change makes snapshots outdated if something has changed.
func (h *health) change(changed bool) {
	if changed && h.set != nil {
		h.set.healthChanges.Add(1)
	}
}

const (
	// probeInterval is how often a server on probation gets a call at most.
	probeInterval = time.Second

	// probeDeadline is the latest deadline of a call that goes to a server on
	// probation while others hang there.
	probeDeadline = 30 * time.Second

	// probeDrought is for how long no such call has to come until another one
	// will do.
	anyProbeAfter = time.Minute

	// pingPatience is how long a server may take to answer a ping before it
	// gets calls again.
	pingPatience = 2 * time.Second
)

// admits reports whether a call may go to the server now. A server on probation
// gets one call at a time, and one a second. If calls still hang there, it must be
// one with a deadline within probeDeadline, unless none has come for long.
func (s *Server) admits(ctx context.Context) bool {
	if !s.health.is(probation) {
		return true
	}
	probes, latest := s.record.Probes()
	age := attempt.Now() - latest
	if probes > 0 && age < probeDeadline || s.InFlight() > 0 && !endsSoon(ctx) && age < anyProbeAfter {
		return false
	}
	now, last := int64(attempt.Now()), s.health.probed.Load()
	return now-last >= int64(probeInterval) && s.health.probed.CompareAndSwap(last, now)
}

// endsSoon reports whether a context has its deadline within probeDeadline.
func endsSoon(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= probeDeadline
}

// endProbation gives calls back to a server that has answered.
func (s *Server) endProbation() {
	h := &s.health
	if !h.is(probation) {
		return
	}
	h.set.mu.Lock() // so that OnChange is told in order
	defer h.set.mu.Unlock()
	if h.state.And(^uint32(probation))&probation != 0 {
		s.record.EndProbation()
		h.change(true)
		h.set.onChange(s, StateProbation, StateReady)
		h.set.log(s, slog.LevelInfo, "ready again")
	}
}
