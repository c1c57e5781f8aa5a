package lazyctx

import "time"

// A Waiter waits for the end of a Context without making it, nor a Context that is its
// parent. It has what that takes, a timer and a channel, and may be used again, for one
// wait at a time.
type Waiter struct {
	timer     *time.Timer
	cancelled chan struct{} // capacity 2: receives when a Context that has this Waiter is cancelled
}

// NewWaiter returns a Waiter whose timer is stopped.
func NewWaiter() *Waiter {
	w := &Waiter{time.NewTimer(time.Hour), make(chan struct{}, 2)}
	w.timer.Stop()
	return w
}

// Wait waits until ready receives, or c ends. It reports whether ready has received.
// If not, c.Err says why c has ended. A Context without a deadline, and one that others
// need as well, is waited for like any other.
func (w *Waiter) Wait(c *Context, ready <-chan struct{}) (received bool) {
	parentEnded, parent := w.parentOf(c) // may run a user's code, which may panic
	if c.At.IsZero() || !w.register(c) {
		w.drain(w.unregister(parent))
		select {
		case <-ready:
			return true
		case <-c.Done():
			return false
		}
	}
	w.timer.Reset(time.Until(c.At))
	defer w.timer.Stop()
	cancelled := false
	select {
	case <-ready:
		received = true
	case <-parentEnded:
	case <-w.timer.C:
	case <-w.cancelled:
		cancelled = true
	}
	late := w.unregister(c) + w.unregister(parent)
	if cancelled {
		late--
	}
	w.drain(late)
	if !received {
		<-c.Done() // at once; but if somebody has made c, that may end a moment after the parent, or our timer
	}
	return received
}

// parentOf returns what is closed when the parent of c ends. If that is a Context with no
// earlier deadline, and nobody else needs it, parentOf registers and returns it, with
// what is closed when its own parent ends.
func (w *Waiter) parentOf(c *Context) (ended <-chan struct{}, registered *Context) {
	parent, ok := c.Parent.(*Context)
	if !ok || !parent.At.IsZero() && parent.At.Before(c.At) {
		return c.Parent.Done(), nil
	}
	ended = parent.Parent.Done()
	if !w.register(parent) {
		return parent.Done(), nil
	}
	return ended, parent
}

// register has c.Cancel end the wait. It reports false if c has been made, or has a
// Waiter.
func (w *Waiter) register(c *Context) bool {
	if !c.waiter.CompareAndSwap(nil, w) {
		return false
	}
	if c.made.Load() == nil { // if c is cancelled from now on, Cancel finds w
		return true
	}
	w.drain(w.unregister(c))
	return false
}

// unregister undoes register. It returns how often cancelled receives, or has received,
// because of c, which may be nil.
func (w *Waiter) unregister(c *Context) int {
	if c != nil && !c.waiter.CompareAndSwap(w, nil) {
		return 1 // Cancel has found w
	}
	return 0
}

// drain receives as often as Cancel has found w, or is about to send.
func (w *Waiter) drain(cancels int) {
	for range cancels {
		<-w.cancelled
	}
}
