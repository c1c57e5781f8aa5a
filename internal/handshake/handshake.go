// Package handshake is how the two ends of a connection agree on a codec, a layout
// and limits, before the first message.
//
//	client                                server
//	  │  {"MagicNumber":3927900,…}\n         │    the hello
//	  ├─────────────────────────────────────→│    Await, ReadHello
//	  │  {"OK":true,"MaxInFlight":4096,…}\n  │    the acknowledgement
//	  │←─────────────────────────────────────┤    Accept or Refuse
//	  │  messages                            │
//
// A hello is GeeRPC's Option, one JSON object, with more fields. One of them asks
// for the acknowledgement, a line of JSON. A client that does not ask gets none,
// and speaks GeeRPC's wire: the plain layout. PROTOCOL.md describes every field.
//
// Servers of GeeRPC's original version send no acknowledgement. Client finds out
// whether a server that stays silent is one of them, and Legacy speaks to one that
// is known to be.
//
// The package knows connections and codecs, and nothing of calls. Its caller makes
// the codec, decides whether a client is welcome, and gives errors their codes.
package handshake

import (
	"context"
	"fmt"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

const (
	// MagicNumber marks the first object of a connection as a hello.
	MagicNumber = 0x3bef5c

	// Version is the version of the handshake and of what follows it.
	Version = 1

	// MaxBytes limits a hello and an acknowledgement.
	MaxBytes = 4 << 10
)

const (
	// NoTLS is how a server without TLS begins to answer a TLS handshake.
	NoTLS = `{"OK":false`

	// NoHTTP is the status with which a server that does not serve HTTP answers a request.
	NoHTTP = "400 This is geerpc without HTTP"

	// Timeout is how long a handshake may take, be it this one, that of TLS or an
	// HTTP request. A server counts from the first byte.
	Timeout = 10 * time.Second

	// SilentTimeout is how long a server waits for the first byte.
	SilentTimeout = 5 * time.Minute
)

// kinds are the names of the kinds of messages that this version handles.
var kinds = []string{codec.Call.String(), codec.Reply.String(), codec.Cancel.String(),
	codec.Goaway.String(), codec.Ping.String(), codec.Pong.String()}

// A Hello is what a client sends first. Client fills in the fields from Version to
// Kinds and the limits; a zero PingInterval promises nothing.
type Hello struct {
	MagicNumber    int
	CodecType      codec.Type
	ConnectTimeout time.Duration
	HandleTimeout  time.Duration

	Version  int      `json:",omitempty"`
	Ack      bool     `json:",omitempty"` // asks for an acknowledgement
	Extended bool     `json:",omitempty"` // the codec has an extended layout
	Kinds    []string `json:",omitempty"` // of messages that the client handles

	MaxMessageBytes    Limit `json:",omitempty"` // in a reply
	MaxDefinitionBytes Limit `json:",omitempty"` // of gob type definitions; see announceDefinitions

	Token string `json:",omitempty"`

	PingInterval time.Duration `json:",omitempty"` // the client sends something at least this often

	Compressions []string `json:",omitempty"` // by name, those that the client likes most first
}

// An Ack is a server's acknowledgement. Accept and Refuse fill in all but
// MaxInFlight, PingInterval and Compression.
type Ack struct {
	OK    bool
	Code  uint8  `json:",omitempty"` // why the connection is refused; a geerpc.Code
	Error string `json:",omitempty"`

	Version  int      `json:",omitempty"`
	Extended bool     `json:",omitempty"` // both codecs have an extended layout, which is in force
	Kinds    []string `json:",omitempty"` // of messages that the server handles

	MaxMessageBytes    Limit `json:",omitempty"` // in a request
	MaxDefinitionBytes Limit `json:",omitempty"` // of gob type definitions; see announceDefinitions
	MaxInFlight        Limit `json:",omitempty"` // calls at a time

	PingInterval time.Duration `json:",omitempty"` // how often each side sends something; 0: as it likes

	Compression string `json:",omitempty"` // of all that follows, both ways; empty: none
}

// applyLimits makes l keep to what its peer accepts.
func applyLimits(l *link.Link, maxMessage, maxDefinitions Limit) {
	l.Wire.MaxWrite = maxMessage.Int()
	l.Wire.MaxWriteDefinitions = acceptedDefinitions(maxDefinitions)
}

// WithTimeout limits ctx by Timeout, unless ctx has a deadline of its own.
func WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, Timeout, ErrTimeout)
}

// ErrTimeout is the cause with which the context of WithTimeout ends.
var ErrTimeout = fmt.Errorf("handshake timeout: expect within %v", Timeout)

// A Reason is the kind of an Error.
type Reason uint8

// The reasons.
const (
	BadHello    Reason = iota // the client's own fault: the hello is not as it must be
	Refused                   // the server answered with a refusal
	WrongServer               // the server answered something else, or too late
	WantsTLS                  // the server answered as if it speaks TLS
)

// An Error is a handshake that failed for a known reason, not because the
// connection broke or the time was up.
type Error struct {
	Reason Reason
	Code   uint8 // with which the server Refused
	Text   string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }
