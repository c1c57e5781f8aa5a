package geerpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"geerpc/codec"
	"geerpc/internal/inflight"
	"geerpc/internal/link"
)

// A request is what a call sends.
type request struct {
	seq           uint64 // 0: not registered
	serviceMethod string
	args          any
	expires       time.Duration // when, as nanotime tells; 0: never
	metadata      Metadata
}

func (r *request) SetSeq(seq uint64) { r.seq = seq }

// A pendingCall is a call in flight: it waits for its reply.
type pendingCall interface {
	// SetSeq is called before anything is sent.
	SetSeq(seq uint64)

	// target returns what the body is decoded into; nil skips it.
	target() any

	// deliver ends the wait. It is called once, and does not block.
	deliver(md Metadata, err error)

	// recall takes back what is being delivered, because the sender knows
	// better. It reports false if it is too late for that.
	recall() bool
}

// prepare completes a request, once there is room for a call.
func (c *Client) prepare(ctx context.Context, r *request, reply any) error {
	if ctx == nil { // from an interceptor
		return errNilContext
	}
	if err := checkReply(reply, c.opt.CodecType); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return contextError(err, InClient, RanNever)
	}
	if c.link.Extended() {
		if r.metadata = callMetadata(ctx); r.metadata != nil {
			if err := r.metadata.validate(); err != nil {
				return &Error{Code: CodeInvalidArgument, Message: err.Error(), Where: InClient, Ran: RanNever}
			}
		}
		if deadline, ok := ctx.Deadline(); ok {
			r.expires = nanotime() + max(time.Until(deadline), 1)
		}
	}
	return c.admit(ctx)
}

// admit waits until there is room for a call.
func (c *Client) admit(ctx context.Context) error {
	if err := c.inFlight.Admit(ctx); err != nil {
		return admitError(err)
	}
	return nil
}

// admitError returns what a call fails with that the table of calls in flight has
// not taken. An ErrFull stays one, because the call is not over.
func admitError(err error) error {
	switch err {
	case inflight.ErrFull:
		return err
	case inflight.ErrClosed:
		return ErrShutdown
	case inflight.ErrDraining:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client: being shut down", ErrShutdown)
	}
	return contextError(err, InClient, RanNever)
}

// crowded tells whether calls of others are under way, or about to be, so that
// sending them together pays.
func (c *Client) crowded() bool {
	return c.bunched.Load() || c.outbox.busy() || c.inFlight.Len() > 0
}

// checkReply says whether reply can be decoded into, before the method runs.
func checkReply(reply any, t codec.Type) error {
	if reply == nil {
		return nil
	}
	v := reflect.ValueOf(reply)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return unfitReply("reply must be a pointer to decode into, or nil to drop what comes; it is %s", kindOf(v))
	}
	if v = v.Elem(); v.Kind() == reflect.Interface && v.NumMethod() > 0 && v.IsNil() && t == codec.JsonType {
		return unfitReply("JSON can't be decoded into the interface %v, for it has methods; use any, or a type without interfaces", v.Type())
	}
	return nil
}

func unfitReply(format string, a ...any) error {
	return &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever, Message: fmt.Sprintf("rpc client: "+format, a...)}
}

// kindOf names what v is, a nil pointer included.
func kindOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		return "a nil " + v.Type().String()
	}
	return v.Type().String()
}

// send sends a call from its caller's goroutine. If it fails, the call was
// never sent and p will not hear of it.
func (c *Client) send(ctx context.Context, r *request, p pendingCall, yield bool) error {
	returned := false
	defer func() {
		if !returned { // the arguments have ended the caller's goroutine
			c.inFlight.Claim(r.seq)
		}
	}()
	err := c.sendNow(ctx, r, p)
	for err == inflight.ErrFull { // others were faster
		if err = c.admit(ctx); err == nil {
			err = c.sendNow(ctx, r, p)
		}
	}
	returned = true
	// The connection may have ended meanwhile, and the call with it, as one
	// that may have run.
	if err != nil && (r.seq == 0 || c.inFlight.Claim(r.seq) != nil || p.recall()) {
		return err
	}
	c.link.Flush(yield)
	return nil
}

// sendNow waits for its turn, under ctx, and puts a call.
func (c *Client) sendNow(ctx context.Context, r *request, p pendingCall) error {
	if err := c.link.Out.Begin(ctx); err != nil {
		return c.unsent(ctx, err)
	}
	defer c.link.Out.End()
	return c.put(r, p, false)
}

// put registers and encodes a call, for one whose turn it is. If it fails, nothing
// of the call is sent; where a codec has written half of it, the connection ends.
// A call that has a seq by then has been registered, and the caller of put takes
// it out, unless the end of the connection has done so.
func (c *Client) put(r *request, p pendingCall, queued bool) error {
	h := codec.Header{ServiceMethod: r.serviceMethod}
	f := h.Frame()
	f.Metadata = r.metadata
	if r.expires != 0 {
		if f.Timeout = int64(r.expires - nanotime()); f.Timeout <= 0 {
			return contextError(context.DeadlineExceeded, InClient, RanNever)
		}
	}
	if err := c.inFlight.Add(p, queued); err != nil {
		return admitError(err)
	}
	h.Seq = r.seq
	if err := c.link.Put(h, r.args); err != nil {
		return c.unsent(context.Background(), err)
	}
	return nil
}

// unsent returns the error of a call that could not be sent because of err.
func (c *Client) unsent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return contextError(err, InClient, RanNever)
	case c.link.Cause() != nil:
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: not sent", fmt.Errorf("%w: %w", ErrShutdown, c.link.Cause()))
	case err == link.ErrGoawaySent:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client", errShuttingDown)
	case errors.Is(err, codec.ErrDefinitions):
		return newError(CodeResourceExhausted, InClient, RanNever, "rpc client: arguments, for the server's Server.MaxDefinitionBytes", err)
	case errors.Is(err, codec.ErrTooLarge):
		return newError(CodeResourceExhausted, InClient, RanNever, "rpc client: arguments, for the server's Server.MaxMessageBytes", err)
	}
	return newError(CodeInvalidArgument, InClient, RanNever, "rpc client: encoding the arguments", err)
}

var errShuttingDown = fmt.Errorf("%w: it is being shut down", ErrShutdown)
