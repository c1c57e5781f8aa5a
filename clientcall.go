package geerpc

import (
	"context"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/inflight"
	"geerpc/internal/lazyctx"
	"geerpc/internal/link"
	"geerpc/internal/monotime"
)

// A clientCall is a call as its caller waits for it: what is sent, where the reply
// goes, and how it ended. (No goroutine waits for a call made by Go; see async.)
//
// It belongs to its caller, except that
//   - the sender owns it while it encodes it,
//   - the goroutine that has claimed it from the table of calls in flight may write
//     the reply, and must deliver the call, once.
//
// It is two cache lines: most of what the sender needs, and what the reader needs.
type clientCall struct {
	state         atomic.Uint32
	seq           uint64 // 0: never in flight
	serviceMethod string
	args          any
	expires       time.Duration // by monotime; 0: never
	metadata      Metadata

	reply   any // what the reply is decoded into; nil skips it
	replyMD Metadata
	err     error
	done    chan struct{}   // capacity 2: receives when the call is delivered and, in callerWaits, encoded
	async   *Call           // of Go; nil: the caller waits on done
	waiter  *lazyctx.Waiter // of the caller, for contexts that it can wait for without making them; nil: not needed yet
}

// The state of a clientCall says whether the sender has it. Without the outbox, it
// is notQueued all the time.
//
//	notQueued ──→ queued ──→ encoding ──→ notQueued or unsent
//	                │ │          │            ↑
//	                │ │          └─→ callerWaits
//	                │ └─→ unsent (the connection has gone)
//	                └───→ abandoned (the caller or the connection has gone)
const (
	notQueued   = iota // not with the sender; the call may have been sent
	unsent             // not with the sender; the call was not sent
	queued             // in the outbox
	encoding           // being encoded
	callerWaits        // the same, and its caller waits for the end of that
	abandoned          // in the outbox, but the sender must skip it: its caller, or the connection, has gone
)

func newClientCall() any { return &clientCall{done: make(chan struct{}, 2)} }

// reset makes the call ready to be used again.
func (call *clientCall) reset() { *call = clientCall{done: call.done, waiter: call.waiter} }

// SetSeq implements inflight.Call.
func (call *clientCall) SetSeq(seq uint64) {
	call.seq = seq
	if call.async != nil {
		call.async.Seq = seq
	}
}

// deliver ends a call. It does not block, because the reader calls it.
func (c *Client) deliver(call *clientCall, md Metadata, err error) {
	if call.async != nil {
		call.async.Error = c.named(err, call.serviceMethod, 0)
		c.announce(call.async)
		return
	}
	call.replyMD, call.err = md, err
	call.done <- struct{}{}
}

// retract undoes a delivery: the sender knows that the call was never sent, and returns
// its own error instead. It reports false if it is too late, because the caller of Go
// may have seen the call.
func (call *clientCall) retract() bool {
	if call.async != nil {
		return false
	}
	<-call.done
	return true
}

// invoke makes a call and waits for it.
func (c *Client) invoke(ctx context.Context, serviceMethod string, args, reply any) error {
	call := c.callPool.Get().(*clientCall)
	call.serviceMethod, call.args, call.reply = serviceMethod, args, reply
	within, err := c.prepare(ctx, call)
	switch {
	case err != nil:
	case c.batchPays():
		c.enqueue(call)
	default:
		if err = c.send(ctx, call, false); err == nil {
			c.readOwn(call, within)
		}
	}
	reusable := true
	if err == nil {
		reusable, err = c.await(ctx, call)
	}
	if call.replyMD != nil {
		putReplyMetadata(ctx, call.replyMD)
	}
	if reusable {
		call.reset()
		c.callPool.Put(call)
	}
	if err != nil {
		return c.named(err, serviceMethod, within)
	}
	return nil
}

// prepare completes a call, and waits until there is room for it. It returns the time
// that the call has, 0 for no limit.
func (c *Client) prepare(ctx context.Context, call *clientCall) (within time.Duration, err error) {
	if ctx == nil { // from an interceptor
		return 0, errNilContext
	}
	if err := checkReply(call.reply, c.opt.CodecType); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, tooLateToSend(err)
	}
	within, deadline := timeLeft(ctx)
	if c.link.Extended() {
		if call.metadata = callMetadata(ctx); call.metadata != nil {
			if err := call.metadata.validate(); err != nil {
				return 0, callFailed(CodeInvalidArgument, InClient, RanNever, "", err)
			}
		}
		call.expires = deadline
	}
	return within, c.notAdded(c.inFlight.Admit(ctx))
}

// batchPays reports whether other calls are being made, so that sending them
// together pays.
func (c *Client) batchPays() bool {
	return c.repliesBatched.Load() || c.outbox.isBusy() || c.inFlight.Len() > 0
}

