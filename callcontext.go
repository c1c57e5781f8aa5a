package geerpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A callContext is the context of a call's method, and all that the method can
// ask of it. It may outlive the call: a method may hold on to it.
//
// Most methods only pass it on, or look whether it has ended; a context that
// can be waited for, and that ends with the connection, costs more than a quick
// call. So that one is made when it is asked for.
type callContext struct {
	conn     *conn
	metadata Metadata    // of the call
	reply    metadataBox // metadata of the reply
	begun    atomic.Bool // the method, in interceptors
	deadline time.Time   // zero: none

	mu   sync.Mutex // guards what follows
	err  error      // why it has ended
	real context.Context
	stop context.CancelFunc // ends real
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.made().Done() }

// Value implements context.Context. The callKey asks for the callContext; who
// asks for anything else may be package context, in search of one of its own.
func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.made().Value(key)
}

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
	case c.real != nil:
		c.err = c.real.Err()
	case c.conn.link.ctx.Err() != nil:
		c.err = context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// made returns the context that does what this one promises.
func (c *callContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real != nil {
		return c.real
	}
	parent := c.conn.link.ctx
	switch {
	case c.err == context.Canceled:
		c.real, c.stop = context.WithCancel(parent)
		c.stop()
	case c.deadline.IsZero():
		c.real, c.stop = context.WithCancel(parent)
	case c.err == context.DeadlineExceeded: // said already, whatever has become of the connection
		c.real, c.stop = context.WithDeadline(context.WithoutCancel(parent), c.deadline)
	default:
		c.real, c.stop = context.WithDeadline(parent, c.deadline)
	}
	return c.real
}

// cancel ends the context.
func (c *callContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	} else if c.err == nil {
		c.err = context.Canceled
	}
}

// replyMetadata returns the metadata for the reply; a call without a context
// has none.
func (c *callContext) replyMetadata() Metadata {
	if c == nil {
		return nil
	}
	return c.reply.get()
}
