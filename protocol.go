package geerpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"geerpc/codec"
	"geerpc/internal/opening"
	"geerpc/internal/usercode"
)

// A Protocol is a language that clients and servers may speak on a connection: how a
// client begins, and a codec. Its calls are those of any other: they pass the same
// interceptors, limits, metrics and shutdown.
//
// To a Server, Protocols are given as Server.Protocols, or by ServeCodec for one
// connection; to a Client, one is given as Option.Protocol.
type Protocol struct {
	// Name is what pages and logs call the protocol.
	Name string

	// Begins are what a server knows a client by: its first bytes are one of these, each
	// of 1 to 8 bytes, before anything has been sent to it. The built-in protocols have
	// rules instead.
	Begins []string

	// CodecType is the codec of whose kind arguments and replies are: with codec.JsonType
	// package encoding/json's. A server that has Codecs, and not this one among them,
	// does not serve the protocol. Empty: it serves it in any case.
	CodecType codec.Type

	// ServerCodec makes the codec of a connection that is served, ClientCodec that of a
	// Client. Nil: it is not for that side. Nothing is sent before the first message. A
	// server's codec may return from ReadHeader a call whose header has an Error, for
	// what is no call that can be met: it is answered with that error, and the codec's
	// ReadBody is called with nil. After io.EOF from ReadHeader the calls that have been
	// read are answered, however long they take, because the client may have closed its
	// side only; then the connection is closed. After another error, such as
	// io.ErrUnexpectedEOF, it is closed at once, and the contexts of its calls end.
	//
	// A codec may use a header's Frame: a server honours the Timeout and Metadata of a
	// call, and sets Metadata, Code, Where and Ran of a reply, which a client honours.
	// What it may read for one message is limited for it, by MaxMessageBytes.
	ServerCodec, ClientCodec codec.NewCodecFunc

	builtin opening.Protocol // opening.Unknown if it is a user's
	ignores string           // what clients skip between two messages; empty: nothing
}

// The protocols that are built in. Do not change them.
var (
	// GeeRPC is this package's own protocol, and that of GeeRPC's original version. It is
	// the only one with a handshake.
	GeeRPC = &Protocol{Name: "geerpc", builtin: opening.Hello}

	// NetRPC is the protocol of the standard library's package net/rpc, in gob. Calls
	// that are under way when a client hangs up are cancelled.
	NetRPC = &Protocol{Name: "net/rpc", builtin: opening.NetRPC, CodecType: codec.GobType,
		ServerCodec: codec.NewGobCodec, ClientCodec: codec.NewGobCodec}

	// JSONRPC is JSON-RPC 2.0 (https://www.jsonrpc.org/specification) on a stream, a value
	// after the other. Servers also take the requests of the standard library's package
	// net/rpc/jsonrpc, and answer them in kind. A client that says no more is sent
	// newlines until its calls are answered, which shows whether it has gone.
	JSONRPC = &Protocol{Name: "JSON-RPC", builtin: opening.JSONRPC, CodecType: codec.JsonType,
		ServerCodec: codec.NewJSONRPCServer, ClientCodec: codec.NewJSONRPCClient, ignores: "\n"}

	// JSONRPC1 is that of net/rpc/jsonrpc, which is older, for clients. A server has it as
	// a part of JSONRPC.
	JSONRPC1 = &Protocol{Name: "net/rpc/jsonrpc", CodecType: codec.JsonType, ClientCodec: codec.NewJSONRPC1Client}

	// HTTP is for servers only: calls are POST requests with JSON, see Server.ServeHTTP,
	// and after a CONNECT request a connection goes on with another protocol.
	HTTP = &Protocol{Name: "HTTP", builtin: opening.HTTP, CodecType: codec.JsonType}
)

// AllProtocols returns the built-in protocols of a server.
func AllProtocols() []*Protocol { return slices.Clone(allProtocols) }

var allProtocols = []*Protocol{GeeRPC, NetRPC, JSONRPC, HTTP}

