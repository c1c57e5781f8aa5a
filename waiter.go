package geerpc

import (
	"context"
	"sync/atomic"

	"geerpc/codec"
	"geerpc/internal/link"
)

// A waiter is a call somebody waits for. It belongs to the caller, but for
// the state; to the sender while that encodes it; and to whoever has claimed
// it from the pending calls until it is delivered.
//
// It is two cache lines: what goes to the sender, but for what few calls have,
// and what goes to the reader.
type waiter struct {
	state atomic.Uint32
	request

	reply   any
	replyMD Metadata
	err     error
	done    chan struct{} // capacity 2: it has been delivered; and, if awaited, encoded
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

func newWaiter() any { return &waiter{done: make(chan struct{}, 2)} }

// reset forgets the call.
func (w *waiter) reset() { *w = waiter{done: w.done} }

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
	if ctx.Done() == nil { // cheaper than a select
		<-w.done
	} else {
		select {
		case <-w.done:
		case <-ctx.Done():
			return c.depart(ctx, w)
		}
	}
	state := w.part()
	if state == refused {
		w.err = c.neverSent(w.err)
	}
	return state != left, w.err
}

// neverSent returns the error of a call that was not sent, of which err was
// said: by the sender, or before by somebody who could not know.
func (c *Client) neverSent(err error) error {
	if e, ok := err.(*Error); ok && e.Ran == RanNever || err == ErrShutdown {
		return err
	}
	if cause := c.link.Cause(); cause != nil {
		return c.unsent(context.Background(), cause)
	}
	return errGuessed
}

var errGuessed error = &Error{Code: CodeInternal, Where: OnLink, Ran: RanNever,
	Message: "rpc client: the server answered before the arguments were encoded, and they could not be"}

// depart is await for a caller whose ctx has ended.
func (c *Client) depart(ctx context.Context, w *waiter) (reusable bool, err error) {
	switch w.part() {
	case left:
		w.request, w.reply = request{}, nil // who knows how long it stays in the queue
		return false, contextError(ctx.Err(), InClient, RanNever)
	case refused:
		<-w.done
		return true, contextError(ctx.Err(), InClient, RanNever)
	}
	if !c.inFlight.Abandon(w.seq) {
		<-w.done // it is being decoded already
		return true, w.err
	}
	// The server knows the deadline; a cancellation could only overtake it.
	if _, told := ctx.Deadline(); c.link.PeerHandles(codec.Cancel) && !(told && ctx.Err() == context.DeadlineExceeded) {
		c.link.Post(link.Control{Kind: codec.Cancel, Seq: w.seq})
	}
	return true, contextError(ctx.Err(), OnLink, RanMaybe)
}

// part takes w from the sender, even if it is being encoded, and returns what
// has become of it: mine, refused, or left if the sender has not had it yet,
// which still holds w and is going to skip it.
func (w *waiter) part() (state uint32) {
	for {
		switch state := w.state.Load(); state {
		case mine, refused, left:
			return state
		case queued:
			if w.state.CompareAndSwap(queued, left) {
				return left
			}
		case encoding:
			if w.state.CompareAndSwap(encoding, awaited) {
				<-w.done
				if w.state.Load() == awaited { // it has been delivered meanwhile
					<-w.done
					w.done <- struct{}{}
				}
			}
		}
	}
}
