package geerpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"geerpc/codec"
	"geerpc/internal/link"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// The client's side of the handshake.

var errNoAck = errors.New("no acknowledgement from the server; is it a geerpc server, and reached as it wants to be (TLS, HTTP)? If it is GeeRPC's original version, set Option.Legacy")

// greet is the client's side of the handshake, within ctx.
func (c *Client) greet(ctx context.Context) error {
	newCodec, err := codec.Lookup(c.opt.CodecType)
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	if err := c.link.Open(newCodec); err != nil {
		return newError(CodeInternal, InClient, RanNever, "rpc client", err)
	}
	ctx, cancel := limitHandshake(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.link.Fail(usercode.Error(context.Cause(ctx))) })
	if c.opt.Legacy {
		err = c.greetLegacy(ctx)
	} else {
		err = c.greetPeer(ctx)
	}
	if cause := c.link.Cause(); err != nil && cause != nil && !errors.As(err, new(*Error)) {
		err = cause // for which we closed the connection
	}
	if !stop() && err == nil { // the connection is being closed by now
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	return greetError(ctx, err)
}

// limitHandshake gives a handshake 10 s, be it that of TLS, of HTTP or ours,
// unless ctx has a deadline of its own.
func limitHandshake(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, handshakeTimeout, errSlowHandshake)
}

// errSlowHandshake is the end of a handshake for which there is no other time
// limit.
var errSlowHandshake = fmt.Errorf("handshake timeout: expect within %v", handshakeTimeout)

// greetError types an error of the handshake.
func greetError(ctx context.Context, err error) error {
	var typed *Error
	if errors.As(err, &typed) {
		return err
	}
	switch cause := timeIsUp(ctx, err); {
	case cause != nil && ctx.Err() == context.Canceled:
		return newError(CodeCanceled, OnLink, RanNever, "rpc client: handshake", cause)
	case cause != nil:
		return newError(CodeDeadlineExceeded, OnLink, RanNever, "rpc client", fmt.Errorf("%w: %w", cause, errNoAck))
	case hungUp(err):
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: the server closed the connection", fmt.Errorf("%w: %w", err, errNoAck))
	}
	return newError(linkCode(err), OnLink, RanNever, "rpc client: handshake", err)
}

// greetPeer says hello to a server and takes its answer.
func (c *Client) greetPeer(ctx context.Context) error {
	said, err := c.hello()
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	p := newProbe(c, len(said))
	if p == nil {
		said = append(said, '\n')
	} else {
		said = padded(said)
	}
	if err := c.link.Say(said); err != nil {
		return err
	}
	p.arm(ctx)
	_, err = c.link.In.Peek(1)
	if asked := p.stop(); err != nil {
		return err
	} else if asked {
		return p.judge()
	}
	return c.takeAck()
}

// hello returns what the client says first.
func (c *Client) hello() ([]byte, error) {
	if !utf8.ValidString(c.opt.Token) {
		return nil, errors.New("the Token is not valid UTF-8, and would not arrive as it is: encode it")
	}
	said, err := json.Marshal(hello{
		MagicNumber: MagicNumber, CodecType: c.opt.CodecType,
		ConnectTimeout: c.opt.ConnectTimeout, HandleTimeout: c.opt.HandleTimeout,
		Version: protocolVersion, Ack: true, Extended: c.link.Whole(), Kinds: kinds,
		MaxMessageBytes: wireLimit(c.opt.MaxMessageBytes), MaxDefinitionBytes: announcedDefinitions(c.opt.MaxDefinitionBytes),
		Token: c.opt.Token, PingInterval: c.opt.PingInterval,
	})
	if err == nil && len(said) > maxHandshakeBytes {
		err = fmt.Errorf("hello of %d bytes, a server takes %d: choose a shorter Token or CodecType", len(said), maxHandshakeBytes)
	}
	return said, err
}

// takeAck reads the acknowledgement, and does as it says.
func (c *Client) takeAck() error {
	if err := c.recognize(); err != nil {
		return err
	}
	a, err := readAck(c.link.In)
	if err != nil {
		return err
	}
	c.link.Wire.MaxWrite = max(a.MaxMessageBytes.int(), 0)
	c.link.Wire.MaxWriteDefinitions = peerDefinitions(a.MaxDefinitionBytes)
	c.pending.limit = max(a.MaxInFlight.int(), 0)
	if a.PingInterval > 0 {
		c.opt.PingInterval = min(c.opt.PingInterval, max(a.PingInterval, minInterval))
	}
	if a.Extended && c.link.Whole() {
		c.link.Extend(link.NewKinds(a.Kinds))
	}
	return skipNewline(c.link.In)
}

// readAck reads the acknowledgement. A refusal is an error.
func readAck(in *wire.Reader) (a ack, err error) {
	data, err := peekObject(in)
	if err != nil {
		return a, err
	}
	defer in.Discard(len(data))
	var said struct{ OK *bool }
	if json.Unmarshal(data, &said) != nil || said.OK == nil || json.Unmarshal(data, &a) != nil {
		return a, notAnAck(data)
	}
	if a.OK {
		return a, nil
	}
	if a.Code == CodeOK { // no error is that
		a.Code = CodeUnknown
	}
	if a.Error == "" {
		a.Error = a.Code.String() + ", without giving a reason"
	}
	return a, &Error{Code: a.Code, Message: "rpc client: the server refused the connection: " + a.Error, Where: InServer, Ran: RanNever}
}

// notAnAck is the error for an answer that is none.
func notAnAck(answer []byte) error {
	return &Error{Code: CodeUnavailable, Where: OnLink, Ran: RanNever,
		Message: fmt.Sprintf("rpc client: what answered is no acknowledgement of a geerpc server: %.100q", answer)}
}

// recognize looks at the first byte of the answer: what other servers say to a
// hello is known.
func (c *Client) recognize() error {
	first, err := c.link.In.Peek(1)
	switch {
	case err != nil:
		return err
	case first[0] == 'H':
		return &Error{Code: CodeUnavailable, Where: OnLink, Ran: RanNever,
			Message: "rpc client: the server speaks HTTP: use DialHTTP, or http@ (with TLS https@) in front of the address, if there is a geerpc server behind it"}
	case first[0] == tlsAlert:
		return errSpeaksTLS
	case bytes.IndexByte(mayBegin, first[0]) < 0:
		return notAnAck(c.link.In.Buffered())
	}
	return nil
}

var errSpeaksTLS error = &Error{Code: CodeUnauthenticated, Where: OnLink, Ran: RanNever,
	Message: "rpc client: the server speaks TLS: set Option.TLSConfig, or use tls@ in front of the address, or https@ for http@"}

const tlsAlert = 0x15 // the content type of RFC 8446, section 5.1
