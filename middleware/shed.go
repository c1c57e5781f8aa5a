package middleware

import (
	"context"
	"sync"
	"time"

	"geerpc"
)

// The defaults of a Shed.
const (
	DefaultShedTarget   = 5 * time.Millisecond
	DefaultShedInterval = 100 * time.Millisecond
	DefaultShedQueue    = 1000
)

// A Shed refuses calls that can't be answered in time, before they cost anything:
//
//   - calls whose deadline has passed;
//   - calls that have less time left than nine in ten calls of the method take;
//   - calls that had to wait too long for one of the slots of a Concurrency.
//
// For the last it needs a Concurrency, which it then has in it: leave that out of
// the interceptors.
//
//	shed := &middleware.Shed{Concurrency: &middleware.Concurrency{}}
//	server.Interceptors = []geerpc.Interceptor{shed.Intercept}
//
// Beyond the Concurrency's limit up to Queue calls wait, in their order. A queue
// that comes and goes absorbs bursts. One that stands only makes all calls late:
// when no call in an Interval got its slot within Target, calls that waited for
// more than twice the Target are refused as they reach the front, until there is
// one that waited less. That is CoDel, which is for queues of packets, with the
// rule for dropping that queues of calls need: all that are late, and not one by
// one. (An interceptor sees no other queue: that of the connection it is behind,
// and that of the Go scheduler stays short if the limit is right.)
//
// The time that a method takes is a low quantile of the calls that succeeded
// here, once there were ten: few calls are refused that could have been answered.
// If all are refused for that reason, one a second is let through, to find out
// whether the method has become faster. Calls without a deadline are never
// refused for their time.
//
// A call whose deadline has passed fails with deadline exceeded, all others
// with resource exhausted.
//
// It belongs on a server, last, where a Concurrency would be. Admit looks at the
// time only, and spares the decoding of what has none; it knows what methods
// take from Intercept, so use both. A call costs two locks and a look into a map,
// about 0.3 µs, the Concurrency included 0.6 µs, and one allocation at most.
type Shed struct {
	// Concurrency has the slots that calls wait for. Its Queue does not
	// matter, its QueueTime does. Nil: calls do not wait.
	Concurrency *Concurrency

	// Queue is how many calls may wait for each Key of the Concurrency. Zero:
	// 1,000; negative: none.
	Queue int

	// Target is how long calls may wait while a queue stands, and Interval how
	// long one has to stand. Zero: 5 ms and 100 ms; a negative Target: queues
	// may stand.
	Target, Interval time.Duration

	refuser refuser

	mu      sync.Mutex
	methods keyed[methodTime] // guarded by mu
}

// Refused returns how many calls were refused, by reason. What its Concurrency
// refused is in that one's.
func (s *Shed) Refused() map[string]int64 { return s.refuser.byReason() }

// Admit refuses a call that has no time for its method. It is for Server.Admit.
func (s *Shed) Admit(ctx context.Context, serviceMethod string) error {
	return s.check(ctx, serviceMethod, atAdmit)
}

// check refuses a call that has no time for its method.
func (s *Shed) check(ctx context.Context, serviceMethod string, at checkpoint) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return s.refuser.refuse(geerpc.CodeDeadlineExceeded, Refusal{By: "shed", Reason: "expired"})
	}
	s.mu.Lock()
	e := s.methods.entries[serviceMethod]
	enough := e == nil || e.state.fits(left, now(), deadline, at)
	s.mu.Unlock()
	if !enough {
		return s.refuser.refuse(geerpc.CodeResourceExhausted, Refusal{By: "shed", Reason: "too little time left"})
	}
	return nil
}

// Intercept is a geerpc.Interceptor: it refuses what can't be answered in time, and
// measures the rest.
func (s *Shed) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	measured := func(ctx context.Context, serviceMethod string, args, reply any) error {
		began := now()
		err := next(ctx, serviceMethod, args, reply)
		s.observe(serviceMethod, began, loadOf(ctx, err))
		return err
	}
	enter := func(ctx context.Context, serviceMethod string) error { return s.check(ctx, serviceMethod, atEntry) }
	return admitting(enter, func(ctx context.Context, serviceMethod string, args, reply any) error {
		if s.Concurrency == nil || s.Concurrency.Limit < 0 {
			return measured(ctx, serviceMethod, args, reply)
		}
		return s.wait(ctx, serviceMethod, func() error { return measured(ctx, serviceMethod, args, reply) })
	})
}

