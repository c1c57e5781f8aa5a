// Package codec frames RPC messages on a connection: a Header and a body each.
//
// Two codecs are built in, gob ([GobType]) and JSON ([JsonType]). [Framed]
// makes a codec of any pair of marshal and unmarshal functions, and [Register]
// adds a codec under a name, which a client then chooses in its Option:
//
//	codec.Register("application/protobuf", codec.Framed(marshal, unmarshal))
//
// Package codectest checks that a codec keeps the obligations of [Codec].
package codec

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"geerpc/internal/wire"
)

// A Type names a codec in the handshake of a connection.
type Type string

// The codecs that are built in.
const (
	GobType  Type = "application/gob"
	JsonType Type = "application/json"
)

// A Header precedes the body of every message.
//
// Its exported fields are all that GeeRPC knows, and all that a codec which
// encodes a Header whole will send. What our own layouts carry beyond them is
// in [Header.Frame], out of reach of gob, JSON and their like.
type Header struct {
	ServiceMethod string // format "Service.Method"
	Seq           uint64 // sequence number chosen by the client
	Error         string // of a reply; empty if the call succeeded

	frame Frame
}

// Frame returns the part of the header that only framed messages carry.
func (h *Header) Frame() *Frame { return &h.frame }

// A Frame is the part of a Header that is transmitted only by codecs that are
// [Extended].
type Frame struct {
	Kind Kind

	// Timeout is the time that a call has left, in nanoseconds when sent;
	// 0 means that the caller waits without limit.
	Timeout int64

	// Code, Where and Ran classify the error of a reply, with the numbers of
	// package geerpc. Code 0 means success if Error is empty as well.
	Code, Where, Ran uint8

	// Metadata travels beside the body of a call or a reply.
	Metadata map[string]string
}

// A Kind tells what a message is for.
type Kind uint8

// The kinds of messages. Those from Open on are reserved for streams.
const (
	Call   Kind = iota // a request; the only kind a client sends on the plain layout
	Reply              // the answer to the Call with the same Seq
	Cancel             // the caller of Seq has gone; no body
	Goaway             // the sender wants to leave: no new calls, please; no body
	Ping               // are you there? no body
	Pong               // I am; no body
	Open
	Data
	End
	Credit
)

var kindNames = [...]string{"call", "reply", "cancel", "goaway", "ping", "pong", "open", "data", "end", "credit"}

// String returns the name of the kind as it is spelt in handshakes and JSON.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind returns the Kind that String spells so, or one that nobody knows.
func ParseKind(name string) Kind {
	if i := slices.Index(kindNames[:], name); i >= 0 {
		return Kind(i)
	}
	return unknownKind
}

const unknownKind Kind = 255

// A Codec reads and writes the messages of one connection. The core calls
// Write from one goroutine at a time, and ReadHeader and ReadBody in turn from
// one goroutine at a time; the two directions run concurrently. Close may be
// called at any time.
//
// An implementation keeps these obligations, which package codectest checks:
//
//  1. ReadHeader is followed by ReadBody for the same message, always.
//     ReadBody(nil) skips the body.
//  2. ReadBody consumes exactly one body, whether or not it can be decoded
//     into the given pointer. Its error concerns that message alone. If the
//     stream can't go on, the next ReadHeader says so.
//  3. ReadHeader returns io.EOF only where a message may begin.
//  4. Write sends a whole message or nothing. If it returns an error and has
//     written bytes all the same, the core closes the connection.
//  5. Write has finished with header and body when it returns, and ReadBody with
//     the value: the memory may be used for another call.
//  6. A nil body is sent as the codec's empty value, and read back as one.
//
// Arguments and replies that are pointers come as they are, never as pointers to
// pointers, and may be nil for an Extended codec. A method's argument or reply
// that is an interface comes as a pointer to it.
//
// A codec that is not Extended may wait for the network in ReadBody, and the
// caller of a reply may leave meanwhile. So ReadBody gets a copy of what stands
// in the reply, which is merged into the reply when ReadBody returns: what it
// leaves alone remains, in maps and behind pointers too. The copy has no
// unexported fields that lead to other memory. Such a field, one of a big.Int for
// example, begins as zero, and remains in the reply if ReadBody leaves it zero and
// the type has exported fields and no method to encode itself.
type Codec interface {
	io.Closer
	ReadHeader(*Header) error
	ReadBody(any) error
	Write(*Header, any) error
}

// An Extended codec can transmit the whole Header, its Frame included, and has
// a message's whole body at hand when ReadHeader returns, so that ReadBody
// never waits for the network. Peers that agree on it in the handshake get
// cancellation, deadlines, metadata, pings and an orderly goodbye; without it
// a connection carries calls and replies only.
type Extended interface {
	Codec

	// Extend returns the codec to use once both peers have agreed. It is
	// called before the first message and may return its receiver.
	Extend() Codec

	// Ready tells whether the next ReadHeader will return at once, because
	// the whole message is at hand. False is always a safe answer. It is
	// called from the goroutine that reads, after ReadBody.
	Ready() bool
}

// NewCodecFunc makes a codec that reads from and writes to conn and closes it.
// It must not read or write by itself.
type NewCodecFunc func(conn io.ReadWriteCloser) Codec

// NewCodecFuncMap holds the registered codecs. It stands here for programs that
// put their codec in directly, which is safe only before the first connection;
// [Register] is safe at any time.
var NewCodecFuncMap = map[Type]NewCodecFunc{
	GobType:  NewGobCodec,
	JsonType: NewJSONCodec,
}

var mu sync.RWMutex // guards NewCodecFuncMap, but for programs that bypass Register

// Register makes a codec available under the name t, in place of one that had
// it. Both peers must have it. It is safe for concurrent use; connections that
// exist keep the codec they have. A nil f makes the name unusable: Lookup says
// so, and with it Dial and the server that a client asks for the codec.
func Register(t Type, f NewCodecFunc) {
	mu.Lock()
	defer mu.Unlock()
	NewCodecFuncMap[t] = f
}

// Lookup returns the codec registered under the name t. If there is none, or
// its constructor is nil, the error wraps ErrUnknownType and names those that
// can be used.
func Lookup(t Type) (NewCodecFunc, error) {
	mu.RLock()
	defer mu.RUnlock()
	f, registered := NewCodecFuncMap[t]
	if f != nil {
		return f, nil
	}
	var usable []Type
	for name, f := range NewCodecFuncMap {
		if f != nil {
			usable = append(usable, name)
		}
	}
	slices.Sort(usable)
	why := ""
	if registered {
		why = " (its constructor is nil, as that of Framed is if a function is missing)"
	}
	return nil, fmt.Errorf("%w %.64q%s, registered are %q", ErrUnknownType, t, why, usable)
}

// Errors of this package, to be tested for with errors.Is.
var (
	// ErrUnknownType means that no codec is registered under a name.
	ErrUnknownType = errors.New("invalid codec type")

	// ErrTooLarge means that a message is over the size limit: of the peer
	// when Write returns it (nothing has been sent), our own when ReadHeader
	// does (the stream can't go on).
	ErrTooLarge = wire.ErrTooLarge

	// ErrDefinitions means that a value needs type definitions of gob for which
	// the connection has no room any more. It is an ErrTooLarge as well, and
	// like that one it is of the peer's limit or of our own.
	ErrDefinitions = wire.ErrDefinitions

	// ErrTooDeep means that a value is nested deeper than a decoder may go, or
	// holds itself. It concerns that value alone.
	ErrTooDeep = wire.ErrTooDeep

	// ErrCorrupt means that the peer sent what is no message.
	ErrCorrupt = wire.ErrCorrupt
)
