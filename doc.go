// Package geerpc is net/rpc as it should have become: remote calls of the
// exported methods of any value, with contexts, typed errors, time and size
// limits, and an orderly end, in the style of the GeeRPC tutorial, whose
// programs and peers it keeps working. It needs nothing but the standard
// library.
//
// # A server in five lines
//
// A method can be called if it has one of these forms, with argument and reply
// types that are exported or builtin:
//
//	func (T) Method(args A, reply *R) error
//	func (T) Method(ctx context.Context, args A, reply *R) error
//
// A Server offers the methods of the values registered with it:
//
//	server := geerpc.NewServer()
//	err := server.Register(Arith{}) // its methods are now Arith.Add and so on
//	...
//	lis, err := net.Listen("tcp", ":9999")
//	...
//	err = server.Serve(lis)
//
// # A client in five lines
//
//	client, err := geerpc.Dial("tcp", "localhost:9999")
//	...
//	defer client.Close()
//	var sum int
//	err = client.Call(ctx, "Arith.Add", Args{1, 2}, &sum)
//
// A Client is one connection, shared by any number of goroutines; [Client.Go]
// makes a call without waiting. [Method] and [RegisterFunc] have the compiler
// check the types of both sides. A Client never reconnects: an XClient, of
// package xclient, does, and calls services that run on several servers.
//
// # Contexts
//
// The time that a call has left travels with it, and so does its cancellation:
// the context of the method ends when the caller's does, or when the
// connection is lost. [Client.Call] returns at once when its context ends,
// whether or not the method has noticed, and nobody touches args or reply
// after it has returned. [Option.HandleTimeout] and [Server.HandleTimeout] have
// the server answer in time for methods that take no context.
//
// # Errors
//
// Every error of a call and of a Dial is an [*Error]: it has a [Code] (what),
// a [Where] (how far the call had come), and a [Ran] (whether the method ran:
// what a retry has to know). A method's own error keeps its text exactly, and
// brings a code if it was made with [Errorf]. errors.Is works for
// context.Canceled, context.DeadlineExceeded and [ErrShutdown]. A call that
// fails, because its arguments can't be encoded, its method does not exist or
// panics, or its reply is too large, fails alone: the connection goes on.
//
// # Codecs
//
// The codec is the client's choice: Option.CodecType names gob (the default),
// JSON, or one that [geerpc/codec.Register] has added.
// [geerpc/codec.Framed] makes a codec of a marshal and an unmarshal function.
//
// # Other protocols
//
// A Server knows by the first bytes of a connection what its client speaks:
// this package's protocol, that of the standard library's net/rpc, JSON-RPC,
// or HTTP, with calls as POST requests of JSON ([Server.ServeHTTP]); TLS may be
// in front of each. [Server.Protocols] chooses among them, and takes your own.
// With [Option.Protocol] a Client speaks net/rpc or JSON-RPC.
//
// # Transports
//
// [Dial] takes any network that net.Dial takes, [DialHTTP] goes through an HTTP
// server's CONNECT ([Server.HandleHTTP], or the Server itself on any mux),
// [XDial] takes both as one string, such as unix@/tmp/geerpc.sock. A
// [PipeListener] is a network inside the process, for tests.
// [Server.ServeConn] and [NewClient] work on any connection; [NewConn] makes one
// of the standard input and output of a child process, or of an SSH channel.
//
// # TLS and tokens
//
// [Option.TLSConfig] puts TLS on a client's connection, and Server.TLSConfig
// on a server's port; so does a listener made by tls.NewListener. [PeerFrom]
// tells a method who calls, the peer's certificates included. [Server.Token]
// admits only clients that present it. Gob is for peers that are trusted: see
// SECURITY.md.
//
// # Interceptors and metadata
//
// An [Interceptor] wraps each call: in a client if it is in
// Option.Interceptors, in a server if it is in Server.Interceptors. Logging,
// metrics, authorization and retries are interceptors. [Metadata] travels
// beside the arguments ([WithMetadata], [MetadataFrom]) and beside the reply
// ([SetReplyMetadata], [WithReplyMetadata]).
//
// # Limits
//
// Messages, calls in flight, handshakes, and the time that a silent peer or
// one that does not read is put up with have limits, on both sides. They are
// fields of [Option] and [Server], with constants for their defaults; a zero
// is the default, a negative value no limit. Only Option.ConnectTimeout is
// different: a zero is no limit, but [DefaultOption], which is a good one to
// copy, has 10 s.
//
// # Logging
//
// Nothing is logged unless Server.Logger or Option.Logger is set. Then they
// hear of handshakes that are rejected, of connections that are lost, and of
// methods that panic, with the stack.
//
// # Introspection
//
// Every Server has a built-in service named geerpc. It describes the methods and
// their types, and counts and times their calls, for any client that may call it.
// The geerpc command depends on it, and PROTOCOL.md documents it.
// Server.DisableIntrospection switches it off.
//
// # Shutdown
//
// [Server.Shutdown] stops listening, tells the clients, answers what they had
// sent before they knew, refuses the rest as never run, and returns when all
// connections are gone. [Server.Close] and [Client.Close] end at once, and
// leave no goroutine behind.
//
// # Compatibility
//
// Programs written for GeeRPC, from day 4 of its tutorial on, compile and run as
// they are. A server speaks GeeRPC's wire to clients that open with GeeRPC's
// Option; a client does so to a server that does not acknowledge, and at once
// with Option.Legacy. Between our own peers one round trip at the start
// agrees on more; PROTOCOL.md has the wire, for clients in other languages.
package geerpc