// send sends a call from its caller's goroutine. If it fails, the call was never
// sent and will not be delivered.
func (c *Client) send(ctx context.Context, call *clientCall, yield bool) error {
	returned := false
	defer func() {
		if !returned { // the arguments have ended the caller's goroutine
			c.inFlight.Claim(call.seq)
		}
	}()
	err := c.sendNow(ctx, call)
	for err == inflight.ErrFull { // others were faster
		if err = c.notAdded(c.inFlight.Admit(ctx)); err == nil {
			err = c.sendNow(ctx, call)
		}
	}
	returned = true
	// If the connection has ended meanwhile, the call is delivered as one that
	// may have run. It has not.
	if err != nil && (call.seq == 0 || c.inFlight.Claim(call.seq) != nil || call.retract()) {
		return err
	}
	c.link.Flush(yield)
	return nil
}

// sendNow waits for the write turn, under ctx, and puts a call.
func (c *Client) sendNow(ctx context.Context, call *clientCall) error {
	if err := c.link.Out.Begin(ctx); err != nil {
		return c.notSent(ctx, call, err)
	}
	defer c.link.Out.End()
	return c.put(call, false)
}

// put adds a call to those in flight and encodes it. The caller holds the write
// turn. If put fails, nothing of the call is sent, or the connection ends. If the call
// has a seq then, it is in the table, and the caller of put must claim it; nil means
// that somebody else ends the call.
func (c *Client) put(call *clientCall, queued bool) error {
	h := codec.Header{ServiceMethod: call.serviceMethod}
	f := h.Frame()
	f.Metadata = call.metadata
	if call.expires != 0 {
		if f.Timeout = int64(call.expires - monotime.Now()); f.Timeout <= 0 {
			return tooLateToSend(context.DeadlineExceeded)
		}
	}
	if err := c.inFlight.Add(call, queued); err != nil {
		return c.notAdded(err)
	}
	if queued || call.async != nil { // any other call is alone, and its caller may read
		c.readTurn.Recall()
	}
	h.Seq = call.seq
	if err := c.link.Put(h, call.args); err != nil {
		return c.notSent(context.Background(), call, err)
	}
	return nil
}

// await waits until a call is delivered or ctx ends. It reports whether call may
// be used again.
func (c *Client) await(ctx context.Context, call *clientCall) (reusable bool, err error) {
	if !call.wait(ctx) {
		return c.abandon(ctx, call)
	}
	state := call.reclaim()
	if state == unsent {
		call.err = c.correctUnsent(call.err)
	}
	return state != abandoned, call.err
}

// wait waits until the call is delivered. It reports false if ctx ends before.
func (call *clientCall) wait(ctx context.Context) bool {
	if len(call.done) > 0 { // its caller has read the reply: cheaper than what follows
		<-call.done
		return true
	}
	if lazy, ok := ctx.(*lazyctx.Context); ok {
		if call.waiter == nil {
			call.waiter = lazyctx.NewWaiter()
		}
		return call.waiter.Wait(lazy, call.done)
	}
	if ctx.Done() == nil { // cheaper than a select
		<-call.done
		return true
	}
	select {
	case <-call.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// abandon is await for a caller whose ctx has ended.
func (c *Client) abandon(ctx context.Context, call *clientCall) (reusable bool, err error) {
	switch call.reclaim() {
	case abandoned: // it may stay in the outbox for long, and must not keep the arguments
		call.serviceMethod, call.args, call.metadata, call.reply = "", nil, nil, nil
		return false, tooLateToSend(ctx.Err())
	case unsent:
		<-call.done
		return true, tooLateToSend(ctx.Err())
	}
	if !c.inFlight.Abandon(call.seq) {
		<-call.done // the reply is being decoded already
		return true, call.err
	}
	// A server that was sent the deadline needs no cancellation when it has passed.
	if _, sent := ctx.Deadline(); c.link.PeerHandles(codec.Cancel) && !(sent && ctx.Err() == context.DeadlineExceeded) {
		c.link.Post(link.Control{Kind: codec.Cancel, Seq: call.seq})
	}
	return true, noReply(ctx.Err())
}

// reclaim takes a call from the sender, and waits if it is being encoded. It returns
// the state: notQueued, unsent, or abandoned if the sender has not had it yet, which
// then still holds the call.
func (call *clientCall) reclaim() (state uint32) {
	for {
		switch state := call.state.Load(); state {
		case notQueued, unsent, abandoned:
			return state
		case queued:
			if call.state.CompareAndSwap(queued, abandoned) {
				return abandoned
			}
		case encoding:
			if call.state.CompareAndSwap(encoding, callerWaits) {
				<-call.done
				if call.state.Load() == callerWaits { // that was the delivery, not the sender
					<-call.done
					call.done <- struct{}{}
				}
			}
		}
	}
}
