package xclient

import (
	"sync"
	"time"

	"geerpc"
)

// A record is what the attempts on a server have shown. One lock guards it, but
// for what can be read without. The zero value is a server of which nothing is
// known.
type record struct {
	speed speed

	mu       sync.Mutex // guards what follows, and changes of speed
	flights  flights
	recent   window
	row      int            // failures, one after the other
	blamed   *geerpc.Client // the connection whose end was counted last
	blamedAt time.Duration  // when
	silent   int            // attempts begun since the server was last heard
	asked    time.Duration  // when the first of them began
	waited   time.Duration  // by those that have ended
	heardAt  time.Duration  // when the server was last heard, or first asked
	rowSince time.Duration  // when the row of failures began
	probes   int            // attempts in flight that began on probation
	probeAt  time.Duration  // when the latest of them began
	readmit  time.Duration  // what began before says nothing of the server's health
}

// begin takes note of an attempt that begins now.
func (r *record) begin(now time.Duration, probe bool) (place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place = r.flights.add(now)
	if r.silent++; r.silent == 1 {
		r.asked = now
	}
	if r.heardAt == 0 {
		r.heardAt = now
	}
	if probe {
		r.probes++
		r.probeAt = now
	}
	r.speed.begun.Store(int64(now))
	r.publishLocked()
	return place
}

// publishLocked tells balancers of the attempts in flight.
func (r *record) publishLocked() {
	r.speed.busy.Store(!r.flights.none())
	if asked := int64(r.flights.asked()); r.speed.asked.Load() != asked {
		r.speed.asked.Store(asked)
	}
}

// An ending is how an attempt ended.
type ending struct {
	outcome outcome
	at      time.Duration  // as sinceStart tells
	typical time.Duration  // the median latency of all servers; 0: not known
	broken  *geerpc.Client // the connection that the attempt was made on, if it takes no more calls
	probe   bool           // it began on probation
}

// end takes note of how the attempt in a place ended. It returns how many
// failures there have been in a row, and whether this was an answer that ends
// one.
func (r *record) end(place int, e ending) (row int, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := r.flights.remove(place)
	r.speed.busy.Store(!r.flights.none()) // first: what is old counts less
	if e.probe && began >= r.readmit {
		r.probes--
	}
	took := e.at - began
	if (e.outcome == late || e.outcome == givenUp) && took < r.speed.expected(e.at, e.typical) {
		e.outcome = hasty
	}
	l := lessons[e.outcome]
	r.speed.learn(l.time, took, e.at-r.heardAt, e.at, e.typical)
	switch {
	case l.heard:
		r.silent, r.waited, r.heardAt = 0, 0, e.at
		r.flights.heard()
	case (e.outcome == noEvidence || e.outcome == hasty) && r.silent > 0:
		r.silent-- // it was not asked, or had no time
	default:
		r.waited = min(r.waited+took, e.at-r.asked)
	}
	r.publishLocked()
	if l.heard && e.outcome != replied {
		r.speed.failedSoon(took, e.at, e.typical)
	}
	return r.judgeLocked(l.row, began, e)
}

// judgeLocked draws the conclusions about the server's health.
func (r *record) judgeLocked(l rowLesson, began time.Duration, e ending) (row int, answered bool) {
	switch {
	case l == noRow, l == growsOnce && r.countedLocked(e):
		return 0, false
	case l == ends:
		r.row = 0
		r.recent.add(e.at, false)
		return 0, true
	case began < r.readmit:
		return 0, false // from before an ejection that is over: many may have hung
	case l == growsOnce:
		r.blamed, r.blamedAt = e.broken, e.at
	}
	if r.row++; r.row == 1 {
		r.rowSince = e.at
	}
	r.recent.add(e.at, true)
	return r.row, false
}

// oneEvent is how close together connections break for the same reason.
const oneEvent = 100 * time.Millisecond

// countedLocked tells whether the end of an attempt's connection has been
// counted, or that of another one for the same reason.
func (r *record) countedLocked(e ending) bool {
	return e.broken != nil && (r.blamed == e.broken || e.at-r.blamedAt < oneEvent)
}

// silence returns how many attempts have been made since the server was last
// heard, and for how long they have waited, several at a time counting once.
func (r *record) silence(now time.Duration) (attempts int, waited time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent == 0 {
		return 0, 0
	}
	waited = r.waited
	if asked := r.flights.asked(); asked > 0 {
		waited += now - asked
	}
	return r.silent, min(waited, now-r.asked)
}

// shares returns how many attempts were answered lately and how many failed,
// and for how many in a row.
func (r *record) shares(now time.Duration) (answers, failures, row int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers, failures = r.recent.sum(now)
	return answers, failures, r.row
}

// rowBegan returns when the row of failures began.
func (r *record) rowBegan() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rowSince
}

// probing tells whether an attempt that began on probation is in flight, and
// may end yet, and when the latest began.
func (r *record) probing(now time.Duration) (probing bool, latest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probes > 0 && now-r.probeAt < probeDeadline, max(r.probeAt, r.readmit)
}

// readmitted makes a new beginning: what began before now says nothing more.
func (r *record) readmitted(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readmit = now
	r.row, r.silent, r.waited, r.probes, r.recent = 0, 0, 0, 0, window{}
}

// recovered is for a server that has shown that it is well again.
func (r *record) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.speed.forget()
}

// windowHalf is half of the time over which answers and failures are counted.
const windowHalf = 5 * time.Second

// A window counts answers and failures of the last five to ten seconds.
type window struct {
	turned        time.Duration // when now was begun
	now, previous struct{ answers, failures int }
}

func (w *window) add(now time.Duration, failed bool) {
	w.turn(now)
	if failed {
		w.now.failures++
	} else {
		w.now.answers++
	}
}

func (w *window) sum(now time.Duration) (answers, failures int) {
	w.turn(now)
	return w.now.answers + w.previous.answers, w.now.failures + w.previous.failures
}

// turn lets go of what is too old.
func (w *window) turn(now time.Duration) {
	switch age := now - w.turned; {
	case age < windowHalf:
	case age < 2*windowHalf:
		w.previous, w.turned = w.now, now
		w.now = struct{ answers, failures int }{}
	default:
		*w = window{turned: now}
	}
}
