package xclient

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// The defaults of an Ejection.
const (
	DefaultEjectFailures = 5
	DefaultEjectPause    = 5 * time.Second
	DefaultMaxEjectPause = 5 * time.Minute
)

// probeInterval is how often a server that comes back gets a call until one
// has succeeded.
const probeInterval = time.Second

// An Ejection keeps calls off servers that fail: those of which one call after
// the other ends with a lost connection, in CodeUnavailable or in
// CodeDeadlineExceeded. What a method says itself counts as an answer; of a
// connection that breaks, each call in flight counts as a failure. After a
// pause the server gets a call a second, until one has been answered or it is
// ejected again, for twice as long. At most half of the servers are out at a
// time, for when all fail the fault is elsewhere.
//
// A deadline that was too short for a server which is well counts too: that
// looks like a server which hangs, and how long its methods take as a rule says
// little of this one. An answer in between ends the row, so it takes callers of
// whom most are in such a hurry; for those Failures should be greater, or
// negative.
//
// Servers that can't be connected to get no calls either, however many: that
// is not an ejection, and has no settings.
//
// The zero Ejection has the defaults.
type Ejection struct {
	// Failures is how many calls have to fail in a row. Zero: 5; negative:
	// servers are not ejected.
	Failures int

	// Pause is for how long, give or take a fifth, a server gets no calls the
	// first time. It doubles with every time that follows without an answer in
	// between, up to MaxPause. Zero or negative: 5 s and 5 minutes.
	Pause, MaxPause time.Duration
}

func (e Ejection) withDefaults() Ejection {
	if e.Failures == 0 {
		e.Failures = DefaultEjectFailures
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

// health is what calls and dials have shown of a server. The zero value is a
// server of which nothing is known.
type health struct {
	fleet    *fleet // nil: it is nobody's
	state    atomic.Uint32
	failures atomic.Int64  // in a row
	since    atomic.Int64  // when it came, or its latest ejection ended, as sinceStart tells
	probed   atomic.Int64  // when it last got a call on probation, the same
	pause    time.Duration // of the latest ejection; guarded by the fleet's mu
	back     *time.Timer   // ends the ejection; the same
}

// fit tells whether the server is to get calls as long as there are others.
func (h *health) fit() bool { return !h.is(down | ejected) }

// is tells whether the server is in one of some states.
func (h *health) is(states uint32) bool { return h.state.Load()&states != 0 }

// admits tells whether a call may go to the server now: while it is on
// probation only one every now and then.
func (h *health) admits() bool {
	if h.state.Load()&probation == 0 {
		return true
	}
	now, last := int64(sinceStart()), h.probed.Load()
	return now-last >= int64(probeInterval) && h.probed.CompareAndSwap(last, now)
}

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

// failed counts a call that failed, unless it is from before an ejection that
// has ended: many may hang when a server is ejected, and fail long after.
func (h *health) failed(begin time.Duration) {
	if h.fleet == nil || h.fleet.ejection.Failures < 0 || int64(begin) < h.since.Load() {
		return
	}
	n := h.failures.Add(1)
	if n >= int64(h.fleet.ejection.Failures) || h.state.Load()&probation != 0 {
		h.fleet.eject(h)
	}
}

// succeeded counts a call that was answered.
func (h *health) succeeded() {
	if h.failures.Load() != 0 {
		h.failures.Store(0)
	}
	if h.state.Load()&probation != 0 {
		h.state.And(^uint32(probation))
	}
}

// eject keeps calls off a server for a while, unless too many others are out.
func (f *fleet) eject(h *health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	state := h.state.Load()
	if state&(ejected|gone) != 0 || 2*(f.out+1) > len(f.servers) || f.ctx.Err() != nil {
		return
	}
	f.out++
	if state&probation == 0 { // it has been well since the last time
		h.pause = 0
	}
	h.pause = min(max(2*h.pause, f.ejection.Pause), f.ejection.MaxPause)
	h.state.Or(ejected)
	h.state.And(^uint32(probation))
	f.changes.Add(1)
	fifth := h.pause / 5
	h.back = time.AfterFunc(h.pause-fifth+rand.N(2*fifth+1), func() { f.readmit(h) }) // the fleet's close stops it
}

// readmit lets calls go to a server again, at first a few.
func (f *fleet) readmit(h *health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.state.Load()&ejected == 0 {
		return // it has left
	}
	f.out--
	now := sinceStart()
	h.since.Store(int64(now))
	h.probed.Store(int64(now - probeInterval)) // the first may come now
	h.state.Or(probation)
	h.state.And(^uint32(ejected))
	f.changes.Add(1)
}
