package geerpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
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
	start    start       // of the method
	deadline time.Time   // zero: none
	real     atomic.Pointer[endable]
}

// An endable is a context, and what ends it.
type endable struct {
	context.Context
	end context.CancelFunc
}

// cancelled is what each context that nobody has waited for becomes when it is
// cancelled. It keeps nothing of those who ask it.
var cancelled = func() *endable {
	ctx, end := context.WithCancel(context.Background())
	end()
	return &endable{ctx, end}
}()

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
	if c.real.Load() == nil && c.conn.link.Context().Err() == nil &&
		(c.deadline.IsZero() || time.Now().Before(c.deadline)) {
		return nil
	}
	return c.made().Err()
}

// String implements fmt.Stringer: contexts made from this one print it as theirs.
func (c *callContext) String() string { return "geerpc.callContext" }

// Format implements fmt.Formatter. Without it, some verb would print what is in
// here: the call's metadata, while others change it.
func (c *callContext) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// made returns the context that does what this one promises.
func (c *callContext) made() *endable {
	if made := c.real.Load(); made != nil {
		return made
	}
	made := new(endable)
	if c.deadline.IsZero() {
		made.Context, made.end = context.WithCancel(c.conn.link.Context())
	} else {
		made.Context, made.end = context.WithDeadline(c.conn.link.Context(), c.deadline)
	}
	if !c.real.CompareAndSwap(nil, made) { // somebody else was faster
		made.end()
	}
	return c.real.Load()
}

// cancel ends the context.
func (c *callContext) cancel() {
	if !c.real.CompareAndSwap(nil, cancelled) {
		c.real.Load().end()
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

type callKey struct{}

// callFrom returns the context of a call that ctx is or comes from, or nil.
func callFrom(ctx context.Context) *callContext {
	c, _ := ctx.Value(callKey{}).(*callContext)
	return c
}

// A Peer is who sent the call that a method is handling.
type Peer struct {
	Addr net.Addr             // nil if the connection has no address
	TLS  *tls.ConnectionState // nil without TLS; not to be changed
}

// PeerFrom returns who sent the call that a method is handling, given the
// method's context. It reports false for any other context.
func PeerFrom(ctx context.Context) (Peer, bool) {
	if c := callFrom(ctx); c != nil {
		return c.conn.peer, true
	}
	return Peer{}, false
}
