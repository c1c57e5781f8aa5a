package geerpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"time"

	"geerpc/codec"
	"geerpc/internal/callstats"
	"geerpc/internal/connset"
	"geerpc/internal/report"
)

// The defaults of a server.
const (
	DefaultMaxInFlight = 4096
	DefaultReadTimeout = 90 * time.Second
)

// A Server offers the methods of values that are registered with it. Its life:
// values are registered, at any time; Serve, ServeConn and ServeHTTP serve
// connections, any number of them; Shutdown ends all of them in good order, Close at
// once.
//
// The zero Server works. Its fields are set before it is used, and not changed after
// that. A limit that is zero is the default, and a negative one is no limit, where
// nothing else is said.
type Server struct {
	// Logger hears of connections that are rejected or break, of methods that panic,
	// of replies that can't be encoded, of an Accept that fails or is tried again, and, if
	// it is set before Register, of methods that are skipped. It is not told of connections
	// that end before their first byte, as those of health checks do. Nil: nothing is logged.
	Logger *slog.Logger

	// Interceptors wrap the handling of each call. The first is the outermost. If one is
	// nil, all calls are refused, because it may have been to authorize them.
	Interceptors []Interceptor

	// Admit functions decide, in order, whether a call may be served, before its
	// arguments are decoded and before the interceptors, so that a call which is refused
	// costs little. The first error refuses the call, which then never ran; its code is
	// CodePermissionDenied if it has none. ctx has the peer, the metadata and the
	// deadline, like that of a method. Do not keep it or wait for it: nothing is read
	// from the connection until the function returns. A nil function refuses all calls.
	// One that panics refuses the call; one that ends its goroutine ends the connection.
	// For methods that do not exist no function is called.
	Admit []func(ctx context.Context, serviceMethod string) error

	// Token, if not empty, is what every client must present. Clients of GeeRPC's
	// original version can't. It is as secret as the connection that it is sent over.
	Token string

	// Protocols are what clients may speak, the first bytes of a connection tell which.
	// Nil: AllProtocols, that is GeeRPC, NetRPC, JSONRPC and HTTP. To switch one off,
	// list the others; to add one of your own, append it to AllProtocols(). Serve fails
	// if two of them may begin alike.
	Protocols []*Protocol

	// TLSConfig, if not nil, has the certificate with which the Server answers clients
	// that begin with a TLS handshake. Other clients are refused then, unless
	// AllowPlaintext is set. (A listener of package crypto/tls, which takes TLS only,
	// needs neither.)
	TLSConfig      *tls.Config
	AllowPlaintext bool

	// Codecs are the codecs that clients may choose. None: all that are registered.
	Codecs []codec.Type

	// Compression names the algorithms that clients may choose, such as "flate".
	// None: nothing is compressed.
	Compression []string

	// HandleTimeout limits the time of each call, as Option.HandleTimeout does. The
	// shorter of the two counts. Zero or negative: no limit.
	HandleTimeout time.Duration

	// Ordered runs the calls of each connection one by one, in the order in which they
	// were sent: that of Client.Go, unless the client has interceptors. It is for
	// services that need it. A call that waits for a later one of the same connection
	// waits for ever.
	Ordered bool

	// MaxMessageBytes limits the size of a request. Zero: 4 MiB.
	MaxMessageBytes int

	// MaxDefinitionBytes limits the gob type definitions that a client may send on one
	// connection, as Option.MaxDefinitionBytes does. Zero: 64 KiB.
	MaxDefinitionBytes int

	// MaxInFlight limits the calls that a connection has in flight. A client is told the
	// limit, and waits. A client of GeeRPC's original version can't be told, and is not
	// read from meanwhile. Of requests over HTTP there may be as many at a time, of all
	// clients together, and one more is refused. Zero: 4,096.
	MaxInFlight int

	// MaxConns limits the connections that have shaken hands. One more is closed, and
	// told why. There may be 64 more that have not shaken hands; for each newcomer
	// beyond those, one is closed that is silent or else slow. Zero: no limit.
	MaxConns int

	// FlushTimeout limits how long a client may take no byte of what the server has to
	// send, before its connection is closed. Each byte that it takes begins a new wait.
	// (Over TLS progress shows in steps of up to 32 KiB, over HTTP of 64 KiB, and a client
	// that takes less in this time is closed.) Zero: 10 s.
	FlushTimeout time.Duration

	// ReadTimeout limits how long a client may be silent that has promised to ping, or is
	// about to send the body of a request over HTTP. The client is told to ping at least
	// three times as often. Zero: 90 s.
	ReadTimeout time.Duration

	// IdleTimeout is how long a connection may be without a call before its client is
	// asked to leave. Zero or negative: for ever.
	IdleTimeout time.Duration

	// DisableIntrospection switches off the built-in service "geerpc". With it any client
	// that may call this Server learns the names and types of its methods, and how often
	// they are called; the geerpc command depends on it. The name is reserved in any
	// case.
	DisableIntrospection bool

	// AllowDebugCalls lets whoever can open the debug page call methods from it, with
	// arguments in JSON. The calls pass Admit and the interceptors, with the Token but
	// no certificate. Pages of other origins can't use the form. A proxy on this machine has
	// to ask for the page as localhost, not by its own name.
	AllowDebugCalls bool

	registry      registry
	unknown       interceptedCall // of methods that do not exist
	introspection introspection
	conns         connset.Set[*conn]
	rejected      callstats.Refusals // connections
	broken        callstats.Refusals // connections
	unserved      callstats.Refusals // requests over HTTP
	hooks         connset.Hooks
	web           web
	stalls        stallWatch
	reports       report.Queue
}

