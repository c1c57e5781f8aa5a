package geerpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"geerpc/internal/lazyctx"
)

// A callContext is the context of a call's method, and all that the method can ask
// of it. It may outlive the call, because a method may hold on to it.
type callContext struct {
	lazyctx.Clocked // ends with the connection, with the call's time, and with the call
	conn            *conn
	metadata        Metadata    // of the call
	reply           metadataBox // metadata of the reply
	start           start       // of the method
	unknown         *Error      // the answer if the method does not exist
}

// begin makes c the context of a call, which ends when that is due, by monotime; 0: never.
func (c *callContext) begin(conn *conn, md Metadata, due time.Duration) {
	*c = callContext{conn: conn, metadata: md}
	c.Clock, c.Due = &conn.clock, due
}

type callKey struct{}

// callFrom returns the context of a call that ctx is or comes from, or nil.
func callFrom(ctx context.Context) *callContext {
	c, _ := ctx.Value(callKey{}).(*callContext)
	return c
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Clocked.Value(key)
}

// String implements fmt.Stringer: contexts made from this one print it as theirs.
func (c *callContext) String() string { return "geerpc.callContext" }

// Format implements fmt.Formatter. Without it, some verb would print what is in
// here: the call's metadata, while others change it.
func (c *callContext) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// replyMetadata returns the metadata for the reply. A call without a context has
// none.
func (c *callContext) replyMetadata() Metadata {
	if c == nil {
		return nil
	}
	return c.reply.get()
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

// A start decides whether a method begins. The goroutine that runs the call, its
// handle timeout, and interceptors that call next whenever they like may each
// decide it. Once a caller has been told that the method never ran, it must never
// begin, because the caller may have called another server.
//
// A call that only one goroutine can begin needs no decision: its start is nil.
type start struct{ state atomic.Uint32 }

// The states of a start.
const (
	startOpen = iota
	startBegun
	startForgone
)

// begin reports whether the method may run. It may succeed again: an interceptor may
// call next more than once.
func (s *start) begin() bool {
	return s == nil || s.state.CompareAndSwap(startOpen, startBegun) || s.hasBegun()
}

func (s *start) hasBegun() bool { return s != nil && s.state.Load() == startBegun }

// forgo reports whether the method has not begun and, from now on, never will.
func (s *start) forgo() bool {
	return s == nil || s.state.CompareAndSwap(startOpen, startForgone) || !s.hasBegun()
}
