package geerpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/link"
	"geerpc/internal/token"
	"geerpc/internal/transport"
	"geerpc/internal/usercode"
)

// The handshake: both sides agree on a codec, a layout, limits and keepalive. Package
// handshake sends and reads what they say. Here stands what an Option and a Server have
// to say, and what is done with the answer.

// handshake is the client's side, within ctx.
func (c *Client) handshake(ctx context.Context) error {
	newCodec, err := c.opt.newCodec()
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	if err := c.link.Open(newCodec); err != nil {
		return newError(CodeInternal, InClient, RanNever, "rpc client", err)
	}
	if !c.opt.shakesHands() {
		return nil
	}
	ctx, cancel := handshake.WithTimeout(ctx)
	defer cancel()
	hello := handshake.Hello{CodecType: c.opt.CodecType, ConnectTimeout: c.opt.ConnectTimeout,
		HandleTimeout: c.opt.HandleTimeout, Token: c.opt.Token, PingInterval: c.opt.PingInterval, Compressions: c.opt.Compression}
	if c.opt.Legacy {
		err = handshake.Legacy(ctx, c.link, hello)
	} else {
		err = c.agree(ctx, hello)
	}
	if err == nil {
		return nil
	}
	return handshakeError(ctx, err, c.server)
}

// shakesHands reports whether the protocol has a handshake.
func (opt *Option) shakesHands() bool { return opt.Protocol == nil || opt.Protocol == GeeRPC }

// newCodec returns what makes the codec of a connection.
func (opt *Option) newCodec() (codec.NewCodecFunc, error) {
	switch p := opt.Protocol; {
	case opt.shakesHands():
		return codec.Lookup(opt.CodecType)
	case p.ClientCodec == nil:
		return nil, fmt.Errorf("Option.Protocol: %s has no ClientCodec, and so is for servers only", p.Name)
	default:
		return p.ClientCodec, nil
	}
}

// agree says hello, and keeps to the limits that the server answers with.
func (c *Client) agree(ctx context.Context, hello handshake.Hello) error {
	ack, err := handshake.Client(ctx, c.link, hello)
	if err != nil {
		return err
	}
	if ack == nil {
		c.report(slog.LevelWarn, "rpc client: the server is of GeeRPC's original version: set Option.Legacy to save the wait for an acknowledgement",
			"server", c.server)
		return nil
	}
	c.inFlight.SetLimit(ack.MaxInFlight.Int())
	if ack.PingInterval > 0 {
		c.opt.PingInterval = min(c.opt.PingInterval, max(ack.PingInterval, minPingInterval))
	}
	return nil
}

// secure is the server's side of the TLS handshake, if there is one. It notes who the
// client is, for the log even if that fails.
func (c *conn) secure() error {
	conn := c.link.Conn
	if open, ok := conn.(leftOpen); ok {
		conn = open.ReadWriteCloser
	}
	state, heard, err := transport.HandshakeTLS(conn)
	c.peer = Peer{Addr: usercode.RemoteAddr(c.link.Conn), TLS: state}
	if err != nil {
		c.heard.Store(heard)
	}
	return err
}

// handshake is the server's side. It returns why the connection is not served, or nil.
func (c *conn) handshake() error {
	hello, err := handshake.ReadHello(c.link)
	var refusal *Error
	var bad *handshake.Error
	switch {
	case errors.As(err, &bad):
		refusal = refuse(CodeInvalidArgument, "%s", bad.Text)
	case err != nil:
		return err
	default:
		refusal = c.check(hello)
	}
	if refusal != nil {
		if hello.Ack {
			handshake.Refuse(c.link, uint8(refusal.Code), refusal.Message)
		}
		return refusal
	}
	if !hello.Ack {
		return nil
	}
	hello.Apply(c.link)
	if c.link.Extended() {
		c.pingInterval = c.server.pingInterval(hello.PingInterval)
	}
	return handshake.Accept(c.link, handshake.Ack{MaxInFlight: handshake.Limit(c.server.maxInFlight()), PingInterval: c.pingInterval,
		Compression: c.server.chooseCompression(hello.Compressions)})
}