// NewServer returns a new Server.
func NewServer() *Server { return &Server{} }

// DefaultServer is the Server that the functions of this package use.
var DefaultServer = NewServer()

// Register publishes the methods of rcvr under the name of its type. A method is
// published if it has one of these forms, where A and R are exported or builtin types:
//
//	func (T) Method(args A, reply *R) error
//	func (T) Method(ctx context.Context, args A, reply *R) error
//
// Promoted methods count. Other methods are skipped, and calling one returns an error
// that says why; so does the Logger. It is an error if no method can be published, if the type is not
// exported, and if the name is taken. Register may be called at any time, by any
// goroutine.
func (s *Server) Register(rcvr any) error {
	if rcvr == nil {
		return errors.New("rpc: register: nil has no methods")
	}
	t := reflect.TypeOf(rcvr) // the value may be a nil pointer
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	if !token.IsExported(name) {
		return errors.New("rpc: register: type " + reflect.TypeOf(rcvr).String() + " is not exported; RegisterName takes any type")
	}
	return s.RegisterName(name, rcvr)
}

// RegisterName is Register under a name of choice. If methods are named, only
// those are published, and each of them must be suitable.
func (s *Server) RegisterName(name string, rcvr any, methods ...string) error {
	if rcvr == nil || name == "" {
		return errors.New("rpc: register: a name and a value are needed")
	}
	found, unfit, err := methodsOf(name, rcvr, methods)
	if err != nil {
		return err
	}
	if err := s.registry.add(name, true, found...); err != nil {
		return err
	}
	if len(unfit) > 0 {
		s.registry.noteUnfit(name, unfit)
		s.report(slog.LevelInfo, "rpc server: methods were skipped", "service", name, "why", causes(unfit))
	}
	return nil
}

// Services returns the names of the services that are registered, in order.
func (s *Server) Services() []string {
	names := slices.Sorted(maps.Keys(s.registry.byService()))
	return slices.DeleteFunc(names, func(name string) bool { return name == "" }) // functions without one
}

// Register publishes the receiver's methods in the DefaultServer.
func Register(rcvr any) error { return DefaultServer.Register(rcvr) }

// RegisterName is Server.RegisterName for the DefaultServer.
func RegisterName(name string, rcvr any, methods ...string) error {
	return DefaultServer.RegisterName(name, rcvr, methods...)
}

// ServeConn serves a connection with the DefaultServer; see Server.ServeConn.
func ServeConn(conn io.ReadWriteCloser) { DefaultServer.ServeConn(conn) }

