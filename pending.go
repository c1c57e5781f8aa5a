package geerpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"geerpc/internal/replycopy"
)

// pending is what waits for a reply.
type pending interface {
	// begin tells the seq, before anything is sent.
	begin(seq uint64)

	// target returns what the body is decoded into; nil skips it.
	target() any

	// deliver ends the wait. It is called once, and does not block.
	deliver(md Metadata, err error)

	// recall takes back what is being delivered, because the sender knows
	// better. It reports false if it is too late for that.
	recall() bool
}

// A pendingTable holds the calls of a Client that are in flight, by seq, and
// limits how many there are. Whoever claims a call owns it: of the reply, the
// caller's departure and the end of the connection, one gets it.
//
// Only the holder of the write turn adds calls, so the goroutine that sends and
// the one that reads contend for the lock, and not every caller.
type pendingTable struct {
	limit   int             // calls in flight; 0: no limit
	ended   <-chan struct{} // closed when the connection is
	freed   chan struct{}   // capacity 1: calls are let in again, look
	room    chan struct{}   // capacity 1: a call may be added, look; for the sender
	drained func()          // told when, draining, no call is left
	state   atomic.Uint32   // bits of full, closing, draining and shutdown

	_        [64]byte           // callers read what is above; it stays in their caches
	mu       sync.Mutex         // guards what follows, and the bit full
	latest   uint64             // seq given to a call
	waiting  int                // goroutines that wait to be let in
	reserved bool               // slots are for the calls that are queued
	bySeq    map[uint64]pending // calls in flight; nil: the caller has left, the server has not answered
	most     int                // the most calls in flight since the map was made
	_        [64]byte           // callers write what may be behind
}

// keptCalls limits the map that an idle table keeps: a map does not shrink, so
// one that has held more calls is dropped.
const keptCalls = 128

// The state of a Client. But for full it only ever gains bits.
const (
	full     = 1 << iota // no calls are let in: as many as may be are in flight, or others go first
	closing              // Close has been called
	draining             // no new calls: Shutdown has been called, or the server wants none
	shutdown             // the connection has gone
)

var errFull = errors.New("as many calls are in flight as may be")

// refusal says why no call can be made any more, if so.
func (t *pendingTable) refusal() error {
	switch state := t.state.Load(); {
	case state&(closing|shutdown) != 0:
		return ErrShutdown
	case state&draining != 0:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client: being shut down", ErrShutdown)
	}
	return nil
}

// over tells whether the connection has gone.
func (t *pendingTable) over() bool { return t.state.Load()&shutdown != 0 }

// isFull tells whether calls have to wait to be let in. Once they are refused,
// they don't.
func (t *pendingTable) isFull() bool { return t.state.Load() == full }

// inFlight returns how many calls are in flight. Each holds a slot.
func (t *pendingTable) inFlight() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bySeq)
}

// admit waits until a call is let in, unless ctx or the connection ends. The
// slot may be another's by the time the call is sent, and then its sender
// waits.
func (t *pendingTable) admit(ctx context.Context) error {
	if t.isFull() {
		if err := t.wait(ctx); err != nil {
			return err
		}
	}
	return t.refusal()
}

// wait waits until it has been woken because calls are let in. The slot may be
// another's when it returns: whoever waits looks again.
func (t *pendingTable) wait(ctx context.Context) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isFull() {
		return nil
	}
	t.waiting++
	t.mu.Unlock()
	select {
	case <-t.freed:
	case <-t.ended:
		err = ErrShutdown
	case <-ctx.Done():
		err = contextError(ctx.Err(), InClient, RanNever)
	}
	t.mu.Lock()
	t.waiting--
	if t.waiting == 0 {
		select {
		case <-t.freed: // sent after it had been woken; who comes next has to look first
		default:
		}
	} else if !t.isFull() {
		t.wakeLocked() // the next, who does the same
	}
	return err
}

// wakeLocked has one of those who wait to be let in look again.
func (t *pendingTable) wakeLocked() {
	if t.waiting > 0 {
		signal(t.freed)
	}
}

