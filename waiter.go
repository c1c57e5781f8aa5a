package geerpc

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"geerpc/codec"
)

// A waiter is a call somebody waits for. It belongs to the caller, but for
// the state; to the sender while that encodes it; and to whoever has claimed
// it from the pending calls until it is delivered.
type waiter struct {
	header codec.Header
	args   any
	reply  any
	job    job[waiter]
	state  atomic.Uint32
	unsent error // why it could not be sent
	md     Metadata
	err    error
	done   chan struct{} // capacity 1
}

// States of a waiter.
const (
	mine     = iota // no sender has it
	queued          // one is going to have it
	encoding        // one has it
	awaited         // the same, and the caller waits for the end of that
	left            // the caller has gone, the sender is to skip it
)

func newWaiter() any {
	w := &waiter{done: make(chan struct{}, 1)}
	w.job.of = w
	return w
}

// reset forgets the call.
func (w *waiter) reset() {
	*w = waiter{done: w.done}
	w.job.of = w
}

func (w *waiter) begin(seq uint64) { w.header.Seq = seq }

func (w *waiter) target() any { return w.reply }

func (w *waiter) deliver(md Metadata, err error) {
	w.md, w.err = md, err
	w.done <- struct{}{}
}

func (w *waiter) recall() bool {
	<-w.done
	return true
}

// await waits until w is delivered or ctx ends. It reports whether w may be
// used again.
func (c *Client) await(ctx context.Context, w *waiter) (reusable bool, err error) {
	delivered := true
	if ctx.Done() == nil { // cheaper than a select
		<-w.done
	} else {
		select {
		case <-w.done:
		case <-ctx.Done():
			if delivered = !c.pending.abandon(w.header.Seq); delivered {
				<-w.done // it is being decoded already
			}
		}
	}
	sent := w.part()
	switch {
	case !sent && !delivered:
		c.pending.claim(w.header.Seq) // no answer is going to free the slot
		return false, contextError(ctx.Err(), InClient, RanNever)
	case !sent && c.link.cause() != nil:
		return false, c.unsent(ctx, c.link.cause())
	case !delivered:
		if c.link.kinds.has(codec.Cancel) {
			c.link.post(control{kind: codec.Cancel, seq: w.header.Seq})
		}
		return true, contextError(ctx.Err(), OnLink, RanMaybe)
	case w.unsent != nil:
		return true, c.unsent(ctx, w.unsent)
	}
	return sent, w.err
}

// part takes w from the sender, even if it is being encoded. It reports false
// if the sender has not had it yet: it still holds w, and is going to skip it.
func (w *waiter) part() (sent bool) {
	for {
		switch w.state.Load() {
		case mine:
			return true
		case queued:
			if w.state.CompareAndSwap(queued, left) {
				return false
			}
		case encoding:
			if w.state.CompareAndSwap(encoding, awaited) {
				<-w.done
				return true
			}
		}
	}
}

// enqueue has w sent together with others, by a goroutine that is at it or is
// started now. A caller would not do: it would be held up beyond its context
// by arguments of others that take their time to be encoded.
func (c *Client) enqueue(w *waiter) {
	w.state.Store(queued)
	if c.outbox.add(&w.job) && c.link.enter() {
		go c.sendQueued() // ends when nothing is queued; Close waits
	}
}

// sendQueued sends what callers have put into the outbox, until it is empty.
func (c *Client) sendQueued() {
	ended := false
	defer func() {
		if !ended { // what is encoded has ended our goroutine
			go c.sendQueued()
			return
		}
		c.link.leave()
	}()
	for !ended {
		c.sendAll()
		runtime.Gosched() // what others are about to send goes along
		c.sendAll()
		c.link.flush(false)
		ended = c.outbox.end()
	}
}

func (c *Client) sendAll() {
	for w := c.outbox.take(); w != nil; w = c.outbox.take() {
		if c.link.out.Begin(c.link.ctx) == nil {
			c.encode(w)
		}
	}
}

// encode sends one call, whose turn it is, and gives it back to its caller.
func (c *Client) encode(w *waiter) {
	defer c.link.out.End()
	if !w.state.CompareAndSwap(queued, encoding) {
		return
	}
	w.unsent = errEncoderExit
	defer func() {
		if w.unsent != nil && c.pending.claim(w.header.Seq) != nil {
			w.deliver(nil, w.unsent)
		}
		if !w.state.CompareAndSwap(encoding, mine) {
			w.done <- struct{}{}
		}
	}()
	w.unsent = c.link.put(w.header, w.args)
}

var errEncoderExit = errors.New("the arguments ended the goroutine that encoded them")
