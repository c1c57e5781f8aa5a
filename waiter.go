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
//
// It is two cache lines: what goes to the sender, and what goes to the reader.
type waiter struct {
	job           job[waiter]
	state         atomic.Uint32
	seq           uint64
	serviceMethod string
	args          any

	timeout  int64
	metadata Metadata
	reply    any
	replyMD  Metadata
	err      error
	done     chan struct{} // capacity 1
}

// header returns the header of the call.
func (w *waiter) header() codec.Header {
	h := codec.Header{ServiceMethod: w.serviceMethod, Seq: w.seq}
	f := h.Frame()
	f.Timeout, f.Metadata = w.timeout, w.metadata
	return h
}

// States of a waiter.
const (
	mine     = iota // no sender has it, any more
	refused         // the same, and it was not sent
	queued          // a sender is going to have it
	encoding        // a sender has it
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

func (w *waiter) begin(seq uint64) { w.seq = seq }

func (w *waiter) target() any { return w.reply }

func (w *waiter) deliver(md Metadata, err error) {
	w.replyMD, w.err = md, err
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
			if delivered = !c.pending.abandon(w.seq); delivered {
				<-w.done // it is being decoded already
			}
		}
	}
	state := w.part()
	reusable = state != left
	switch {
	case state != mine && !delivered:
		c.pending.claim(w.seq) // no answer is going to free the slot
		return reusable, contextError(ctx.Err(), InClient, RanNever)
	case state != mine && c.link.cause() != nil:
		return reusable, c.unsent(ctx, c.link.cause())
	case !delivered:
		// The server knows the deadline; a cancellation could only overtake it.
		if _, told := ctx.Deadline(); c.link.kinds.has(codec.Cancel) && !(told && ctx.Err() == context.DeadlineExceeded) {
			c.link.post(control{kind: codec.Cancel, seq: w.seq})
		}
		return reusable, contextError(ctx.Err(), OnLink, RanMaybe)
	}
	return reusable, w.err
}

// part takes w from the sender, even if it is being encoded, and returns what
// has become of it: mine, refused, or left if the sender has not had it yet,
// which still holds w and is going to skip it.
func (w *waiter) part() (state uint32) {
	for {
		switch state := w.state.Load(); state {
		case mine, refused:
			return state
		case queued:
			if w.state.CompareAndSwap(queued, left) {
				return left
			}
		case encoding:
			if w.state.CompareAndSwap(encoding, awaited) {
				<-w.done
			}
		}
	}
}

// enqueue has the call w sent together with others, by a goroutine that is at
// it or is started now. A caller would not do: it would be held up beyond its
// context by arguments of others that take their time to be encoded.
func (c *Client) enqueue(w *waiter, h codec.Header, args any) {
	w.serviceMethod, w.args = h.ServiceMethod, args
	w.timeout, w.metadata = h.Frame().Timeout, h.Frame().Metadata
	w.state.Store(queued)
	if c.outbox.add(&w.job) && c.link.enter() {
		c.senders.run(c) // until nothing is queued; Close waits
	}
}

// work sends what callers have put into the outbox, until it is empty.
func (c *Client) work() {
	ended := false
	defer func() {
		if !ended { // what is encoded has ended our goroutine
			c.senders.run(c)
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
	c.link.sendTogether(func(alive bool) bool {
		w := c.outbox.take()
		if w != nil && alive {
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
		end := uint32(mine)
		if err != nil {
			end = refused
			if c.pending.claim(w.seq) != nil {
				w.deliver(nil, c.unsent(context.Background(), err))
			}
		}
		if w.state.Swap(end) == awaited {
			w.done <- struct{}{}
		}
	}()
	err = c.link.put(w.header(), w.args)
}

var errEncoderExit = errors.New("the arguments ended the goroutine that encoded them")
