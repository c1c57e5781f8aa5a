package middleware

import (
	"context"
	"errors"
	"time"

	"geerpc"
	"geerpc/codec"
)

// A result is what a call says about what was called.
type result uint8

const (
	uncounted result = iota // nothing
	success
	failure
)

func (b *Breaker) judge(ctx context.Context, err error) result {
	if err == nil && b.IsFailure == nil {
		return success
	}
	var refusal *Refusal
	if errors.Is(err, context.Canceled) || ctx.Err() == context.Canceled || errors.As(err, &refusal) {
		return uncounted
	}
	isFailure := b.IsFailure
	if isFailure == nil {
		isFailure = ServerFailed
	}
	if isFailure(ctx, err) {
		return failure
	}
	return success
}

// ServerFailed reports whether the error of a call speaks against the server, or
// the way to it: unavailable, deadline exceeded, internal, and resource exhausted
// unless a message was too large. What the method says itself does not, a panic
// included, unless it gave up because the deadline of ctx, the call's context,
// had come. A message that the client could not send does not either.
//
// It is the IsFailure of a Breaker that has none.
func ServerFailed(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	code := geerpc.CodeOf(err)
	var e *geerpc.Error
	if !errors.As(err, &e) || e.Where == geerpc.InMethod && e.Ran == geerpc.RanYes {
		return code == geerpc.CodeDeadlineExceeded && atDeadline(ctx)
	}
	switch code {
	case geerpc.CodeUnavailable, geerpc.CodeDeadlineExceeded:
		return true
	case geerpc.CodeResourceExhausted:
		return e.Where != geerpc.InClient && !errors.Is(err, codec.ErrTooLarge)
	case geerpc.CodeInternal:
		return e.Where != geerpc.InClient
	}
	return false
}

// atDeadline reports whether a context's deadline has come, or nearly: a method
// may keep a little of the time for itself.
func atDeadline(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 10*time.Millisecond
}

// circuitSettings are those of a Breaker, the defaults filled in.
type circuitSettings struct {
	share         float64
	minCalls      int
	window, pause time.Duration
	probes        int
}

func (s circuitSettings) withDefaults() circuitSettings {
	if s.share == 0 {
		s.share = DefaultBreakerShare
	}
	if s.minCalls <= 0 {
		s.minCalls = DefaultBreakerMinCalls
	}
	if s.window <= 0 {
		s.window = DefaultBreakerWindow
	}
	if s.pause <= 0 {
		s.pause = DefaultBreakerPause
	}
	if s.probes <= 0 {
		s.probes = DefaultBreakerProbes
	}
	return s
}

// probeTime is how long a probe may take before it gets another one beside it.
func (s *circuitSettings) probeTime() time.Duration { return max(s.pause, time.Second) }

// circuitSlots is how many parts the window of a circuit has.
const circuitSlots = 10

// A circuit is the state of a Breaker for one key. Its Breaker guards it.
type circuit struct {
	state      BreakerState
	generation int // counts changes: calls of an earlier one don't count

	slots [circuitSlots]circuitSlot // closed: the latest calls

	until time.Duration // open: when it ends

	probesOut, probesGood int           // half-open: in flight, and succeeded
	latestProbe           time.Duration // half-open
}

// A circuitSlot counts the calls that ended in a tenth of the window.
type circuitSlot struct {
	number          int64 // of the tenth, since start
	calls, failures int
}

// begin lets a call pass, or says why not. The zero Refusal is none.
func (c *circuit) begin(s *circuitSettings, at time.Duration) Refusal {
	if c.state == BreakerClosed {
		return Refusal{}
	}
	if c.state == BreakerOpen {
		if at < c.until {
			return Refusal{By: "breaker", Reason: "open", RetryAfter: c.until - at}
		}
		c.change(BreakerHalfOpen)
	}
	overdue := at-c.latestProbe >= s.probeTime()
	if c.probesOut+c.probesGood >= s.probes && !overdue {
		return Refusal{By: "breaker", Reason: "half-open"}
	}
	c.probesOut++
	c.latestProbe = at
	return Refusal{}
}

// end counts a call that began in this generation.
func (c *circuit) end(s *circuitSettings, at time.Duration, r result) {
	switch {
	case c.state == BreakerHalfOpen:
		c.endProbe(s, at, r)
	case r != uncounted && c.count(s, at, r == failure):
		c.open(s, at)
	}
}

func (c *circuit) endProbe(s *circuitSettings, at time.Duration, r result) {
	c.probesOut--
	switch r {
	case failure:
		c.open(s, at)
	case success:
		if c.probesGood++; c.probesGood >= s.probes {
			c.change(BreakerClosed)
		}
	}
}

func (c *circuit) open(s *circuitSettings, at time.Duration) {
	c.change(BreakerOpen)
	c.until = at + s.pause
}

func (c *circuit) change(to BreakerState) { *c = circuit{state: to, generation: c.generation + 1} }

// count counts a call, and reports whether there are too many failures.
func (c *circuit) count(s *circuitSettings, at time.Duration, failed bool) bool {
	number := s.slotNumber(at)
	slot := &c.slots[number%circuitSlots]
	if slot.number != number {
		*slot = circuitSlot{number: number}
	}
	slot.calls++
	if !failed {
		return false
	}
	slot.failures++
	calls, failures := c.recent(number)
	return s.share > 0 && calls >= s.minCalls && float64(failures) >= s.share*float64(calls)
}

func (s *circuitSettings) slotNumber(at time.Duration) int64 {
	return int64(at / max(s.window/circuitSlots, 1))
}

// recent returns what was counted in the window.
func (c *circuit) recent(number int64) (calls, failures int) {
	for _, slot := range c.slots {
		if number-slot.number < circuitSlots {
			calls += slot.calls
			failures += slot.failures
		}
	}
	return calls, failures
}

// idle reports whether the circuit may be forgotten: nothing has happened in the window.
func (c *circuit) idle(s *circuitSettings, at time.Duration) bool {
	switch c.state {
	case BreakerOpen:
		return at-c.until > s.window
	case BreakerHalfOpen:
		return at-c.latestProbe > s.window+s.probeTime()
	}
	calls, _ := c.recent(s.slotNumber(at))
	return calls == 0
}
