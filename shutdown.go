package geerpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/report"
	"geerpc/internal/usercode"
)

// closeGrace is how long Close waits for methods to notice that their context
// has ended.
const closeGrace = time.Second

// extraStrangers is how many connections that have not been admitted yet, heard
// of or not, may exist beyond Server.MaxConns.
const extraStrangers = 64

// A connSet is a server's connections and listeners. The zero value is empty.
type connSet struct {
	rejections atomic.Int64

	mu        sync.Mutex     // guards what follows
	conns     map[*conn]bool // all
	strangers map[*conn]bool // of conns, those with which it is not
	listeners map[*listener]bool
	since     time.Time  // of the first listener or connection
	stopped   signalOnce // stop has been called
	ended     signalOnce // Close has waited for as long as it does
	hooked    signalOnce // the hooks have been waited for
	stopping  bool
	closed    bool
	hooks     []func(context.Context) // for Shutdown to call
	hooking   bool                    // Shutdown is calling them, or has
	emptied   chan struct{}           // closed when conns is empty; nil if nobody waits
}

// add takes a connection in, unless the server has been closed. At the limit
// it makes room at the expense of one that has not shaken hands.
func (s *connSet) add(c *conn) bool {
	s.mu.Lock()
	var victim *conn
	if most := c.server.MaxConns; most > 0 && len(s.conns) >= most+extraStrangers {
		victim = s.victimLocked()
	}
	ok := !s.closed
	if ok {
		s.beganLocked()
		if s.conns == nil {
			s.conns, s.strangers = make(map[*conn]bool), make(map[*conn]bool)
		}
		s.conns[c], s.strangers[c] = true, true
	}
	s.mu.Unlock()
	if victim != nil {
		victim.link.Fail(errMakeRoom) // which does not wait for its Close
	}
	return ok
}

var errMakeRoom = errors.New("the handshake is not done, and others want in")

// victimLocked takes out a connection that is to make room, if there is one:
// one that is silent, or else one that is slow.
func (s *connSet) victimLocked() (victim *conn) {
	for c := range s.strangers {
		if victim = c; !c.heard.Load() {
			break
		}
	}
	delete(s.conns, victim) // nobody else picks it, and it counts no more
	delete(s.strangers, victim)
	return victim
}

// admit counts a connection whose hello has been read, or says why not.
func (s *connSet) admit(c *conn) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := c.server.MaxConns
	switch {
	case !s.strangers[c]: // it has been chosen to make room, and is about to be closed
		return &Error{Code: CodeUnavailable, Message: errMakeRoom.Error(), Where: InServer, Ran: RanNever}
	case s.stopping:
		return &Error{Code: CodeUnavailable, Message: "shutting down", Where: InServer, Ran: RanNever}
	case most > 0 && len(s.conns)-len(s.strangers) >= most:
		return &Error{Code: CodeResourceExhausted, Where: InServer, Ran: RanNever,
			Message: fmt.Sprintf("%d connections, no more are allowed", most)}
	}
	delete(s.strangers, c)
	return nil
}

// remove lets a connection go and returns how many are left.
func (s *connSet) remove(c *conn) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	delete(s.strangers, c)
	if len(s.conns) == 0 && s.emptied != nil {
		close(s.emptied)
		s.emptied = nil
	}
	return len(s.conns)
}

// listen takes a listener in, unless the server is shutting down.
func (s *connSet) listen(lis *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[*listener]bool)
	}
	s.beganLocked()
	s.listeners[lis] = true
	return true
}

func (s *connSet) unlisten(lis *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, lis)
}

// beganLocked notes when the server's work began.
func (s *connSet) beganLocked() {
	if s.since.IsZero() {
		s.since = time.Now()
	}
}

// snapshot returns how things stand, in the words of the debug page.
func (s *connSet) snapshot() (state string, since time.Time, conns []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state = "open"
	switch {
	case s.closed:
		state = "closed"
	case s.stopping:
		state = "draining"
	}
	return state, s.since, slices.Collect(maps.Keys(s.conns))
}

func (s *connSet) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// sleep reports false if the server begins to shut down meanwhile.
func (s *connSet) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopped.channel():
		return false
	}
}

