package geerpc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"geerpc/codec"
	"geerpc/internal/connset"
	"geerpc/internal/link"
	"geerpc/internal/monotime"
	"geerpc/internal/report"
	"geerpc/internal/usercode"
)

// How both sides end without losing a call. A side that wants to end sends a goaway,
// takes no new calls, and closes the connection when those in flight are answered:
//
//	server                               client
//	  │  goaway                            │
//	  ├───────────────────────────────────→│  makes no new calls
//	  │  calls sent before it knew, goaway │
//	  │←───────────────────────────────────┤
//	  │  answers, end of the stream        │
//	  ├───────────────────────────────────→│  closes
//
// A client on the plain layout gets no notice. Its calls that have been read are
// answered, and then the connection is closed.

// closeGrace is how long Close waits for code that ignores it: methods whose
// context has ended, and connections whose Close does not return.
const closeGrace = time.Second

// OnShutdown registers f to be called by Shutdown, with its ctx, once and before
// anything else. That is the time to leave a registry, while calls are still
// accepted. All such functions run at the same time, each in a goroutine of its
// own. Shutdown waits for them until ctx ends, so f must return by then. A panic
// is logged. Once Shutdown has begun, f is not called any more. Close does not
// call f, and makes Shutdown stop waiting for it.
func (s *Server) OnShutdown(f func(ctx context.Context)) { s.hooks.Add(f) }

// Shutdown ends the server in good order. It calls the functions passed to
// OnShutdown, then closes the listeners and asks each client to leave. New
// connections are refused. Calls that were sent before the client knew are
// served; later ones fail with CodeUnavailable and RanNever. Each connection is
// closed when its calls are answered.
//
// Shutdown returns nil when all connections are gone. If ctx ends before that,
// it closes them as Close does, which may take another second, and returns ctx's
// error. If Close is called meanwhile, and methods go on although their context
// has ended, it returns ErrServerClosed. It may be called more than once, and
// before Serve.
func (s *Server) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return errNilServerContext
	}
	hooksErr := s.hooks.Run(ctx, s.report, s.conns.Stopped())
	listeners, conns := s.conns.Stop(false)
	s.report(slog.LevelInfo, "rpc server: shutting down", "connections", len(conns))
	s.end(ctx, listeners, conns, func(c *conn) { c.drain(ctx) })
	err := s.conns.Wait(ctx)
	if err != nil {
		s.reportCutOff()
	}
	s.Close()
	return cmp.Or(hooksErr, err)
}

var errNilServerContext error = &Error{Code: CodeInvalidArgument, Where: InServer, Ran: RanNever,
	Message: "rpc server: nil context; use context.Background()"}

// Close closes all listeners and connections at once, and the contexts of
// methods end. It returns when nothing of the server is running any more. It
// waits no longer than a second for methods that go on although their context
// has ended, and for listeners and connections whose Close does not return.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	listeners, conns := s.conns.Stop(true)
	s.end(ctx, listeners, conns, func(c *conn) { c.link.Fail(ErrServerClosed) })
	s.conns.Wait(ctx)
	s.conns.Abandon(ErrServerClosed)
	s.reports.Wait(report.Grace)
	return nil
}

// end closes listeners and ends connections, all side by side, because each of them may
// take its time. It returns when that is done, or ctx ends.
func (s *Server) end(ctx context.Context, listeners []*connset.Listener, conns []*conn, endConn func(*conn)) {
	var ends []func()
	for _, lis := range listeners {
		ends = append(ends, func() { lis.Close() })
	}
	for _, c := range conns {
		ends = append(ends, func() { endConn(c) })
	}
	usercode.SideBySide(ctx, s.report, "the Close of a connection", ends)
}

// Heard reports whether a first byte has come from the client.
func (c *conn) Heard() bool { return c.heard.Load() }

// Fail closes the connection, and does not wait for that.
func (c *conn) Fail(reason error) { c.link.Fail(reason) }

// watchIdleness begins to drain the connection when it has had no call for
// Server.IdleTimeout.
func (c *conn) watchIdleness() {
	if idle := c.server.IdleTimeout; idle > 0 {
		c.update(func(s *connState) {
			s.lastCall = monotime.Now()
			s.idle = time.AfterFunc(idle, c.checkIdleness) // awaitCalls stops it
		})
	}
}

