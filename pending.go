package geerpc

import (
	"context"
	"sync"
	"sync/atomic"

	"geerpc/internal/wire"
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

// pendingShards is how many parts the table of pending calls has. Callers
// insert and the reader deletes, on all cores at once; with one map behind one
// lock, a quarter of the throughput of 1,024 callers went into waiting for it.
const pendingShards = 16

// A pendingTable holds the calls of a Client that are in flight, by seq, and
// limits how many there are. Whoever claims a call owns it: of the reply, the
// caller's departure and the end of the connection, one gets it.
type pendingTable struct {
	limit   int           // calls in flight; 0: no limit
	state   atomic.Uint32 // bits of closing, draining and shutdown
	waiting atomic.Int64  // callers that wait for a slot
	freed   chan struct{} // capacity 1: there may be a free slot, look
	drained func()        // told when, draining, the last slot is free
	shards  [pendingShards]pendingShard

	// Slots are counted twice, for callers take them and the reader gives them
	// back, and apart, for a cache line goes to who changes it. The number of a
	// slot is the seq of its call.
	_        [64]byte
	taken    atomic.Uint64 // slots so far
	_        [64]byte
	returned atomic.Uint64 // slots so far
	_        [64]byte
}

// inFlight returns how many slots are taken.
func (t *pendingTable) inFlight() int {
	returned := t.returned.Load() // first, so that it is not the greater one
	return int(t.taken.Load() - returned)
}

// A pendingShard is the part of the table for every 16th seq. A seq has one
// place where its call may be, which is faster than a map; when a slow call is
// in that place, the call that comes takes another seq.
type pendingShard struct {
	mu     sync.Mutex
	calls  int            // places that are taken
	places []pendingPlace // a power of two, at least half of them free
	_      [24]byte       // fills a cache line
}

// A pendingPlace is where a call is.
type pendingPlace struct {
	seq  uint64  // 0: nowhere
	call pending // nil: the caller has left, the server not answered
}

// keptPlaces is how many places a shard without calls may keep.
const keptPlaces = 8

// at returns the place for a seq. There must be places.
func (s *pendingShard) at(seq uint64) *pendingPlace {
	return &s.places[seq/pendingShards%uint64(len(s.places))]
}

// put puts a call in its place; it reports false if that is taken.
func (s *pendingShard) put(seq uint64, p pending) bool {
	if 2*s.calls >= len(s.places) {
		s.grow()
	}
	place := s.at(seq)
	if place.seq != 0 {
		return false
	}
	*place = pendingPlace{seq, p}
	s.calls++
	return true
}

// grow doubles the places. Calls that were apart stay apart.
func (s *pendingShard) grow() {
	old := s.places
	s.places = make([]pendingPlace, max(2*len(old), keptPlaces))
	for _, place := range old {
		if place.seq != 0 {
			*s.at(place.seq) = place
		}
	}
}

// get returns the place of a call, or nil if there is no such call. The seq may
// be a peer's invention, and 0 is what stands in a place without a call.
func (s *pendingShard) get(seq uint64) *pendingPlace {
	if s.calls == 0 || seq == 0 {
		return nil
	}
	if place := s.at(seq); place.seq == seq {
		return place
	}
	return nil
}

// remove empties the place of a call.
func (s *pendingShard) remove(place *pendingPlace) {
	*place = pendingPlace{}
	if s.calls--; s.calls == 0 && len(s.places) > keptPlaces {
		s.places = nil
	}
}

// The state of a Client only ever gains bits.
const (
	closing  = 1 << iota // Close has been called
	draining             // no new calls: Shutdown has been called, or the server wants none
	shutdown             // the connection has gone
)

func (t *pendingTable) shard(seq uint64) *pendingShard { return &t.shards[seq%pendingShards] }

// refusal says why no call can be made, if so.
func (t *pendingTable) refusal() error {
	switch state := t.state.Load(); {
	case state&(closing|shutdown) != 0:
		return ErrShutdown
	case state&draining != 0:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client: being shut down", ErrShutdown)
	}
	return nil
}

// add takes a slot for a call, once there is one, and gives it its seq. It
// also tells whether other calls are in flight. It gives up when ctx or the
// connection ends.
func (t *pendingTable) add(ctx context.Context, p pending, ended <-chan struct{}) (seq uint64, others bool, err error) {
	for {
		seq, others, err := t.take(ctx, ended)
		if err != nil {
			return 0, false, err
		}
		p.begin(seq)
		s := t.shard(seq)
		wire.Lock(&s.mu)
		err = t.refusal() // under the lock: whoever changes the state looks at all shards afterwards
		placed := err == nil && s.put(seq, p)
		s.mu.Unlock()
		if placed {
			return seq, others, nil
		}
		t.release()
		if err != nil {
			return seq, others, err
		}
	}
}

// take takes a slot and returns its number. It also tells whether others are
// taken.
func (t *pendingTable) take(ctx context.Context, ended <-chan struct{}) (seq uint64, others bool, err error) {
	seq = t.taken.Add(1)
	if n := t.inFlight(); t.limit == 0 || n <= t.limit {
		return seq, n > 1, nil
	}
	t.release()
	t.waiting.Add(1)
	defer func() {
		t.waiting.Add(-1)
		t.wake() // there may be another slot, or it was for somebody else that we were woken
	}()
	for {
		if err := t.refusal(); err != nil {
			return 0, false, err
		}
		if seq := t.tryTake(); seq > 0 {
			return seq, true, nil
		}
		select {
		case <-t.freed:
		case <-ended:
			return 0, false, ErrShutdown
		case <-ctx.Done():
			return 0, false, contextError(ctx.Err(), InClient, RanNever)
		}
	}
}

// tryTake is take if a slot is free, otherwise it returns 0. Unlike take's own
// first try it never makes others who try believe that there is none.
func (t *pendingTable) tryTake() (seq uint64) {
	for {
		returned := t.returned.Load()
		taken := t.taken.Load()
		if t.limit > 0 && taken-returned >= uint64(t.limit) {
			return 0
		}
		if t.taken.CompareAndSwap(taken, taken+1) {
			return taken + 1
		}
	}
}

// release gives a slot back.
func (t *pendingTable) release() {
	returned := t.returned.Add(1)
	t.wake()
	if t.state.Load()&draining != 0 && returned == t.taken.Load() { // in this order: callers keep changing taken
		t.drained()
	}
}

// wake has one of those who wait for a slot look again.
func (t *pendingTable) wake() {
	if t.waiting.Load() > 0 {
		select {
		case t.freed <- struct{}{}:
		default:
		}
	}
}

// claim takes a call out of the table. It returns nil if its caller has left,
// or it never was.
func (t *pendingTable) claim(seq uint64) (p pending) {
	s := t.shard(seq)
	wire.Lock(&s.mu)
	place := s.get(seq)
	if place != nil {
		p = place.call
		s.remove(place)
	}
	s.mu.Unlock()
	if place != nil {
		t.release()
	}
	return p
}

// abandon is for a caller that leaves: it reports false if somebody has
// claimed the call. The slot stays taken until the server has answered, for
// the method goes on until it has noticed.
func (t *pendingTable) abandon(seq uint64) bool {
	s := t.shard(seq)
	wire.Lock(&s.mu)
	defer s.mu.Unlock()
	place := s.get(seq)
	if place == nil || place.call == nil {
		return false
	}
	place.call = nil
	return true
}

// target returns what the reply of a call is decoded into, nil if nobody waits
// for it.
func (t *pendingTable) target(seq uint64) any {
	s := t.shard(seq)
	wire.Lock(&s.mu)
	defer s.mu.Unlock()
	if place := s.get(seq); place != nil && place.call != nil {
		return place.call.target() // not later: a caller that leaves reuses its waiter
	}
	return nil
}

// drain has no more calls added.
func (t *pendingTable) drain() {
	t.state.Or(draining)
	t.wake()
	if t.inFlight() == 0 {
		t.drained()
	}
}

// end has no more calls added and claims all there are.
func (t *pendingTable) end() (left []pending) {
	t.state.Or(shutdown)
	for i := range t.shards {
		s := &t.shards[i]
		wire.Lock(&s.mu)
		for _, place := range s.places {
			if place.call != nil {
				left = append(left, place.call)
			}
		}
		s.places, s.calls = nil, 0
		s.mu.Unlock()
	}
	return left
}
