package geerpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"geerpc/codec"
	"geerpc/internal/wire"
)

// The handshake. A client opens with one JSON object, GeeRPC's Option. Ours is
// a superset, the hello, which asks for an acknowledgement: one line of JSON
// that says yes, with the server's limits and features, or why not. A client
// that doesn't ask gets none, and GeeRPC's wire. See PROTOCOL.md.

// protocolVersion is the version of the handshake and of what follows it.
const protocolVersion = 1

const (
	maxHandshakeBytes = 4 << 10
	handshakeTimeout  = 10 * time.Second // from the first byte
	silentTimeout     = 5 * time.Minute  // before the first byte
	legacyBytes       = 512              // what an old server's first read takes at most
)

// kinds are the names of the kinds of messages that this version handles.
var kinds = []string{codec.Call.String(), codec.Reply.String(), codec.Cancel.String(),
	codec.Goaway.String(), codec.Ping.String(), codec.Pong.String()}

// A kindSet is the kinds that a peer handles.
type kindSet uint16

func newKindSet(names []string) (s kindSet) {
	for _, name := range names {
		if k := codec.ParseKind(name); k < 16 {
			s |= 1 << k
		}
	}
	return s
}

func (s kindSet) has(k codec.Kind) bool { return s>>k&1 == 1 }

// A wireLimit is a limit that a peer announces. Negative is no limit, and so is
// a number that is too large for an int64.
type wireLimit int64

// UnmarshalJSON implements json.Unmarshaler.
func (l *wireLimit) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(data), 64) // as other languages write large numbers
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return &json.UnmarshalTypeError{Value: jsonKinds[data[0]], Type: reflect.TypeFor[wireLimit]()}
		}
		if n = int64(f); f < 0 || f >= math.MaxInt64 {
			n = -1
		}
	}
	*l = wireLimit(n)
	return nil
}

// jsonKinds names what a value that is no number begins with.
var jsonKinds = map[byte]string{'"': "string", '{': "object", '[': "array", 't': "bool", 'f': "bool"}

// int returns the limit as far as an int goes: on a machine with 32 bits no
// message is larger.
func (l wireLimit) int() int { return int(min(int64(l), math.MaxInt)) }

// A hello is what a client opens with.
type hello struct {
	MagicNumber    int
	CodecType      codec.Type
	ConnectTimeout time.Duration
	HandleTimeout  time.Duration

	Version  int      `json:",omitempty"`
	Ack      bool     `json:",omitempty"` // answer, please
	Extended bool     `json:",omitempty"` // the codec has an extended layout
	Kinds    []string `json:",omitempty"` // of messages that the client handles

	MaxMessageBytes wireLimit `json:",omitempty"` // of a reply; 0: no limit

	// MaxDefinitionBytes is how many bytes of gob type definitions the client
	// takes; 0: 64 KiB, negative: no limit.
	MaxDefinitionBytes wireLimit `json:",omitempty"`

	Token string `json:",omitempty"`

	PingInterval time.Duration `json:",omitempty"` // the client sends something at least so often; 0: no promise
}

// An ack is what a server answers if it was asked to.
type ack struct {
	OK    bool
	Code  Code   `json:",omitempty"` // why not
	Error string `json:",omitempty"`

	Version  int      `json:",omitempty"`
	Extended bool     `json:",omitempty"` // both codecs have an extended layout: it is in force
	Kinds    []string `json:",omitempty"` // of messages that the server handles

	MaxMessageBytes    wireLimit `json:",omitempty"` // of a request; 0: no limit
	MaxDefinitionBytes wireLimit `json:",omitempty"` // as in the hello, of the server
	MaxInFlight        wireLimit `json:",omitempty"` // calls at a time; 0: no limit

	PingInterval time.Duration `json:",omitempty"` // how often each side is to be heard; 0: as it likes
}

// mayBegin is what an object in the handshake may begin with.
var mayBegin = []byte("{ \t\r\n")

// readObject reads one JSON object into v, and nothing behind it.
func readObject(in *wire.Reader, v any) error {
	data, err := peekObject(in)
	if err != nil {
		return err
	}
	defer in.Discard(len(data))
	return json.Unmarshal(data, v)
}

// peekObject waits for a JSON object, which the caller discards.
func peekObject(in *wire.Reader) ([]byte, error) {
	var s wire.JSONScanner
	for end := 0; ; {
		data := in.Buffered()[end:]
		if len(data) == 0 {
			if err := in.More(); err != nil {
				if err == io.EOF && end > 0 {
					err = io.ErrUnexpectedEOF
				}
				return nil, err
			}
			continue
		}
		n, complete := s.Scan(data[:min(len(data), maxHandshakeBytes-end)])
		end += n
		if complete {
			return in.Buffered()[:end], nil
		}
		if end >= maxHandshakeBytes {
			return nil, fmt.Errorf("%w: more than %d bytes", errHandshake, maxHandshakeBytes)
		}
	}
}

