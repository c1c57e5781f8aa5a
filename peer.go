package geerpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"
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

// remoteAddr returns the address of the other end of a connection, nil if it has none.
// Where it is asked for nothing but the address is at stake, so a panic of the
// connection's is no more than a missing address.
func remoteAddr(conn io.ReadWriteCloser) net.Addr {
	defer func() { recover() }()
	if c, ok := conn.(interface{ RemoteAddr() net.Addr }); ok {
		return c.RemoteAddr()
	}
	return nil
}

// addrText returns the text of an address, as far as it has one.
func addrText(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	defer func() { recover() }() // it may be a user's code
	return addr.String()
}

// peerOf describes the other end of a connection.
func peerOf(conn io.ReadWriteCloser) (p Peer) {
	p.Addr = remoteAddr(conn)
	if c, ok := conn.(interface{ Unwrap() net.Conn }); ok {
		conn = c.Unwrap()
	}
	if c, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := c.ConnectionState()
		p.TLS = &state
	}
	return p
}