// Accept is Serve for callers that don't want to know why it ended. It is
// logged.
func (s *Server) Accept(lis net.Listener) {
	if err := s.Serve(lis); err != nil && !errors.Is(err, ErrServerClosed) {
		s.report(slog.LevelError, "rpc server: accept", "addr", lis.Addr(), "err", err)
	}
}

// Accept serves the listener's connections with the DefaultServer.
func Accept(lis net.Listener) { DefaultServer.Accept(lis) }

// The pause after an Accept that failed for the moment, as in net/http.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Serve accepts connections and serves each on a goroutine of its own. It
// closes the listener, once, and returns when Accept fails for good, or
// ErrServerClosed after Shutdown or Close. What fails for the moment, such as
// a lack of file descriptors, is tried again. A panic of Accept is the caller's.
func (s *Server) Serve(l net.Listener) error {
	lis := connset.NewListener(l, s.report)
	defer lis.Close()
	if err := s.checkProtocols(); err != nil {
		return err
	}
	if !s.conns.AddListener(lis) {
		return ErrServerClosed
	}
	defer s.conns.RemoveListener(lis)
	var pause time.Duration
	for {
		rwc, err := lis.Accept()
		if err == nil {
			pause = 0
			go s.ServeConn(rwc) // ends with the connection; Shutdown and Close wait for it, or it is refused
			continue
		}
		if s.conns.IsStopped() {
			return ErrServerClosed
		}
		if passing, ok := err.(interface{ Temporary() bool }); !ok || !passing.Temporary() {
			return err
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		s.report(slog.LevelWarn, "rpc server: accept, trying again", "addr", lis.Addr(), "err", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-s.conns.Stopped():
			return ErrServerClosed
		}
	}
}

// ServeConn serves a single connection, which may be anything that reads and
// writes. It blocks until the client has hung up and its calls are answered,
// and closes the connection.
func (s *Server) ServeConn(rwc io.ReadWriteCloser) { s.serve(newConn(s, rwc, nil)) }

// serve serves a connection until it is gone.
func (s *Server) serve(c *conn) {
	s.offerIntrospection()
	if !s.conns.Add(c, s.MaxConns) {
		c.readErr = ErrServerClosed
		c.link.Fail(c.readErr)
		return
	}
	defer s.conns.Remove(c)
	c.serve()
}

// noteRefused counts and logs a connection that ended before its first call, unless its
// client merely hung up. One that sent no byte is not logged: health checks of load
// balancers connect all the time, and many of them end with a reset.
func (s *Server) noteRefused(c *conn, err error) {
	heard := c.heard.Load()
	hungUp := err == io.EOF || !heard && c.link.Cause() == nil
	if hungUp || s.conns.IsStopped() {
		return
	}
	c.recordRefused(&s.rejected, err)
	if heard {
		s.report(slog.LevelWarn, "rpc server: connection rejected", "peer", c.peer.Addr, "err", err)
	}
}

// lost logs a connection that ended otherwise than by its client hanging up.
func (s *Server) lost(c *conn) {
	switch cause := c.link.Cause(); {
	case cause == io.EOF, cause == errDone, cause == ErrServerClosed, !c.shaken.Load():
	default:
		c.recordRefused(&s.broken, fmt.Errorf("connection lost: %w", cause))
		s.report(slog.LevelWarn, "rpc server: connection lost", "peer", c.peer.Addr, "err", cause)
	}
}

// String names the Server by its services. (Printed as it is, it would show the Token.)
func (s *Server) String() string { return fmt.Sprintf("rpc server of %q", s.Services()) }

// GoString is String, for %#v.
func (s *Server) GoString() string { return s.String() }

func (s *Server) logger() *slog.Logger { return orQuiet(s.Logger) }

// report has a message logged, without waiting for the Logger.
func (s *Server) report(level slog.Level, text string, args ...any) {
	s.reports.Log(s.logger(), level, text, args...)
}

func (s *Server) maxInFlight() int { return limit(s.MaxInFlight, DefaultMaxInFlight) }
