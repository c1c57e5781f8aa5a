// Package inflight keeps the calls that are in flight on a connection in a table,
// by the number that their replies carry. It limits how many there are, and sees
// to it that each call is ended by one party only.
//
//	Admit ──→ Add ──→ in flight ──→ Claim: the reply is there
//	   ↑       │          │ └─────→ End: the connection has gone
//	   └───────┘          ↓
//	    ErrFull        Abandon: the caller has gone. The slot stays taken
//	                   until the reply is there.
//
// The reply, a caller that gives up and the end of the connection race for a call.
// One of them takes it out of the table, and owns it from then on. The table does
// not know what a call is.
//
// Only the holder of the connection's write turn adds calls. So the goroutine that
// sends and the one that reads contend for the lock, but not every caller.
package inflight

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Why a call can't be added.
var (
	ErrFull     = errors.New("inflight: as many calls are in flight as may be") // Admit waits
	ErrDraining = errors.New("inflight: no more calls are taken")
	ErrClosed   = errors.New("inflight: the connection has been closed")
)

// A Call is what a Table holds: a pointer, as a rule. The zero value is no call.
type Call interface {
	comparable

	// SetSeq is called before anybody else can find the call.
	SetSeq(seq uint64)
}

// A Table holds the calls in flight.
type Table[C Call] struct {
	limit     int             // calls in flight; 0: no limit
	connEnded <-chan struct{} // closed when the connection is
	onDrained func()          // called when, draining, no call is left
	admitting chan struct{}   // capacity 1: wakes a goroutine that waits in Admit
	room      chan struct{}   // capacity 1: wakes the one that waits in Reserve
	state     atomic.Uint32   // bits, see below

	_        [64]byte   // callers read what is above; it stays in their caches
	mu       sync.Mutex // guards what follows, and the bit full
	latest   uint64     // seq given to a call
	waiting  int        // goroutines that wait in Admit
	reserved bool       // slots are for queued calls only
	calls    ring[C]    // the zero C: abandoned, and not answered
	_        [64]byte   // callers write what may be behind
}

// The state of a Table. Bits other than full are never cleared.
const (
	full     = 1 << iota // Admit waits: as many calls are in flight as may be, or slots are reserved
	draining             // Drain has been called
	closed               // Close has been called
	ended                // End has been called
)

// New returns an empty Table without a limit. The channel connEnded is closed
// when the connection is, and onDrained is called when Drain has been and no call
// is left.
func New[C Call](connEnded <-chan struct{}, onDrained func()) *Table[C] {
	return &Table[C]{
		connEnded: connEnded,
		onDrained: onDrained,
		admitting: make(chan struct{}, 1),
		room:      make(chan struct{}, 1),
	}
}

// SetLimit sets how many calls may be in flight; 0 is no limit. It must be called
// before the first call.
func (t *Table[C]) SetLimit(limit int) { t.limit = limit }

// Err returns why no more calls are taken: nil, ErrDraining or ErrClosed.
func (t *Table[C]) Err() error {
	switch state := t.state.Load(); {
	case state&(closed|ended) != 0:
		return ErrClosed
	case state&draining != 0:
		return ErrDraining
	}
	return nil
}

// Ended reports whether End has been called.
func (t *Table[C]) Ended() bool { return t.state.Load()&ended != 0 }

// Len returns how many calls are in flight, those included that were abandoned
// and not answered. Each takes a slot.
func (t *Table[C]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls.n
}

// Waiting returns how many goroutines wait in Admit.
func (t *Table[C]) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting
}

// Admit waits until there is a slot. It fails with ctx's error, or with the
// table's. By the time the call is added the slot may be another's: Add then
// fails with ErrFull, and the caller calls Admit again.
func (t *Table[C]) Admit(ctx context.Context) error {
	if t.mustWait() {
		if err := t.wait(ctx); err != nil {
			return err
		}
	}
	return t.Err()
}

// mustWait reports whether Admit waits. When no more calls are taken, it does not.
func (t *Table[C]) mustWait() bool { return t.state.Load() == full }

// wait waits until it is woken, which it may be in vain.
func (t *Table[C]) wait(ctx context.Context) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mustWait() {
		return nil
	}
	t.waiting++
	t.mu.Unlock()
	select {
	case <-t.admitting:
	case <-t.connEnded:
		err = ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.mu.Lock()
	t.waiting--
	if t.waiting == 0 {
		select {
		case <-t.admitting: // sent while we were waking up; it would admit a later call too early
		default:
		}
	} else if !t.mustWait() {
		t.wakeLocked() // and that one wakes the next
	}
	return err
}

