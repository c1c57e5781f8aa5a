package geerpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"

	"geerpc/internal/usercode"
)

// A Peer is who sent the call that a method is handling.
type Peer struct {
	Addr net.Addr             // nil if the connection has no address
	TLS  *tls.ConnectionState // nil without TLS; not to be changed
}

type callKey struct{}

// callFrom returns the context of a call that ctx is or comes from, or nil.
func callFrom(ctx context.Context) *callContext {
	c, _ := ctx.Value(callKey{}).(*callContext)
	return c
}

// PeerFrom returns who sent the call that a method is handling, given the
// method's context. It reports false for any other context.
func PeerFrom(ctx context.Context) (Peer, bool) {
	if c := callFrom(ctx); c != nil {
		return c.conn.peer, true
	}
	return Peer{}, false
}

// peerOf describes the other end of a connection.
func peerOf(conn io.ReadWriteCloser) (p Peer) {
	p.Addr = usercode.RemoteAddr(conn)
	if c, ok := conn.(interface{ Unwrap() net.Conn }); ok {
		conn = c.Unwrap()
	}
	if c, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := c.ConnectionState()
		p.TLS = &state
	}
	return p
}