// refuse returns the Error with which a connection is refused.
func refuse(code Code, format string, a ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, a...), Where: InServer, Ran: RanNever}
}

// check says why a connection is refused, or makes its codec and returns nil.
func (c *conn) check(hello *handshake.Hello) *Error {
	s := c.server
	if hello.MagicNumber != MagicNumber {
		return refuse(CodeInvalidArgument, "invalid magic number %#x, want %#x", hello.MagicNumber, MagicNumber)
	}
	if hello.Version > handshake.Version {
		return refuse(CodeUnimplemented, "protocol version %d, this server speaks %d", hello.Version, handshake.Version)
	}
	if s.Token != "" && !token.Equal(hello.Token, s.Token) {
		return refuse(CodeUnauthenticated, "the token is missing or wrong")
	}
	if len(s.Codecs) > 0 && !slices.Contains(s.Codecs, hello.CodecType) {
		return refuse(CodeInvalidArgument, "codec type %.64q is not for this server, which takes %q", hello.CodecType, s.Codecs)
	}
	newCodec, err := codec.Lookup(hello.CodecType)
	if err != nil {
		return refuse(CodeInvalidArgument, "%s", err)
	}
	if err := c.link.Open(newCodec); err != nil {
		return refuse(CodeInternal, "%s", err)
	}
	c.codecType, c.handleTimeout = hello.CodecType, shorterTimeout(s.HandleTimeout, hello.HandleTimeout)
	return c.claimPlace()
}

// shorterTimeout returns the shorter of two timeouts, of which zero and negative are no
// limit.
func shorterTimeout(a, b time.Duration) time.Duration {
	a, b = max(a, 0), max(b, 0)
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Keepalive: a client promises in its hello to send something at least so often, and
// the server answers with the interval that both keep: a side that has sent nothing for
// so long sends a ping.
const (
	minPingInterval = 100 * time.Millisecond // a server can't make a client ping more often
	minServerPing   = time.Second            // a client can't make a server ping more often
	pingsPerTimeout = 3                      // a client must ping so often in Server.ReadTimeout
)

// readTimeout returns Server.ReadTimeout, 0 for no limit.
func (s *Server) readTimeout() time.Duration {
	return min(limit(s.ReadTimeout, DefaultReadTimeout), link.MaxInterval)
}

// pingInterval returns the interval that a server agrees on with a client that proposes
// one. Zero is none.
func (s *Server) pingInterval(proposed time.Duration) time.Duration {
	proposed = min(max(proposed, 0), link.MaxInterval)
	if readTimeout := s.readTimeout(); readTimeout > 0 {
		return min(proposed, max(readTimeout/pingsPerTimeout, minPingInterval))
	}
	return proposed
}

// keepAlive starts to ping a client that has promised to ping, and to close the
// connection when it has gone silent. A client that has missed two pings is asked for
// an answer.
func (c *conn) keepAlive() {
	interval := c.pingInterval
	if interval == 0 {
		return
	}
	var k link.Keepalive
	if c.link.PeerHandles(codec.Ping) {
		// A little later than the client: its ping and our pong show that both sides are there.
		k.Promise = max(interval+interval/8, minServerPing)
	}
	if readTimeout := c.server.readTimeout(); readTimeout > 0 {
		k.Timeout = max(readTimeout/pingsPerTimeout, interval)
		k.Ask = max(readTimeout-k.Timeout, 2*interval)
	}
	c.link.KeepAlive(k)
}

// keepAlive starts to ping a server that answers pings, and to close the connection
// when it has gone silent.
func (c *Client) keepAlive() {
	interval := c.opt.PingInterval // as agreed
	if interval == 0 || !c.link.PeerHandles(codec.Ping) {
		return
	}
	k := link.Keepalive{Promise: interval, Ask: interval}
	if c.opt.PingTimeout > 0 {
		k.Timeout = max(c.opt.PingTimeout, interval/4) // if the ping must wait behind other bytes, the server's own ping comes meanwhile
	}
	c.link.KeepAlive(k)
}