// wakeLocked wakes one of the goroutines that wait in Admit.
func (t *Table[C]) wakeLocked() {
	if t.waiting > 0 {
		signal(t.admitting)
	}
}

// signal wakes the goroutine that receives on c, a channel of capacity one, now
// or when it looks next.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Reserve waits until a queued call can be added, or no more calls are taken.
// Until Release, calls that are not queued get no slot: callers that make one
// call after the other could otherwise overtake the queue for ever.
func (t *Table[C]) Reserve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for gone := false; !gone && !t.hasRoomLocked() && t.Err() == nil; {
		t.reserved = true
		t.mu.Unlock()
		select {
		case <-t.room:
		case <-t.connEnded:
			gone = true
		}
		t.mu.Lock()
	}
}

// Release ends what Reserve has begun.
func (t *Table[C]) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reserved {
		t.reserved = false
		t.reopenLocked()
	}
}

// reopenLocked ends the waiting in Admit if there is a slot again.
func (t *Table[C]) reopenLocked() {
	if t.state.Load()&full != 0 && t.hasRoomLocked() && !t.reserved {
		t.state.And(^uint32(full))
		t.wakeLocked()
	}
}

// HasRoom reports whether Add would not return ErrFull for a queued call. Only the
// holder of the write turn may rely on it, because nobody else adds calls.
func (t *Table[C]) HasRoom() bool {
	if !t.mustWait() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hasRoomLocked()
}

func (t *Table[C]) hasRoomLocked() bool { return t.limit == 0 || t.calls.n < t.limit }

// Add takes a slot for a call and gives it its seq. The caller holds the write
// turn. Add fails with ErrFull if there is no slot, or if slots are reserved and
// the call is not queued, or else with the table's error.
func (t *Table[C]) Add(call C, queued bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.Err(); err != nil { // under the lock: Drain and End look at the calls after they change the state
		return err
	}
	if !t.hasRoomLocked() || t.reserved && !queued {
		return ErrFull
	}
	t.latest = t.calls.add(t.latest, call)
	call.SetSeq(t.latest)
	if t.calls.n == t.limit {
		t.state.Or(full)
	}
	return nil
}

// Claim takes a call out of the table, which frees its slot. It returns the zero C
// if the call was abandoned, or there is none: a peer may make up a seq.
func (t *Table[C]) Claim(seq uint64) (call C) {
	t.mu.Lock()
	found := t.calls.find(seq)
	if found != nil {
		call = *found
	}
	last := found != nil && t.removeLocked(seq)
	t.mu.Unlock()
	if last && t.state.Load()&draining != 0 {
		t.onDrained()
	}
	return call
}

// removeLocked removes a call and reports whether it was the last.
func (t *Table[C]) removeLocked(seq uint64) (last bool) {
	t.calls.remove(seq)
	if t.state.Load()&full != 0 {
		signal(t.room)
		t.reopenLocked()
	}
	return t.calls.n == 0
}

// Abandon is for a caller that gives up. It reports false if somebody else has
// claimed the call. The slot stays taken until the server has answered, because
// the method runs until it has noticed.
func (t *Table[C]) Abandon(seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var none C
	call := t.calls.find(seq)
	if call == nil || *call == none {
		return false
	}
	*call = none
	return true
}

// Visit calls f with a call that is in the table and has not been abandoned. It
// can't be claimed or abandoned before f returns. f must not use the table.
func (t *Table[C]) Visit(seq uint64, f func(C)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var none C
	if call := t.calls.find(seq); call != nil && *call != none {
		f(*call)
	}
}

// Drain stops the adding of calls, and onDrained called when none is left.
func (t *Table[C]) Drain() {
	t.state.Or(draining)
	t.mu.Lock()
	none := t.calls.n == 0
	t.wakeLocked()
	signal(t.room)
	t.mu.Unlock()
	if none {
		t.onDrained()
	}
}

// Close has no more calls added. It reports whether it is the first Close. The
// connection is closed next, and then End called.
func (t *Table[C]) Close() (first bool) { return t.state.Or(closed)&closed == 0 }

// Closed reports whether Close has been called.
func (t *Table[C]) Closed() bool { return t.state.Load()&closed != 0 }

// End has no more calls added and claims all there are.
func (t *Table[C]) End() (calls []C) {
	t.state.Or(ended)
	t.mu.Lock()
	defer t.mu.Unlock()
	calls = t.calls.all()
	t.calls = ring[C]{}
	var none C
	return slices.DeleteFunc(calls, func(call C) bool { return call == none })
}
