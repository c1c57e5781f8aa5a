package geerpc

import (
	"context"
	"runtime"
)

// enqueue has the call w sent together with others, by a goroutine that is at
// it or is started now. A caller would not do: it would be held up beyond its
// context by arguments of others that take their time to be encoded.
func (c *Client) enqueue(w *waiter) {
	w.state.Store(queued)
	if c.outbox.add(&w.job) && c.link.Hold() {
		c.senders.run(c) // until nothing is queued; Close waits
	}
	// When the connection ends, terminate looks into the outbox once.
	if c.pending.over() && w.state.CompareAndSwap(queued, left) {
		w.deliver(nil, c.unsent(context.Background(), c.link.Cause()))
	}
}

// refuseQueued ends the calls that are in the outbox when the connection ends.
// The sender may be kept by an argument.
func (c *Client) refuseQueued(cause error) {
	for w := c.next(); w != nil; w = c.next() {
		if w.state.CompareAndSwap(queued, refused) {
			w.deliver(nil, c.unsent(context.Background(), cause))
		}
	}
}

// next takes a call out of the outbox, if one is there.
func (c *Client) next() *waiter {
	c.taking.Lock()
	defer c.taking.Unlock()
	return c.outbox.take()
}

// sent ends the sender's work, which it reports, if nothing is left to be sent,
// or the connection has ended: terminate takes what is queued then.
func (c *Client) sent() bool {
	c.taking.Lock()
	defer c.taking.Unlock()
	return c.link.Cause() != nil || c.outbox.end()
}

// work sends what callers have put into the outbox, until it is empty or the
// connection ends.
func (c *Client) work() {
	ended := false
	defer func() {
		if !ended { // what is encoded has ended our goroutine
			c.senders.run(c)
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
	c.pending.reserve()
	defer c.pending.release()
	defer c.link.Flush(false) // also what was encoded before something that ends our goroutine
	c.sendAll()
	runtime.Gosched() // what others are about to send goes along
	c.sendAll()
}

// sendAll sends what is queued, as far as there is room.
func (c *Client) sendAll() {
	c.link.SendTogether(func(alive bool) bool {
		if !alive || !c.pending.hasRoom() {
			return false
		}
		w := c.next()
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
			end, ours = refused, w.seq == 0 || c.pending.claim(w.seq) != nil
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
