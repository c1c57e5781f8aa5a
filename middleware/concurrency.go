package middleware

import (
	"container/list"
	"context"
	"sync"
	"time"

	"geerpc"
)

// The defaults of a Concurrency.
const (
	DefaultMinConcurrency = 4
	DefaultMaxConcurrency = 1000
	DefaultQueueTime      = 100 * time.Millisecond
)

// A Concurrency lets so many calls be under way at a time: for all calls, or for
// each Key. What is beyond is refused with resource exhausted, or waits a while
// in a queue. A service that takes on more than it can do at a time does not do
// more: everything takes longer, until nothing is done in time.
//
// The limit is fixed, or found by the time that calls take. It grows while
// calls have to be refused and take no longer than twice what they take when
// there are few, and shrinks when they take longer. When most calls run into
// their deadlines it is halved, although no answer says how long they would have
// taken. Every ten seconds, unless there were few calls anyway, it is cut to a
// third for about a tenth of a second, to measure what calls take when there are
// few: otherwise an overload that lasts would count as normal after a while, and
// the limit grow without end. It never leaves the range from Min to Max. Calls
// that are cancelled say nothing, nor do those that fail, unless the server was
// overloaded.
//
// On a server it belongs next to the methods, the last of the interceptors, so
// that it counts and measures nothing but them. A method that ignores the end
// of its context keeps its slot until it returns. Methods that take very
// different times should have limits of their own: Key ByMethod. On a client it
// keeps the calls of one program from overloading a server, inside Retry. A call
// costs two locks and a look into a map, about 0.3 µs, and no allocation unless
// it waits.
type Concurrency struct {
	// Limit is how many calls may be under way. Zero: the limit is adaptive;
	// negative: there is none.
	Limit int

	// Min and Max are the floor and the ceiling of an adaptive limit. Zero or
	// negative: 4 and 1,000.
	Min, Max int

	// Queue is how many more calls may wait for a slot. They get one in their
	// order. Zero or negative: none, which is right on clients.
	Queue int

	// QueueTime is how long a call may wait. Zero: 100 ms; negative: as long
	// as its context allows.
	QueueTime time.Duration

	// Key says which calls share a limit. Nil: all do.
	Key Key

	// MaxKeys is how many keys may have calls under way; calls of further ones
	// are refused. Keys without a call for a minute are forgotten, or earlier,
	// if there are too many. Zero or negative: 65,536.
	MaxKeys int

	refuser refuser
	once    sync.Once

	mu    sync.Mutex
	slots keyed[slots] // guarded by mu
}

// slots are what the calls of one key share. While there are any, its entry is pinned:
// otherwise a key could have more slots, if it was forgotten.
type slots struct {
	entry    *entry[slots]
	limit    adaptiveLimit
	underWay int
	queue    list.List // of *waiter
	delay    queueDelay
	used     time.Duration
}

// A waiter is a call in the queue.
type waiter struct {
	granted chan struct{} // closed when it has a slot
}

// Refused returns how many calls were refused, by reason.
func (c *Concurrency) Refused() map[string]int64 { return c.refuser.byReason() }

// Limits returns the present limit of each key that is remembered.
func (c *Concurrency) Limits() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := make(map[string]int, len(c.slots.entries))
	for key, e := range c.slots.entries {
		limits[key] = c.limitOf(&e.state)
	}
	return limits
}

// Intercept is a geerpc.Interceptor: each call needs a slot.
func (c *Concurrency) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	if c.Limit < 0 {
		return next
	}
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		s, refusal, err := c.acquire(ctx, c.Key.of(ctx, serviceMethod), max(c.Queue, 0))
		if refusal != (Refusal{}) {
			return c.refuser.refuse(geerpc.CodeResourceExhausted, refusal)
		}
		if err != nil {
			return err
		}
		said := saysNothing
		defer func() { c.release(s, said) }() // also if next panics
		err = next(ctx, serviceMethod, args, reply)
		said = loadOf(ctx, err)
		return err
	}
}

// A slot is what a call under way has.
type slot struct {
	of     *slots
	since  time.Duration
	waited time.Duration // before
}

