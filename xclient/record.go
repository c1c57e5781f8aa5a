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
	probes   int            // attempts in flight that began on probation
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
	if probe {
		r.probes++
	}
	if r.speed.oldest.Load() == 0 {
		r.speed.oldest.Store(int64(now))
	}
	return place
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
	r.speed.oldest.Store(int64(r.flights.oldest()))
	if e.probe {
		r.probes--
	}
	l, took := lessons[e.outcome], e.at-began
	r.speed.learn(l.time, took, e.at, e.typical)
	switch {
	case l.heard:
		r.silent = 0
	case e.outcome == noEvidence && r.silent > 0:
		r.silent-- // it was not asked
	}
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
	r.row++
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
// heard, and how long ago the first of them began. When one is in flight from
// before, so much the worse, but the server has been heard since.
func (r *record) silence(now time.Duration) (attempts int, since time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent == 0 {
		return 0, 0
	}
	return r.silent, now - r.asked
}

// shares returns how many attempts were answered lately and how many failed,
// and for how many in a row.
func (r *record) shares(now time.Duration) (answers, failures, row int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers, failures = r.recent.sum(now)
	return answers, failures, r.row
}

// probing tells whether an attempt that began on probation is in flight.
func (r *record) probing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probes > 0
}

// readmitted makes a new beginning: what began before now says nothing more.
func (r *record) readmitted(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readmit = now
	r.row, r.silent, r.recent = 0, 0, window{}
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