// signal has who waits for a channel of capacity one look again.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// reserve is for the sender, with calls to send: it waits until one of them can
// be added, or the connection ends. Meanwhile, and until release, no others get
// a slot: those who made calls one after the other would overtake what is queued
// for ever.
func (t *pendingTable) reserve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ended := false; !ended && !t.hasRoomLocked() && t.refusal() == nil; {
		t.reserved = true
		t.mu.Unlock()
		select {
		case <-t.room:
		case <-t.ended:
			ended = true
		}
		t.mu.Lock()
	}
}

// release lets others have slots again.
func (t *pendingTable) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reserved {
		t.reserved = false
		t.letInLocked()
	}
}

// letInLocked lets calls in, if there is room.
func (t *pendingTable) letInLocked() {
	if t.state.Load()&full != 0 && t.hasRoomLocked() && !t.reserved {
		t.state.And(^uint32(full))
		t.wakeLocked()
	}
}

// hasRoom tells the one whose turn it is whether a queued call can be added, or
// is going to be refused.
func (t *pendingTable) hasRoom() bool {
	if !t.isFull() { // it is the only one who could fill the table
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hasRoomLocked()
}

func (t *pendingTable) hasRoomLocked() bool { return t.limit == 0 || len(t.bySeq) < t.limit }

// add takes a slot for a call and gives it its seq, for the one whose turn it
// is. It fails with errFull if there is no slot, or it is for those that are
// queued, and this is none of them.
func (t *pendingTable) add(p pending, queued bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refusal(); err != nil { // under the lock: whoever changes the state looks at the calls afterwards
		return err
	}
	if !t.hasRoomLocked() || t.reserved && !queued {
		return errFull
	}
	t.latest++
	p.begin(t.latest)
	if t.bySeq == nil {
		t.bySeq, t.most = make(map[uint64]pending), 0
	}
	t.bySeq[t.latest] = p
	t.most = max(t.most, len(t.bySeq))
	if len(t.bySeq) == t.limit {
		t.state.Or(full)
	}
	return nil
}

// claim takes a call out of the table. It returns nil if its caller has left,
// or it never was: the seq may be a peer's invention.
func (t *pendingTable) claim(seq uint64) pending {
	t.mu.Lock()
	p, ok := t.bySeq[seq]
	last := ok && t.removeLocked(seq)
	t.mu.Unlock()
	if last && t.state.Load()&draining != 0 {
		t.drained()
	}
	return p
}

// removeLocked removes a call and reports whether it was the last.
func (t *pendingTable) removeLocked(seq uint64) (last bool) {
	delete(t.bySeq, seq)
	if t.state.Load()&full != 0 {
		signal(t.room)
		t.letInLocked()
	}
	if len(t.bySeq) == 0 && t.most > keptCalls {
		t.bySeq = nil
	}
	return len(t.bySeq) == 0
}

// abandon is for a caller that leaves: it reports false if somebody has
// claimed the call. The slot stays taken until the server has answered, for
// the method goes on until it has noticed.
func (t *pendingTable) abandon(seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bySeq[seq] == nil {
		return false
	}
	t.bySeq[seq] = nil
	return true
}

// copyTarget copies what the reply of a call is decoded into. It returns nil if
// nobody waits for the call, or its caller wants no reply. The lock keeps the
// caller from leaving, and from using the reply, while it is copied.
func (t *pendingTable) copyTarget(seq uint64) *replycopy.Copy {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.bySeq[seq]; p != nil {
		if target := p.target(); target != nil {
			return replycopy.Of(target)
		}
	}
	return nil
}

// drain has no more calls added.
func (t *pendingTable) drain() {
	t.state.Or(draining)
	t.mu.Lock()
	none := len(t.bySeq) == 0
	t.wakeLocked()
	signal(t.room)
	t.mu.Unlock()
	if none {
		t.drained()
	}
}

// end has no more calls added and claims all there are.
func (t *pendingTable) end() (left []pending) {
	t.state.Or(shutdown)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.bySeq {
		if p != nil {
			left = append(left, p)
		}
	}
	t.bySeq = nil
	return left
}
