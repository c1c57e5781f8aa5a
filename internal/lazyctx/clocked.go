package lazyctx

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
)

// A Clocked is a context for one of many that share a parent and a Clock. It ends with
// the Clock's parent, at a deadline or when it is cancelled. It must be cancelled in
// the end. Clock and Due are set before its first use.
//
//	          Cancel, or Err finds that it has ended
//	alive ─────────────────────────────────────────────→ ended
//	  └──→ watched ──────────────────────────────────→ watched, ended
//	  Done            the same, or the Clock ends it
type Clocked struct {
	Clock *Clock
	Due   time.Duration // the deadline, by monotime; 0: none

	state atomic.Uint32
	index int32 // in the Clock's heap, while it is watched and has not ended

	deadline time.Time // Due, once somebody has asked; guarded by the Clock's mu

	// These do not change once it is watched, and say nothing before. One of them is set.
	done chan struct{}
	hub  *hub // package context can link children to it
}

// The state of a Clocked is why it has ended, or stateAlive, and a bit. While the bit is
// set, or being set, the state changes under the Clock's mu.
const (
	stateAlive     = iota
	stateCancelled // by Cancel
	stateExpired   // at its deadline
	stateLost      // with the parent

	stateReason  = 3 // the bits of the above
	stateWatched = 4 // somebody has asked for Done
)

// Deadline implements context.Context.
func (c *Clocked) Deadline() (at time.Time, ok bool) {
	if c.Due == 0 {
		return time.Time{}, false
	}
	c.Clock.mu.Lock()
	defer c.Clock.mu.Unlock()
	if c.deadline.IsZero() {
		now := time.Now()
		c.deadline = now.Add(c.Due - monotime.At(now)) // exactly Due: left would look at the clock again
	}
	return c.deadline, true
}

// left returns how long it is until the deadline, which there is.
func (c *Clocked) left() time.Duration { return c.Due - monotime.Now() }

// Done implements context.Context.
func (c *Clocked) Done() <-chan struct{} {
	if done := c.watched(); done != nil {
		return done
	}
	return c.Clock.watch(c)
}

// watched returns the channel for Done, or nil if nobody has asked for it.
func (c *Clocked) watched() <-chan struct{} {
	switch {
	case c.state.Load()&stateWatched == 0:
		return nil
	case c.hub != nil:
		return c.hub.ctx.Done()
	}
	return c.done
}

// Err implements context.Context.
func (c *Clocked) Err() error {
	switch {
	case c.reason() != stateAlive:
	case c.Clock.Parent.Err() != nil:
		c.end(stateLost)
	case c.Due != 0 && c.left() <= 0:
		c.end(stateExpired)
	default:
		return nil
	}
	if done := c.watched(); done != nil {
		<-done // closed a moment later than the state is changed
	}
	return c.why()
}

func (c *Clocked) reason() uint32 { return c.state.Load() & stateReason }

// why returns the error of a context that has ended.
func (c *Clocked) why() error {
	switch c.reason() {
	case stateCancelled:
		return context.Canceled
	case stateExpired:
		return context.DeadlineExceeded
	}
	return c.Clock.Parent.Err()
}

// Cancel ends the context. It may be called again. It reports whether nobody has needed
// the context, so that nobody looks at c any more.
func (c *Clocked) Cancel() (unneeded bool) { return c.end(stateCancelled) }

// end ends the context for a reason, if it has not ended. It reports whether nobody has
// asked for Done, or found that the context has ended.
func (c *Clocked) end(reason uint32) (unneeded bool) {
	if c.state.CompareAndSwap(stateAlive, reason) {
		return true
	}
	if c.state.Load() == stateWatched {
		c.Clock.end(c, reason)
	}
	return false
}

// Value implements context.Context. Package context looks for a context of its own with
// it: to link a child to, and for a cause.
func (c *Clocked) Value(key any) any {
	if key == contextKey {
		if v := c.standIn(); v != nil {
			return v
		}
	}
	return c.Clock.Parent.Value(key)
}

// standIn returns package context's own context that stands for this one, or nil if that
// is the parent's: it has the same cause, and links no children, since its Done differs.
func (c *Clocked) standIn() any {
	c.Err()
	switch state := c.state.Load(); {
	case state&stateWatched != 0 && c.hub != nil:
		c.Clock.noteDerived()
		return c.hub.ctx.Value(contextKey)
	case state == stateWatched:
		c.Clock.noteDerived()
	}
	return c.endedValue(contextKey)
}

// endedValue returns the value of a context that has ended for the same reason, nil if c
// has not ended, or with its parent.
func (c *Clocked) endedValue(key any) any {
	switch c.reason() {
	case stateCancelled:
		return cancelledAlready.Value(key)
	case stateExpired:
		return expiredAlready.Value(key)
	}
	return nil
}

// String implements fmt.Stringer: contexts made from this one print it as theirs.
func (c *Clocked) String() string { return "lazyctx.Clocked" }

// Format implements fmt.Formatter. Without it, some verb would print fields while others
// change them.
func (c *Clocked) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }
