// Package attempt keeps a record of the attempts on one server: when they began,
// how they ended, and what that proves about the server's latency and health.
// It knows nothing of connections, and decides nothing.
package attempt

import (
	"sync"
	"time"

	"geerpc"
)

// epoch lies before every time that is noted, even if a test's clock is set back
// by decades. So no time is zero or negative, and zero can mean "never".
var epoch = time.Now().Add(-100 * 365 * 24 * time.Hour)

// Now is the clock of attempts. It never jumps, and is never zero.
func Now() time.Duration { return time.Since(epoch) }

// A Record is what the attempts on a server have shown. The zero value is that
// of a server about which nothing is known. It is safe for concurrent use. The
// methods that balancers call for each pick take no lock.
type Record struct {
	latency latency

	mu       sync.Mutex // guards what follows, and changes of latency
	inFlight inFlight
	begun    int64 // attempts, ever
	recent   window
	lastSign time.Duration // when the server was last heard, or first asked

	consecutive      int           // failures since the last success
	consecutiveSince time.Duration // when the first of them happened
	broken           any           // the connection whose end was counted last
	brokenAt         time.Duration // when

	unanswered      int           // attempts that began since the server was last heard
	unansweredSince time.Duration // when the first of them began
	waited          time.Duration // by those of them that have ended

	probes      int           // attempts in flight that began on probation
	lastProbe   time.Duration // when the latest of them began
	healthSince time.Duration // older attempts say nothing about the server's health
}

// An Attempt is one that Begin has noted.
type Attempt struct {
	Began time.Duration
	slot  int
	probe bool // it began on probation
}

// Begin notes an attempt that begins now; probe says that the server is on
// probation.
func (r *Record) Begin(now time.Duration, probe bool) Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := Attempt{Began: now, slot: r.inFlight.add(now), probe: probe}
	r.begun++
	r.recent.begin(now)
	if r.unanswered++; r.unanswered == 1 {
		r.unansweredSince = now
	}
	if r.lastSign == 0 {
		r.lastSign = now
	}
	if probe {
		r.probes++
		r.lastProbe = now
	}
	r.latency.lastBegan.Store(int64(now))
	r.publishLocked()
	return a
}

// publishLocked updates what balancers read about the attempts in flight.
func (r *Record) publishLocked() {
	r.latency.busy.Store(!r.inFlight.none())
	if since := int64(r.inFlight.waitingSince()); r.latency.waitingSince.Load() != since {
		r.latency.waitingSince.Store(since)
	}
}

// An Ending is how an attempt ended.
type Ending struct {
	Outcome Outcome
	Code    geerpc.Code // of the error; CodeOK: none
	At      time.Duration
	Median  time.Duration // latency of all servers; 0: not known
	Broken  any           // identifies the attempt's connection, if that takes no more calls
}

// A Conclusion is what the end of an attempt means for the server's health.
type Conclusion struct {
	Heard    bool // the server has answered in some way
	Success  bool // it has run the method
	Failures int  // consecutive ones, if this attempt was one of them; else 0
}

// End notes how an attempt ended.
func (r *Record) End(a Attempt, e Ending) Conclusion {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight.remove(a.slot)
	r.latency.busy.Store(!r.inFlight.none()) // before observe: while nothing is in flight the old average decays
	if a.probe && a.Began >= r.healthSince {
		r.probes--
	}
	took := e.At - a.Began
	if (e.Outcome == Late || e.Outcome == GivenUp) && took < r.latency.patience(e.At, e.Median) {
		e.Outcome = tooSoon
	}
	ev := evidenceOf[e.Outcome]
	if e.Code != geerpc.CodeOK && (ev.heard || ev.health != noHealth) {
		r.recent.addError(e.At, e.Code)
	}
	r.latency.observe(ev.latency, took, e.At-r.lastSign, e.At, e.Median)
	switch {
	case ev.heard:
		r.unanswered, r.waited, r.lastSign = 0, 0, e.At
		r.inFlight.heard()
	case (e.Outcome == NoEvidence || e.Outcome == tooSoon) && r.unanswered > 0:
		r.unanswered-- // the server was not asked, or had no time
	default:
		r.waited = min(r.waited+took, e.At-r.unansweredSince)
	}
	r.publishLocked()
	if ev.heard && e.Outcome != Replied {
		r.latency.addError(took, e.At, e.Median)
	}
	c := r.countLocked(ev.health, a.Began, e)
	c.Heard = ev.heard
	return c
}

// countLocked counts successes and failures.
func (r *Record) countLocked(ev healthEvidence, began time.Duration, e Ending) Conclusion {
	switch {
	case ev == noHealth, ev == failureOnce && r.countedLocked(e):
		return Conclusion{}
	case ev == success:
		r.consecutive = 0
		r.recent.add(e.At, false)
		return Conclusion{Success: true}
	case began < r.healthSince:
		return Conclusion{} // it began before an ejection that is over: many may have hung
	case ev == failureOnce:
		r.broken, r.brokenAt = e.Broken, e.At
	}
	if r.consecutive++; r.consecutive == 1 {
		r.consecutiveSince = e.At
	}
	r.recent.add(e.At, true)
	return Conclusion{Failures: r.consecutive}
}

// sameCause is how close together connections break for the same reason.
const sameCause = 100 * time.Millisecond

// countedLocked reports whether the end of the attempt's connection has been
// counted, or that of another one for the same reason.
func (r *Record) countedLocked(e Ending) bool {
	return e.Broken != nil && (r.broken == e.Broken || e.At-r.brokenAt < sameCause)
}

// Silence returns how many attempts have been made since the server was last
// heard, and how long they have waited; time that several waited at once counts
// once.
func (r *Record) Silence(now time.Duration) (attempts int, waited time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unanswered == 0 {
		return 0, 0
	}
	waited = r.waited
	if since := r.inFlight.waitingSince(); since > 0 {
		waited += now - since
	}
	return r.unanswered, min(waited, now-r.unansweredSince)
}

// Recent returns how many attempts succeeded and failed in the last five to ten
// seconds, and how many failures there have been since the last success.
func (r *Record) Recent(now time.Duration) (successes, failures, consecutive int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	successes, failures = r.recent.sum(now)
	return successes, failures, r.consecutive
}

// Errors returns how many attempts ended with which error in the last five to ten
// seconds. Those that the caller gave up, or that were not sent, don't count.
func (r *Record) Errors(now time.Duration) map[geerpc.Code]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recent.errorsByCode(now)
}

// Begun returns how many attempts have begun, and how many in the last five to ten
// seconds.
func (r *Record) Begun(now time.Duration) (ever int64, recent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.advance(now)
	return r.begun, r.recent.running.begun + r.recent.previous.begun
}

// FailingSince returns when the first of the consecutive failures happened.
func (r *Record) FailingSince() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.consecutiveSince
}

// Probes returns how many attempts are in flight that began on probation, and
// when the latest began, or the probation if there is none.
func (r *Record) Probes() (inFlight int, latest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probes, max(r.lastProbe, r.healthSince)
}

// StartProbation forgets what bears on the server's health: attempts that began
// before now no longer count.
func (r *Record) StartProbation(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.healthSince = now
	r.consecutive, r.unanswered, r.waited, r.probes, r.recent = 0, 0, 0, 0, window{}
}

// EndProbation forgets the latency, which was that of a sick server.
func (r *Record) EndProbation() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency.forget()
}
