// Package codec frames RPC messages on a connection: a Header and a body each.
//
// Two codecs are built in, gob ([GobType]) and JSON ([JsonType]). [Framed]
// makes a codec of any pair of marshal and unmarshal functions, and [Register]
// adds a codec under a name, which a client then chooses in its Option:
//
//	codec.Register("application/protobuf", codec.Framed(marshal, unmarshal))
//
// [NewJSONRPCServer] and [NewJSONRPCClient] speak JSON-RPC with peers that know
// nothing of this library. They need no handshake.
//
// Package codectest checks that a codec keeps the obligations of [Codec].
package codec

import "io"

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
// Arguments and replies that are pointers are passed as they are, never as
// pointers to pointers, and may be nil for an Extended codec. An argument or
// reply whose type is an interface is passed as a pointer to it.
//
// A codec that is not Extended may wait for the network in ReadBody, and the
// caller of a reply may leave meanwhile. So ReadBody gets a copy of the reply's
// value, which is merged into the reply when ReadBody returns: what ReadBody
// leaves alone remains, even in maps and behind pointers. The copy has no
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

	// Ready reports whether the next ReadHeader will return at once, because
	// the whole message is at hand. False is always a safe answer. It is
	// called from the goroutine that reads, after ReadBody.
	Ready() bool
}