// noteCall notes that a call has just ended.
func (c *conn) noteCall(s *connState) {
	if c.server.IdleTimeout > 0 {
		s.lastCall = monotime.Now()
	}
}

// checkIdleness drains the connection if it has had no call for Server.IdleTimeout,
// and else looks again later.
func (c *conn) checkIdleness() {
	if c.link.Context().Err() != nil {
		return
	}
	remaining := c.server.IdleTimeout
	c.update(func(s *connState) {
		if s.unanswered == 0 {
			remaining -= monotime.Now() - s.lastCall
		}
	})
	if remaining <= 0 {
		c.drain(c.link.Context())
		return
	}
	c.update(func(s *connState) {
		if s.idle != nil {
			s.idle.Reset(remaining)
		}
	})
}

// drain ends the connection in good order. A client that handles goaway is served until
// it sends one itself, because it may have sent calls before it knew. For one that does
// not, the calls that have been read are answered, even those that wait for a slot.
func (c *conn) drain(ctx context.Context) {
	switch {
	case c.brief:
		// It ends when it is answered.
	case !c.shaken.Load():
		if !c.heard.Load() {
			c.link.Fail(ErrServerClosed)
		} // otherwise its hello will be refused
	case c.protocol == HTTP:
		c.server.webServer().Shutdown(ctx)
	case c.link.PeerHandles(codec.Goaway):
		c.update(func(s *connState) { s.askedToEnd = true })
		c.note("asked to leave")
		c.link.Post(link.Control{Kind: codec.Goaway})
	default:
		c.closeAnswered(ctx)
	}
}

// closeAnswered takes no more calls, and closes the connection when those taken are
// answered, or when ctx ends. It does not wait.
func (c *conn) closeAnswered(ctx context.Context) {
	first := false
	c.update(func(s *connState) {
		first = !s.noNewCalls
		s.noNewCalls = true
		if first {
			c.closers.Add(1)
		}
	})
	if !first {
		return
	}
	go func() { // ends with ctx or the connection; serve waits
		defer c.closers.Done()
		select {
		case <-c.allAnswered:
		case <-ctx.Done():
		case <-c.link.Context().Done():
		}
		c.link.Mute() // on a connection that is closed for writing, a message would be an error
		c.link.Drain(ctx)
		c.hangUp()
		c.link.Fail(errDone)
	}()
}

const (
	// discardTime is how long what a plain client sends is read and dropped after its
	// last answer. Closing a socket with unread bytes would reset it, and the answer
	// would be lost.
	discardTime = time.Second

	// lingerTime is how long a client that sent a goaway has to close the connection,
	// if the connection can't be closed for writing: then the client can't know that
	// nothing follows.
	lingerTime = time.Minute
)

// hangUp closes the connection for writing, and waits until the client closes it. The
// last answers may be on their way for a long time, and would be lost if the client sent
// anything to a connection that is closed here. A client that handles goaway closes when
// it has its answers. A plain one may never do so.
func (c *conn) hangUp() {
	halfClosed := c.link.CloseWrite()
	var enough <-chan time.Time // nil waits for ever; Shutdown's context and keepalive still limit the wait
	switch {
	case !c.link.PeerHandles(codec.Goaway):
		enough = time.After(discardTime)
	case !halfClosed:
		enough = time.After(lingerTime)
	}
	select {
	case <-enough:
	case <-c.link.Context().Done(): // end fails the link when the client has closed
	}
}

// Shutdown ends the client in good order. New calls fail with an error that
// wraps ErrShutdown, and those in flight go on. It returns nil when they have
// been answered, the connection is closed, and calls made by Go have been
// received. If ctx ends before that, it closes the connection, as Close does,
// and returns ctx's error.
func (c *Client) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return c.named(errNilContext, "", 0)
	}
	c.drain()
	var err error
	select {
	case <-c.ended:
		err = c.unannounced.Wait(ctx)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.Close()
	return err
}

// drain stops new calls, sends a goaway behind those that have been sent, and closes the
// connection when they are answered.
func (c *Client) drain() {
	if c.link.PeerHandles(codec.Goaway) {
		c.link.Post(link.Control{Kind: codec.Goaway})
	}
	c.inFlight.Drain()
}

var errDrained = fmt.Errorf("%w: its calls were answered", ErrShutdown)