// acquire takes a slot, or waits for one if no more than queue calls do. It
// returns a refusal, or the error of a context that has ended.
func (c *Concurrency) acquire(ctx context.Context, key string, queue int) (slot, Refusal, error) {
	c.once.Do(func() { c.slots.max = c.MaxKeys })
	s, place, refusal := c.enter(key, queue)
	if place == nil {
		return s, refusal, nil
	}
	late, stop := c.queueTimer()
	defer stop()
	granted := place.Value.(*waiter).granted
	select {
	case <-granted:
	case <-late:
		if c.leave(s.of, place) {
			return slot{}, Refusal{By: "concurrency", Reason: "waited too long"}, nil
		} // else it has got a slot meanwhile
	case <-ctx.Done():
		if !c.leave(s.of, place) {
			c.release(s, saysNothing)
		}
		return slot{}, Refusal{}, contextError(ctx)
	}
	at := now()
	return slot{s.of, at, at - s.since}, Refusal{}, nil
}

func (c *Concurrency) queueTimer() (late <-chan time.Time, stop func() bool) {
	patience := c.QueueTime
	if patience == 0 {
		patience = DefaultQueueTime
	}
	if patience < 0 {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(patience)
	return timer.C, timer.Stop
}

// enter takes a slot if there is one, or a place in the queue.
func (c *Concurrency) enter(key string, queue int) (slot, *list.Element, Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := now()
	s := c.slotsLocked(key, at)
	if s == nil {
		return slot{}, nil, Refusal{By: "concurrency", Reason: "too many keys"}
	}
	if s.underWay < c.limitOf(s) && s.queue.Len() == 0 {
		s.underWay++
		s.limit.begin(at, s.underWay)
		s.delay.none()
		return slot{of: s, since: at}, nil, Refusal{}
	}
	s.limit.reached = true
	switch {
	case queue == 0:
		return slot{}, nil, Refusal{By: "concurrency", Reason: "all slots are taken"}
	case s.queue.Len() >= queue:
		return slot{}, nil, Refusal{By: "concurrency", Reason: "the queue is full"}
	}
	return slot{of: s, since: at}, s.queue.PushBack(&waiter{make(chan struct{})}), Refusal{}
}

// slotsLocked returns the slots of a key, nil if there are too many keys.
func (c *Concurrency) slotsLocked(key string, at time.Duration) *slots {
	if !c.slots.hasRoom(key) {
		return nil
	}
	e, isNew := c.slots.get(key, func(s *slots) bool { return at-s.used > time.Minute })
	c.slots.pin(e) // it has calls now, if it had none
	s := &e.state
	if isNew {
		s.entry = e
		s.limit.prepare(c.Min, c.Max)
	}
	s.used = at
	return s
}

// leave takes a call out of the queue. It reports false if it has a slot.
func (c *Concurrency) leave(s *slots, place *list.Element) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-place.Value.(*waiter).granted:
		return false
	default:
	}
	s.queue.Remove(place)
	return true
}

// release gives back a slot, with what the call says about the load, and grants
// what is free to those who wait.
func (c *Concurrency) release(held slot, said load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, s := now(), held.of
	s.underWay--
	s.used = at
	if c.Limit == 0 {
		s.limit.end(at, at-held.since, said, s.underWay)
	}
	for first := s.queue.Front(); first != nil && s.underWay < c.limitOf(s); first = s.queue.Front() {
		s.queue.Remove(first)
		s.underWay++
		s.limit.begin(at, s.underWay)
		close(first.Value.(*waiter).granted)
	}
	if s.underWay == 0 {
		c.slots.unpin(s.entry)
	}
}

func (c *Concurrency) limitOf(s *slots) int {
	if c.Limit > 0 {
		return c.Limit
	}
	return s.limit.now()
}

// contextError returns the error of a call whose context has ended before it ran.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	return &geerpc.Error{Code: geerpc.CodeOf(err), Message: "rpc: waiting for a slot: " + err.Error(),
		Where: geerpc.InClient, Ran: geerpc.RanNever}
}
