package geerpc

import (
	"errors"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/connset"
	"geerpc/internal/report"
)

// The defaults of a server.
const (
	DefaultMaxInFlight = 4096
	DefaultReadTimeout = 90 * time.Second
)

// A Server offers the methods of the values registered with it. The zero value
// works. The fields are set before the Server is used, and not changed after;
// where nothing else is said zero is the default and a negative value no limit.
//
// A Server's life: values are registered, at any time; Serve, ServeConn and
// ServeHTTP serve connections, any number of them; Shutdown ends all of them
// in good order, Close at once.
type Server struct {
	// Logger hears of rejected and of broken connections, of methods that
	// panic, and of Accept when it fails or has to try again. A connection of
	// which no byte came is not logged. Nil: nobody does.
	Logger *slog.Logger

	// Interceptors wrap the handling of each call; the first is the outermost.
	// If one is nil, all calls are refused: it may have been to authorize them.
	Interceptors []Interceptor

	// Token, if not empty, must be presented by every client, so that those
	// of GeeRPC's original version are kept out. It is as secret as the
	// connection it is sent over.
	Token string

	// Codecs are the codecs that clients may choose. None: all that are
	// registered.
	Codecs []codec.Type

	// Compression names the algorithms that clients may choose, such as "flate".
	// None: nothing is compressed.
	Compression []string

	// HandleTimeout limits each call of a method that exists, as
	// Option.HandleTimeout does; the shorter one counts. Zero or negative: no
	// limit.
	HandleTimeout time.Duration

	// Ordered has the calls of each connection run one by one, in the order
	// in which they were sent. That is the order of Client.Go, unless the
	// client has interceptors: then each call of Go has a goroutine of its
	// own, and they are sent in any order. Ordered is for services that need
	// it: a call that waits for a later one of the same connection waits for
	// ever.
	Ordered bool

	// MaxMessageBytes limits the size of a request. Default: 4 MiB.
	MaxMessageBytes int

	// MaxDefinitionBytes limits the gob type definitions that a client may
	// send on one connection, as Option.MaxDefinitionBytes does. Default:
	// 64 KiB.
	MaxDefinitionBytes int

	// MaxInFlight limits the calls that a connection has in flight. A client
	// is told, and waits; one that is too old to be told is not read from
	// meanwhile. Default: 4,096.
	MaxInFlight int

	// MaxConns limits the connections that have shaken hands: one more is told
	// so, and closed. There may be 64 more that have not; beyond those, each
	// newcomer has one closed that is silent or else slow. Default: no limit.
	MaxConns int

	// FlushTimeout limits how long a client may take no byte that the server
	// has to send before its connection is closed. Each byte that it takes
	// begins a new wait. (TLS shows progress in steps of up to 32 KiB: a client
	// that takes less in this time is closed.) Default: 10 s.
	FlushTimeout time.Duration

	// ReadTimeout limits how long nothing may be heard of a client that
	// promised to ping. The client is told to ping three times as often at
	// least. Default: 90 s.
	ReadTimeout time.Duration

	// IdleTimeout is how long a connection may be without a call before its
	// client is asked to leave. Zero or negative: for ever.
	IdleTimeout time.Duration

	registry registry
	conns    connset.Set[*conn]
	rejected atomic.Int64 // connections
	hooks    connset.Hooks
	stalls   stallWatch
	reports  report.Queue
}

// NewServer returns a new Server.
func NewServer() *Server { return &Server{} }

// DefaultServer is the Server that the functions of this package use.
var DefaultServer = NewServer()

// Register publishes the methods of rcvr under the name of its type, those
// that are of one of these forms, with A and R exported or builtin types:
//
//	func (T) Method(args A, reply *R) error
//	func (T) Method(ctx context.Context, args A, reply *R) error
//
// Promoted methods count. Others are left out, and who calls one is told why;
// it is an error if none remains, if the type is not exported, and if the name is taken. Register may
// be called at any time, from any goroutine.
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
	s.registry.leaveOut(name, unfit)
	return nil
}

// Services returns the names of the services that are registered, in order.
func (s *Server) Services() []string { return slices.Sorted(maps.Keys(s.registry.byService())) }

// Register publishes the receiver's methods in the DefaultServer.
func Register(rcvr any) error { return DefaultServer.Register(rcvr) }

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
	if !s.conns.AddListener(lis) {
		return ErrServerClosed
	}
	defer s.conns.RemoveListener(lis)
	var pause time.Duration
	for {
		rwc, err := lis.Accept()
		if err == nil {
			pause = 0
			go s.ServeConn(rwc) // ends with the connection; once it is added, Shutdown and Close wait, and before it is refused
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
func (s *Server) ServeConn(rwc io.ReadWriteCloser) {
	c := newConn(s, rwc)
	if !s.conns.Add(c, s.MaxConns) {
		c.link.Fail(ErrServerClosed)
		return
	}
	defer s.conns.Remove(c)
	c.serve()
}

// reject notes that a connection did not come to calls, unless its client
// merely hung up. One of which no byte came is not logged: health checks of load
// balancers connect all the time, and many of them end with a reset.
func (s *Server) reject(c *conn, err error) {
	heard := c.heard.Load()
	hungUp := err == io.EOF || !heard && c.link.Cause() == nil
	if hungUp || s.conns.IsStopped() {
		return
	}
	s.rejected.Add(1)
	if heard {
		s.report(slog.LevelWarn, "rpc server: connection rejected", "peer", c.peer.Addr, "err", err)
	}
}

// lost logs that a connection ended in another way than by its client's leave.
func (s *Server) lost(c *conn) {
	switch cause := c.link.Cause(); {
	case cause == io.EOF, cause == errDone, cause == ErrServerClosed, !c.greeted.Load():
	default:
		s.report(slog.LevelWarn, "rpc server: connection lost", "peer", c.peer.Addr, "err", cause)
	}
}

func (s *Server) logger() *slog.Logger { return orQuiet(s.Logger) }

// report has a message logged, without waiting for the Logger.
func (s *Server) report(level slog.Level, text string, args ...any) {
	s.reports.Log(s.logger(), level, text, args...)
}

func (s *Server) maxInFlight() int { return limit(s.MaxInFlight, DefaultMaxInFlight) }