// stop lets nobody in any more. It returns the listeners, for the caller to
// close, and the connections.
func (s *connSet) stop(closed bool) ([]*listener, []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	s.stopped.send()
	s.closed = s.closed || closed
	return slices.Collect(maps.Keys(s.listeners)), slices.Collect(maps.Keys(s.conns))
}

// runHooks calls what Shutdown is to call first, once, and returns when all
// have returned, the server is stopped or, with its error, ctx has ended.
func (s *connSet) runHooks(ctx context.Context, report usercode.Reporter) error {
	s.mu.Lock()
	first := !s.hooking
	s.hooking = true
	hooks := s.hooks
	s.hooks = nil
	s.mu.Unlock()
	if first {
		calls := make([]func(), len(hooks))
		for i, f := range hooks {
			calls[i] = func() { f(ctx) }
		}
		go func() { // ends with the hooks
			usercode.SideBySide(context.Background(), report, "a function passed to OnShutdown", calls)
			s.hooked.send()
		}()
	}
	select {
	case <-s.hooked.channel():
	case <-s.stopped.channel():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// wait returns when no connection is left, or with ctx's error, or with
// ErrServerClosed if Close has ended, and left methods behind.
func (s *connSet) wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.emptied == nil {
		s.emptied = make(chan struct{})
	}
	emptied := s.emptied
	s.mu.Unlock()
	select {
	case <-emptied:
		return nil
	case <-s.ended.channel():
		if s.empty() {
			return nil
		}
		return ErrServerClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *connSet) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) == 0
}

// OnShutdown has Shutdown call f first of all, once, with Shutdown's ctx, and
// wait for it until ctx ends: f must return by then, or it is left behind. That
// is the time to leave a registry, while calls are still taken. Several are
// called at the same time, each in a goroutine of its own, so that together they
// take no longer than the slowest. A panic is logged. After Shutdown has begun f
// is not called any more. Close doesn't call it, and ends the waiting.
func (s *Server) OnShutdown(f func(ctx context.Context)) {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	s.conns.hooks = append(s.conns.hooks, f)
}

// Shutdown ends the server in good order. It calls what was passed to
// OnShutdown, and then closes the listeners; asks each
// client to leave; goes on serving the calls that were sent before the client
// had heard; refuses later ones with CodeUnavailable and RanNever; and closes
// each connection when its calls are answered. New connections are refused.
//
// Shutdown returns nil when all connections are gone. If ctx ends before, it
// closes what is left, as Close does, which may take another second, and returns
// ctx's error. If Close is called meanwhile, and leaves methods behind that do
// not end with their context, it returns ErrServerClosed. It may be called more
// than once, and before Serve.
func (s *Server) Shutdown(ctx context.Context) error {
	hooksErr := s.conns.runHooks(ctx, s.report)
	listeners, conns := s.conns.stop(false)
	s.end(ctx, listeners, conns, func(c *conn) { c.drain(ctx) })
	err := s.conns.wait(ctx)
	s.Close()
	return cmp.Or(hooksErr, err)
}

// Close closes all listeners and connections at once; contexts of methods
// end. It returns when nothing of the server is left running, but for what goes
// on for more than a second: methods whose context has ended, and listeners and
// connections whose Close does not return.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	listeners, conns := s.conns.stop(true)
	s.end(ctx, listeners, conns, func(c *conn) { c.link.Fail(ErrServerClosed) })
	s.conns.wait(ctx)
	s.conns.ended.send()
	s.workers.release()
	s.reports.Wait(report.Grace)
	return nil
}

// end closes listeners and ends connections, all side by side: any of them may
// take its time to be closed. It returns when that is done, or ctx ends.
func (s *Server) end(ctx context.Context, listeners []*listener, conns []*conn, endConn func(*conn)) {
	var ends []func()
	for _, lis := range listeners {
		ends = append(ends, func() { lis.Close() })
	}
	for _, c := range conns {
		ends = append(ends, func() { endConn(c) })
	}
	usercode.SideBySide(ctx, s.report, "the Close of a connection", ends)
}