// wait runs a call when it has a slot, unless it has waited for too long.
func (s *Shed) wait(ctx context.Context, serviceMethod string, run func() error) error {
	c := s.Concurrency
	held, refusal, err := c.acquire(ctx, c.Key.of(ctx, serviceMethod), s.queue())
	if refusal != (Refusal{}) {
		return c.refuser.refuse(geerpc.CodeResourceExhausted, refusal)
	}
	if err != nil {
		return err
	}
	said := saysNothing
	defer func() { c.release(held, said) }() // also if next panics
	if held.waited > 0 {
		if s.stands(held) {
			return s.refuser.refuse(geerpc.CodeResourceExhausted, Refusal{By: "shed", Reason: "queueing delay"})
		}
		if err := s.check(ctx, serviceMethod, atSlot); err != nil {
			return err
		}
	}
	err = run()
	said = loadOf(ctx, err)
	return err
}

func (s *Shed) queue() int {
	if s.Queue == 0 {
		return DefaultShedQueue
	}
	return max(s.Queue, 0)
}

// stands notes how long a call has waited, and reports whether it was too long in
// a queue that stands.
func (s *Shed) stands(held slot) bool {
	target, interval := s.Target, s.Interval
	if target < 0 {
		return false
	}
	if target == 0 {
		target = DefaultShedTarget
	}
	if interval <= 0 {
		interval = DefaultShedInterval
	}
	s.Concurrency.mu.Lock()
	defer s.Concurrency.mu.Unlock()
	return held.of.delay.note(held.since, held.waited, target, interval) && held.waited > 2*target
}

// A queueDelay says whether a queue stands.
type queueDelay struct {
	ends   time.Duration // the interval
	least  time.Duration // that a call waited in it
	stands bool
}

// note notes how long a call has waited, and reports whether the queue stands: in
// the last whole interval, which has just gone by, every call waited longer than
// target.
func (d *queueDelay) note(at, waited, target, interval time.Duration) bool {
	if at < d.ends {
		d.least = min(d.least, waited)
		return d.stands
	}
	d.stands = at-d.ends < interval && d.least > target
	d.ends, d.least = at+interval, waited
	return d.stands
}

// none notes that a call did not have to wait.
func (d *queueDelay) none() { d.least = 0 }

func (s *Shed) observe(serviceMethod string, began time.Duration, said load) {
	if said == saysNothing {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now()
	e, _ := s.methods.get(serviceMethod, func(m *methodTime) bool { return at-m.latest > time.Hour })
	e.state.observe(at, at-began, said)
}

const (
	// leastTimes is how many times are needed to know what a method takes.
	leastTimes = 10

	// A low quantile rises slowly and falls fast: where one call in ten is
	// faster, the steps are even.
	quantileUp, quantileDown = 1.005, 0.955

	// retryShed is how often a call is let through although it seems to have
	// too little time.
	retryShed = time.Second
)

// A methodTime is what the faster tenth of a method's calls takes. The Shed
// guards it.
type methodTime struct {
	takes  time.Duration
	times  int
	latest time.Duration // when there was one

	tried      time.Duration // when a call was let through
	triedUntil time.Time     // its deadline in Intercept
	admitted   bool          // Admit let it through, and it has not come to Intercept
}

// A checkpoint is where a call's time is looked at. A call may pass all of them, in
// this order.
type checkpoint uint8

const (
	atAdmit checkpoint = iota
	atEntry            // of Intercept
	atSlot             // after it waited
)

func (m *methodTime) observe(at, took time.Duration, said load) {
	first := m.times < leastTimes || at-m.latest > retryShed
	switch {
	case said == overloaded:
		if m.times == 0 || took <= m.takes {
			return // it may have taken any time
		}
		m.takes = min(took, time.Duration(float64(m.takes)*quantileUp))
	case m.times == 0, first && took < m.takes:
		m.takes = took
	case m.times < leastTimes: // the least of them
	case took > m.takes:
		m.takes = min(took, time.Duration(float64(m.takes)*quantileUp)+1)
	default:
		m.takes = max(took, time.Duration(float64(m.takes)*quantileDown))
	}
	m.times++
	m.latest = at
}

// fits reports whether a call with so much time left may be answered in time. One
// a second may try if there was no answer for a second. That one passes the later
// checkpoints too: Intercept takes the first that comes, because its deadline is not
// the one that Admit saw; from there on it is known by its deadline.
func (m *methodTime) fits(left, at time.Duration, deadline time.Time, where checkpoint) bool {
	if m.times < leastTimes || left >= m.takes {
		return true
	}
	if at-m.latest < retryShed {
		return false
	}
	if at-m.tried < retryShed && (where != atEntry || !m.admitted) {
		return where == atSlot && deadline.Equal(m.triedUntil)
	}
	m.admitted = where == atAdmit
	if at-m.tried >= retryShed {
		m.tried = at
	}
	m.triedUntil = deadline
	return true
}