// skipNewline drops the newline that may stand behind a handshake object, when
// the bytes of the first message arrive.
func skipNewline(in *wire.Reader) error {
	first, err := in.Peek(1)
	if err == nil && first[0] == '\n' {
		in.Discard(1)
	}
	return err
}

var (
	errHandshake = errors.New("not a geerpc handshake")
	errNoAck     = errors.New("no acknowledgement from the server; is it a geerpc server, and reached as it wants to be (TLS, HTTP)? If it is GeeRPC's original version, set Option.Legacy")
)

// greet is the client's side of the handshake, within ctx.
func (c *Client) greet(ctx context.Context) error {
	newCodec, err := codec.Lookup(c.opt.CodecType)
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	if err := c.link.open(newCodec); err != nil {
		return newError(CodeInternal, InClient, RanNever, "rpc client", err)
	}
	stop := context.AfterFunc(ctx, func() { c.link.fail(context.Cause(ctx)) })
	if c.opt.Legacy {
		err = c.greetLegacy()
	} else {
		err = c.greetPeer()
	}
	if cause := c.link.cause(); err != nil && cause != nil && !errors.As(err, new(*Error)) {
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

// greetPeer says hello to a server of our own kind and takes its answer.
func (c *Client) greetPeer() error {
	line, err := json.Marshal(hello{
		MagicNumber: MagicNumber, CodecType: c.opt.CodecType,
		ConnectTimeout: c.opt.ConnectTimeout, HandleTimeout: c.opt.HandleTimeout,
		Version: protocolVersion, Ack: true, Extended: c.link.whole, Kinds: kinds,
		MaxMessageBytes: wireLimit(c.opt.MaxMessageBytes), MaxDefinitionBytes: announcedDefinitions(c.opt.MaxDefinitionBytes), Token: c.opt.Token, PingInterval: c.opt.PingInterval,
	})
	if err == nil && len(line) > maxHandshakeBytes {
		err = fmt.Errorf("hello of %d bytes, a server takes %d: choose a shorter Token or CodecType", len(line), maxHandshakeBytes)
	}
	if err == nil && !utf8.ValidString(c.opt.Token) {
		err = errors.New("the Token is not valid UTF-8, and would not arrive as it is: encode it")
	}
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	if err := c.link.sendLine(line); err != nil {
		return err
	}
	if err := c.recognize(); err != nil {
		return err
	}
	a, err := readAck(c.link.in)
	if err != nil {
		return err
	}
	c.link.wire.MaxWrite = max(a.MaxMessageBytes.int(), 0)
	c.link.wire.MaxWriteDefinitions = peerDefinitions(a.MaxDefinitionBytes)
	c.pending.limit = max(a.MaxInFlight.int(), 0)
	if a.PingInterval > 0 {
		c.opt.PingInterval = min(c.opt.PingInterval, a.PingInterval)
	}
	if a.Extended && c.link.whole {
		c.link.extend(newKindSet(a.Kinds))
	}
	return skipNewline(c.link.in)
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
	first, err := c.link.in.Peek(1)
	switch {
	case err != nil:
		return err
	case first[0] == 'H':
		return &Error{Code: CodeUnavailable, Where: OnLink, Ran: RanNever,
			Message: "rpc client: the server speaks HTTP: use DialHTTP, or http@ (with TLS https@) in front of the address, if there is a geerpc server behind it"}
	case first[0] == tlsAlert:
		return errSpeaksTLS
	case bytes.IndexByte(mayBegin, first[0]) < 0:
		return notAnAck(c.link.in.Buffered())
	}
	return nil
}

var errSpeaksTLS error = &Error{Code: CodeUnauthenticated, Where: OnLink, Ran: RanNever,
	Message: "rpc client: the server speaks TLS: set Option.TLSConfig, or use tls@ in front of the address, or https@ for http@"}

const tlsAlert = 0x15 // the content type of RFC 8446, section 5.1

// greetLegacy sends the Option as an old server needs it. That server reads
// with a json.Decoder, whose first read takes up to 512 bytes and whose buffer
// is then forgotten: were the Option any shorter, the first call would go with
// it. Blanks before the closing brace make it fill that read exactly.
func (c *Client) greetLegacy() error {
	line, err := json.Marshal(hello{MagicNumber: MagicNumber, CodecType: c.opt.CodecType,
		ConnectTimeout: c.opt.ConnectTimeout, HandleTimeout: c.opt.HandleTimeout})
	if err == nil && len(line) > legacyBytes {
		err = fmt.Errorf("option of %d bytes, a legacy server takes %d: choose a shorter CodecType", len(line), legacyBytes)
	}
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	padded := bytes.Repeat([]byte{' '}, legacyBytes)
	copy(padded, line[:len(line)-1])
	padded[legacyBytes-1] = '}'
	_, err = c.link.conn.Write(padded)
	return err
}

// greet is the server's side of the handshake. It returns why the connection is
// not to be served, or nil.
func (c *conn) greet() error {
	var h hello
	var refusal *Error
	var unfit *json.UnmarshalTypeError
	switch err := c.awaitHello(&h); {
	case errors.As(err, &unfit):
		refusal = &Error{Code: CodeInvalidArgument, Where: InServer, Ran: RanNever,
			Message: fmt.Sprintf("the field %s of the hello can't be a JSON %s", unfit.Field, unfit.Value)}
	case err != nil:
		return err
	default:
		refusal = c.judge(&h)
	}
	if refusal != nil {
		if h.Ack {
			c.answer(ack{Code: refusal.Code, Error: refusal.Message})
			c.link.out.Drain(c.link.ctx)
		}
		return refusal
	}
	if !h.Ack {
		return nil
	}
	c.link.wire.MaxWrite = max(h.MaxMessageBytes.int(), 0)
	c.link.wire.MaxWriteDefinitions = peerDefinitions(h.MaxDefinitionBytes)
	extended := h.Extended && c.link.whole
	if extended {
		c.link.extend(newKindSet(h.Kinds))
		c.pingInterval = c.server.pingInterval(h.PingInterval)
	}
	return c.answer(ack{OK: true, Version: protocolVersion, Extended: extended, Kinds: kinds,
		MaxMessageBytes: wireLimit(c.link.wire.MaxRead), MaxDefinitionBytes: announcedDefinitions(c.link.wire.MaxReadDefinitions),
		MaxInFlight: wireLimit(c.server.maxInFlight()), PingInterval: c.pingInterval})
}

// answer sends the acknowledgement.
func (c *conn) answer(a ack) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return c.link.sendLine(line)
}

// sendLine sends a line of the handshake.
func (l *link) sendLine(line []byte) error {
	if err := l.out.Begin(l.ctx); err != nil {
		return err
	}
	_, err := l.out.Write(append(line, '\n'))
	l.out.End()
	l.flush(false)
	return err
}

// awaitHello reads the client's hello into h: as long as the connection is silent it
// costs a timer and no buffer, from the first byte on it has 10 s.
func (c *conn) awaitHello(h *hello) error {
	limit := silentTimeout
	if c.server.conns.closing() { // whoever speaks now is told so, others need not wait
		limit = closeGrace
	}
	silent := wire.NewAlarm(func() { c.link.fail(errSilent) })
	silent.Set(limit)
	first, err := c.link.in.Peek(1)
	if !silent.Stop() && err == nil {
		err = errSilent
	}
	if err != nil {
		return c.reason(err)
	}
	c.heard.Store(true)
	slow := wire.NewAlarm(func() { c.link.fail(errSlowHello) })
	slow.Set(handshakeTimeout)
	defer slow.Stop()
	// Other protocols can share the port: they start with another byte.
	if bytes.IndexByte(mayBegin, first[0]) < 0 {
		return fmt.Errorf("%w: first byte %#02x", errHandshake, first[0])
	}
	if err := readObject(c.link.in, h); err != nil {
		return c.reason(err)
	}
	return nil
}

// reason returns why the connection was closed, if it was us who did it: that
// explains more than the error of a read on it.
func (c *conn) reason(err error) error {
	if cause := c.link.cause(); cause != nil {
		return cause
	}
	return err
}

var (
	errSilent    = errors.New("silent for too long")
	errSlowHello = fmt.Errorf("no complete handshake within %v", handshakeTimeout)
)

// judge says why a connection is refused, or makes its codec and returns nil.
func (c *conn) judge(h *hello) *Error {
	refuse := func(code Code, format string, a ...any) *Error {
		return &Error{Code: code, Message: fmt.Sprintf(format, a...), Where: InServer, Ran: RanNever}
	}
	s := c.server
	if h.MagicNumber != MagicNumber {
		return refuse(CodeInvalidArgument, "invalid magic number %#x, want %#x", h.MagicNumber, MagicNumber)
	}
	if h.Version > protocolVersion {
		return refuse(CodeUnimplemented, "protocol version %d, this server speaks %d", h.Version, protocolVersion)
	}
	if s.Token != "" && !sameToken(h.Token, s.Token) {
		return refuse(CodeUnauthenticated, "the token is missing or wrong")
	}
	if len(s.Codecs) > 0 && !slices.Contains(s.Codecs, h.CodecType) {
		return refuse(CodeInvalidArgument, "codec type %.64q is not for this server, which takes %q", h.CodecType, s.Codecs)
	}
	newCodec, err := codec.Lookup(h.CodecType)
	if err != nil {
		return refuse(CodeInvalidArgument, "%s", err)
	}
	if err := c.link.open(newCodec); err != nil {
		return refuse(CodeInternal, "%s", err)
	}
	c.codecType, c.handle = h.CodecType, handleTimeout(s.HandleTimeout, h.HandleTimeout)
	return s.conns.admit(c)
}

// handleTimeout returns the shorter of the server's and the client's.
func handleTimeout(mine, theirs time.Duration) time.Duration {
	mine, theirs = max(mine, 0), max(theirs, 0)
	if mine == 0 || theirs > 0 && theirs < mine {
		return theirs
	}
	return mine
}

// sameToken takes as long for any token of the same length.
func sameToken(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
