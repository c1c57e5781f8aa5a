package codec

import (
	"fmt"
	"slices"
)

// A Header precedes the body of every message.
//
// Its exported fields are those of GeeRPC, and all that a codec sends which
// encodes a Header whole. What our own layouts send beyond them is in
// [Header.Frame], out of reach of gob, JSON and their like.
type Header struct {
	ServiceMethod string // format "Service.Method"
	Seq           uint64 // sequence number chosen by the client
	Error         string // of a reply; empty if the call succeeded

	frame Frame
}

// Frame returns the part of the header that only framed messages carry.
func (h *Header) Frame() *Frame { return &h.frame }

// A Frame is the part of a Header that only [Extended] codecs transmit.
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

	// NetRPC is set by a codec, and not transmitted, for a call of a client of package
	// net/rpc/jsonrpc. If there is no such method, it is answered with net/rpc's text.
	NetRPC bool

	// Behind is set by a codec, and not transmitted: so many more calls, which ReadHeader
	// returns next, belong to the same message, and are answered together with this one.
	Behind int
}

// A Kind says what a message is for.
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

// String returns the name of the kind as handshakes and JSON spell it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind returns the Kind whose String is name, or a kind that no peer knows.
func ParseKind(name string) Kind {
	if i := slices.Index(kindNames[:], name); i >= 0 {
		return Kind(i)
	}
	return unknownKind
}

const unknownKind Kind = 255
