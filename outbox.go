package geerpc

import (
	"context"
	"runtime"
	"sync"
)

// An outbox holds calls that wait to be sent. One goroutine at a time, the
// sender, encodes them all: its stack and the buffers it writes to are in the
// cache, where those of a thousand callers are not. The zero value is empty.
type outbox struct {
	mu      sync.Mutex // guards what follows
	calls   []*waiter  // the oldest first; those before next have been taken
	next    int
	sending bool // there is a sender, or will be
}

// keptOutbox limits the room that an empty outbox keeps.
const keptOutbox = 1 << 10

// add adds a call, and reports whether the caller must start the sender.
func (o *outbox) add(w *waiter) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, w)
	first = !o.sending
	o.sending = true
	return first
}

// take returns the oldest call, or nil if there is none at present.
func (o *outbox) take() *waiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == len(o.calls) {
		o.calls, o.next = o.calls[:0], 0
		if cap(o.calls) > keptOutbox {
			o.calls = nil
		}
		return nil
	}
	w := o.calls[o.next]
	o.calls[o.next] = nil // the call is its caller's again
	o.next++
	return w
}

// end ends the sender's work, which it reports, unless there are calls again.
func (o *outbox) end() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = o.next < len(o.calls)
	return !o.sending
}

// busy reports whether there is a sender.
func (o *outbox) busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sending
}

// enqueue has the call w sent together with others, by a goroutine that is at
// it or is started now. A caller would not do: it would be held up beyond its
// context by arguments of others that take their time to be encoded.
func (c *Client) enqueue(w *waiter) {
	w.state.Store(queued)
	if c.outbox.add(w) && c.link.Hold() {
		go c.work() // ends when nothing is queued; Close waits
	}
	// When the connection ends, terminate looks into the outbox once.
	if c.inFlight.Ended() && w.state.CompareAndSwap(queued, left) {
		w.deliver(nil, c.unsent(context.Background(), c.link.Cause()))
	}
}

// refuseQueued ends the calls that are in the outbox when the connection ends.
// The sender may be kept by an argument.
func (c *Client) refuseQueued(cause error) {
	for w := c.outbox.take(); w != nil; w = c.outbox.take() {
		if w.state.CompareAndSwap(queued, refused) {
			w.deliver(nil, c.unsent(context.Background(), cause))
		}
	}
}

// sent ends the sender's work, which it reports, if nothing is left to be sent,
// or the connection has ended: terminate takes what is queued then.
func (c *Client) sent() bool { return c.link.Cause() != nil || c.outbox.end() }

// work sends what callers have put into the outbox, until it is empty or the
// connection ends.
func (c *Client) work() {
	ended := false
	defer func() {
		if !ended { // what is encoded has ended our goroutine
			go c.work() // ends when nothing is queued
			return
		}
		c.link.Release()
	}()
	for !c.sent() {
		c.sendQueued()
	}
	ended = true
}

// sendQueued sends what is queued now, once there is room for a call.
func (c *Client) sendQueued() {
	c.inFlight.Reserve()
	defer c.inFlight.Release()
	defer c.link.Flush(false) // also what was encoded before something that ends our goroutine
	c.sendAll()
	runtime.Gosched() // what others are about to send goes along
	c.sendAll()
}

// sendAll sends what is queued, as far as there is room.
func (c *Client) sendAll() {
	c.link.SendTogether(func(alive bool) bool {
		if !alive || !c.inFlight.HasRoom() {
			return false
		}
		w := c.outbox.take()
		if w != nil {
			c.encode(w)
		}
		return w != nil
	})
}

// encode sends one call, whose turn it is, and gives it back to its caller.
func (c *Client) encode(w *waiter) {
	if !w.state.CompareAndSwap(queued, encoding) {
		return
	}
	err := errEncoderExit
	defer func() {
		end, ours := uint32(mine), false
		if err != nil {
			end, ours = refused, w.seq == 0 || c.inFlight.Claim(w.seq) != nil
		}
		if w.state.Swap(end) == awaited {
			w.done <- struct{}{}
		}
		if ours {
			w.deliver(nil, err)
		}
	}()
	err = c.put(&w.request, w, true)
}

var errEncoderExit error = &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
	Message: "rpc client: the arguments ended the goroutine that encoded them"}