// protocols returns what the server's clients may speak.
func (s *Server) protocols() []*Protocol {
	if s.Protocols == nil {
		return allProtocols
	}
	return s.Protocols
}

// findBuiltin returns the built-in protocol that a connection begins like, or nil.
func findBuiltin(protocols []*Protocol, begins opening.Protocol) *Protocol {
	for _, p := range protocols {
		if p != nil && p.builtin == begins && begins != opening.Unknown {
			return p
		}
	}
	return nil
}

// prefixes returns what users' protocols begin with, and for each of these the protocol.
func prefixes(protocols []*Protocol) (begins []string, of []*Protocol) {
	for _, p := range protocols {
		if p != nil && p.builtin == opening.Unknown {
			for _, text := range p.Begins {
				begins, of = append(begins, text), append(of, p)
			}
		}
	}
	return begins, of
}

// checkProtocols returns an error if a protocol could not be served, or some connection
// could be taken for one of two.
func (s *Server) checkProtocols() error {
	protocols := s.protocols()
	for _, p := range protocols {
		switch {
		case p == nil:
			return errors.New("rpc server: one of Server.Protocols is nil")
		case p.builtin == opening.Unknown && (len(p.Begins) == 0 || p.ServerCodec == nil):
			return fmt.Errorf("rpc server: protocol %q can't be served: it needs Begins and a ServerCodec", p.Name)
		}
	}
	begins, of := prefixes(protocols)
	for i, text := range begins {
		name := of[i].Name
		if text == "" || len(text) > opening.MaxPrefix {
			return fmt.Errorf("rpc server: protocol %q begins with %q: 1 to %d bytes are allowed", name, text, opening.MaxPrefix)
		}
		for j, other := range begins[:i] {
			if strings.HasPrefix(text, other) || strings.HasPrefix(other, text) {
				return fmt.Errorf("rpc server: protocols %q and %q both begin with %q", of[j].Name, name, other)
			}
		}
		if mayBeBuiltin(text, protocols) {
			return fmt.Errorf("rpc server: protocol %q begins with %q, and so may a built-in one: leave that out of Server.Protocols, or take another first byte, such as one above 0x7f",
				name, text)
		}
	}
	return nil
}

// mayBeBuiltin reports whether one of the protocols that is built in may begin with a text.
func mayBeBuiltin(text string, protocols []*Protocol) bool {
	for next := range 256 { // what follows a single byte decides
		rival, known := opening.Of(append([]byte(text), byte(next)))
		if !known || findBuiltin(protocols, rival) != nil {
			return true
		}
	}
	return false
}

// ServeCodec is ServeConn for a client that speaks what a codec reads and writes, and
// does not say so first: nothing is recognized, and there is no handshake. The caller
// has made sure that the client is welcome; Server.Token and Server.Codecs do not count.
// See Protocol.ServerCodec.
func (s *Server) ServeCodec(rwc io.ReadWriteCloser, newCodec codec.NewCodecFunc) {
	s.serve(newConn(s, rwc, &Protocol{Name: "a codec", ServerCodec: newCodec}))
}

// ServeRequest is ServeCodec for a single call, or a batch: it reads one, and returns when
// it is answered. It leaves rwc open, but may have read more from it than the call. It
// returns an error if no call could be read, io.EOF if there was none. While it waits for
// the call, only the end of rwc ends it: Server.Close and IdleTimeout can't.
func (s *Server) ServeRequest(rwc io.ReadWriteCloser, newCodec codec.NewCodecFunc) error {
	c := newConn(s, leftOpen{rwc}, &Protocol{Name: "a codec", ServerCodec: newCodec})
	c.onlyOne = true
	s.serve(c)
	return c.readErr
}

// A leftOpen is a stream that is not closed.
type leftOpen struct{ io.ReadWriteCloser }

func (leftOpen) Close() error { return nil }

// RemoteAddr returns the address of the other end, nil if it has none.
func (c leftOpen) RemoteAddr() net.Addr { return usercode.RemoteAddr(c.ReadWriteCloser) }
