package lazyctx

import "time"

// A Waiter waits for the end of a Context without making it. It has what that takes, a
// timer and a channel, and may be used again, for one wait at a time.
type Waiter struct {
	timer     *time.Timer
	cancelled chan struct{} // capacity 1: receives when a Context that has this Waiter is cancelled
}

// NewWaiter returns a Waiter whose timer is stopped.
func NewWaiter() *Waiter {
	w := &Waiter{time.NewTimer(time.Hour), make(chan struct{}, 1)}
	w.timer.Stop()
	return w
}

// Wait waits until ready receives, or c ends. It reports whether ready has received.
// If not, c.Err says why c has ended. A Context without a deadline, and one that others
// need as well, is waited for like any other.
func (w *Waiter) Wait(c *Context, ready <-chan struct{}) (received bool) {
	parentEnded := c.Parent.Done() // a user's code, which may panic
	if c.At.IsZero() || !w.register(c) {
		select {
		case <-ready:
			return true
		case <-c.Done():
			return false
		}
	}
	w.timer.Reset(time.Until(c.At))
	defer w.timer.Stop()
	select {
	case <-ready:
		w.unregister(c)
		return true
	case <-parentEnded:
		w.unregister(c)
	case <-w.timer.C:
		w.unregister(c)
	case <-w.cancelled: // Cancel has unregistered it
	}
	<-c.Done() // at once; but if somebody has made c, that may end a moment after the parent, or our timer
	return false
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
	w.unregister(c)
	return false
}

func (w *Waiter) unregister(c *Context) {
	if !c.waiter.CompareAndSwap(w, nil) {
		<-w.cancelled // Cancel has found w
	}
}
