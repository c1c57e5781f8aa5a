package geerpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
	"geerpc/internal/token"
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

// skipNewline waits for the byte behind a handshake object and drops it if it is
// a newline. An acknowledgement ends with one; behind a hello there may be none,
// and then it is the first message that is waited for.
func skipNewline(in *wire.Reader) error {
	first, err := in.Peek(1)
	if err == nil && first[0] == '\n' {
		in.Discard(1)
	}
	return err
}

var errHandshake = errors.New("not a geerpc handshake")

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
			c.link.Out.Drain(c.link.Context())
		}
		return refusal
	}
	if !h.Ack {
		return nil
	}
	c.link.Wire.MaxWrite = max(h.MaxMessageBytes.int(), 0)
	c.link.Wire.MaxWriteDefinitions = peerDefinitions(h.MaxDefinitionBytes)
	extended := h.Extended && c.link.Whole()
	if extended {
		c.link.Extend(link.NewKinds(h.Kinds))
		c.pingInterval = c.server.pingInterval(h.PingInterval)
	}
	return c.answer(ack{OK: true, Version: protocolVersion, Extended: extended, Kinds: kinds,
		MaxMessageBytes: wireLimit(c.link.Wire.MaxRead), MaxDefinitionBytes: announcedDefinitions(c.link.Wire.MaxReadDefinitions),
		MaxInFlight: wireLimit(c.server.maxInFlight()), PingInterval: c.pingInterval})
}

// answer sends the acknowledgement.
func (c *conn) answer(a ack) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return c.link.Say(append(line, '\n'))
}

// awaitHello reads the client's hello into h: as long as the connection is silent it
// costs a timer and no buffer, from the first byte on it has 10 s.
func (c *conn) awaitHello(h *hello) error {
	limit := silentTimeout
	if c.server.conns.closing() { // whoever speaks now is told so, others need not wait
		limit = closeGrace
	}
	silent := wire.NewAlarm(func() { c.link.Fail(errSilent) })
	silent.Set(limit)
	first, err := c.link.In.Peek(1)
	if !silent.Stop() && err == nil {
		err = errSilent
	}
	if err != nil {
		return c.reason(err)
	}
	c.heard.Store(true)
	slow := wire.NewAlarm(func() { c.link.Fail(errSlowHello) })
	slow.Set(handshakeTimeout)
	defer slow.Stop()
	// Other protocols can share the port: they start with another byte.
	if bytes.IndexByte(mayBegin, first[0]) < 0 {
		return fmt.Errorf("%w: first byte %#02x", errHandshake, first[0])
	}
	if err := readObject(c.link.In, h); err != nil {
		return c.reason(err)
	}
	return nil
}

// reason returns why the connection was closed, if it was us who did it: that
// explains more than the error of a read on it.
func (c *conn) reason(err error) error {
	if cause := c.link.Cause(); cause != nil {
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
	if s.Token != "" && !token.Equal(h.Token, s.Token) {
		return refuse(CodeUnauthenticated, "the token is missing or wrong")
	}
	if len(s.Codecs) > 0 && !slices.Contains(s.Codecs, h.CodecType) {
		return refuse(CodeInvalidArgument, "codec type %.64q is not for this server, which takes %q", h.CodecType, s.Codecs)
	}
	newCodec, err := codec.Lookup(h.CodecType)
	if err != nil {
		return refuse(CodeInvalidArgument, "%s", err)
	}
	if err := c.link.Open(newCodec); err != nil {
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
