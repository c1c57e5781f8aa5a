package geerpc

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"geerpc/codec"
	"geerpc/internal/connset"
	"geerpc/internal/handshake"
	"geerpc/internal/opening"
	"geerpc/internal/streamconn"
	"geerpc/internal/transport"
	"geerpc/internal/wire"
)

// One port for all: what a server does with a connection of which it does not know yet
// what its client speaks.
//
//	first bytes ──→ TLS       begins again, with TLS
//	            ──→ GeeRPC    the handshake, and then messages
//	            ──→ HTTP      requests, of which CONNECT begins again
//	            ──→ another   messages at once
//	            ──→ none      is answered in its own language, where that is known, and closed

// recognize waits for the first bytes, and does what they ask for. It returns how the
// connection goes on, nil if with messages.
func (c *conn) recognize() (next func(), err error) {
	limit := handshake.SilentTimeout
	if c.server.conns.IsStopped() { // a client that says something is refused, and silent ones need not wait
		limit = closeGrace
	}
	if err := handshake.Await(c.link, limit); err != nil {
		return nil, err
	}
	c.heard.Store(true)
	stop := handshake.CloseAfterTimeout(c.link)
	defer stop()
	protocols := c.server.protocols()
	begins, of := prefixes(protocols)
	what, which, err := opening.Recognize(c.link.In, begins)
	if err != nil {
		return nil, handshake.OrCause(c.link, err)
	}
	secured := c.peer.TLS != nil
	switch {
	case what == opening.TLS && !secured && c.server.TLSConfig != nil:
		return c.serveTLS, nil
	case c.server.TLSConfig != nil && !secured && !c.server.AllowPlaintext:
		return nil, opening.Reject(c.link, what, uint8(CodeUnauthenticated), "this port wants TLS")
	}
	if what == opening.HTTP {
		if text := c.noHTTP(); text != "" {
			return nil, opening.Reject(c.link, what, uint8(CodeInvalidArgument), text)
		}
	}
	if c.protocol = findBuiltin(protocols, what); what == opening.Other {
		c.protocol = of[which]
	}
	switch c.protocol {
	case nil:
		return nil, opening.Reject(c.link, what, uint8(CodeUnimplemented), "")
	case GeeRPC:
		return nil, c.handshake()
	case HTTP:
		if err := c.acceptHTTP(); err != nil {
			return nil, err
		}
		return c.serveHTTP, nil
	}
	return nil, c.accept(c.unwelcome())
}

// handOver gives up the connection, and returns it as if nothing had been read of it.
func (c *conn) handOver() net.Conn {
	c.server.conns.Remove(c)
	return wire.WithAhead(streamconn.New(c.link.Conn), c.link.In.Buffered())
}

// serveTLS begins again, with TLS.
func (c *conn) serveTLS() {
	c.server.ServeConn(tls.Server(transport.Quiet(c.handOver()), c.server.tlsConfig()))
}

// unwelcome returns why a client whose protocol has no handshake is not served, or nil.
func (c *conn) unwelcome() *Error {
	switch s := c.server; {
	case s.Token != "":
		return refuse(CodeUnauthenticated, "rpc server: a token is required, which %s can't send", c.protocol.Name)
	case !s.serves(c.protocol.CodecType):
		return refuse(CodeInvalidArgument, "rpc server: %s is not for this server, which takes the codecs %q", c.protocol.Name, s.Codecs)
	}
	return nil
}

// serves reports whether clients may choose a codec.
func (s *Server) serves(t codec.Type) bool {
	return t == "" || len(s.Codecs) == 0 || slices.Contains(s.Codecs, t)
}

// accept begins with a protocol that has no handshake. A client that is not welcome hears
// that in its own language: the connection goes on until its first call has been answered
// with the refusal.
func (c *conn) accept(refusal *Error) error {
	if c.protocol.ServerCodec == nil {
		return errors.New("the protocol has no ServerCodec")
	}
	if err := c.link.Open(c.protocol.ServerCodec); err != nil {
		return err
	}
	c.codecType, c.handleTimeout = c.protocol.CodecType, max(c.server.HandleTimeout, 0)
	if refusal == nil {
		refusal = c.claimPlace()
	}
	if refusal != nil {
		c.refusal, c.onlyOne = refusal, true
		c.server.noteRefused(c, refusal)
		handshake.CloseAfterTimeout(c.link) // whether the call comes or not
	}
	return nil
}

// claimPlace counts the connection, or returns why there is no place for it.
func (c *conn) claimPlace() *Error {
	if c.brief {
		return nil
	}
	switch s := c.server; s.conns.Admit(c, s.MaxConns) {
	case nil:
		return nil
	case connset.ErrFull:
		return refuse(CodeResourceExhausted, "all connections are taken, no more are allowed by Server.MaxConns (%d)", s.MaxConns)
	default:
		return refuse(CodeUnavailable, "%s", connset.ErrStopped)
	}
}
