// Package connset keeps the connections and listeners of a server, from the moment they
// exist until they are gone, and decides which may stay.
//
//	Add ──→ handshaking ──Admit──→ admitted ──Remove──→ gone
//	             │ if too many are handshaking,
//	             └ one of them is closed ────────────→ gone
//
// A connection that lives for one request is added by AddBrief: it is waited for like any
// other, but has a limit of its own.
//
// A set is open, then stopped: no connection is admitted any more, and no listener
// added. It may be closed, too: then no connection is even added. Wait returns when all
// are gone.
package connset

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// MaxHandshaking is how many connections may be handshaking beyond those that a limit
// leaves room for.
const MaxHandshaking = 64

// A Conn is a connection of a server.
type Conn interface {
	comparable

	// Heard reports whether anything has come from the client.
	Heard() bool

	// Fail closes the connection, and does not wait for that.
	Fail(reason error)
}

// A Set is a server's connections and listeners. The zero value is empty and open.
type Set[C Conn] struct {
	mu          sync.Mutex // guards what follows
	conns       map[C]bool
	handshaking map[C]bool // of conns, those that have not been admitted
	brief       map[C]bool // beside conns
	listeners   map[*Listener]bool
	since       time.Time // of the first connection or listener
	stopped     bool
	closed      bool
	emptied     chan struct{} // closed when conns and brief are empty; nil if nobody waits
	abandonErr  error         // what Wait returns after Abandon

	stopSignal, abandonSignal signal
}

// Reasons not to admit a connection.
var (
	ErrStopped  = errors.New("shutting down")
	ErrFull     = errors.New("as many connections as are allowed")
	ErrMakeRoom = errors.New("the handshake is not done, and others want in")
)

// Add adds a connection that is handshaking, unless the set is closed. If there are
// MaxHandshaking more connections than most (0 or negative: any number), another one that
// is handshaking is closed.
func (s *Set[C]) Add(c C, most int) bool {
	s.mu.Lock()
	victim, found := s.makeRoomLocked(most)
	ok := !s.closed
	if ok {
		s.beginLocked()
		s.conns[c], s.handshaking[c] = true, true
	}
	s.mu.Unlock()
	if found {
		victim.Fail(ErrMakeRoom)
	}
	return ok
}

// makeRoomLocked removes a connection if there are too many: one that is silent if there
// is one, or else one that is slow. It can't be admitted any more.
func (s *Set[C]) makeRoomLocked(most int) (victim C, found bool) {
	if most <= 0 || len(s.conns) < most+MaxHandshaking {
		return victim, false
	}
	for victim = range s.handshaking {
		found = true
		if !victim.Heard() {
			break
		}
	}
	if found {
		s.removeLocked(victim)
	}
	return victim, found
}

// Admit counts a connection whose handshake is done, or says why not. There may be most
// of them; 0 or negative: any number.
func (s *Set[C]) Admit(c C, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.handshaking[c]: // Add is about to close it
		return ErrMakeRoom
	case s.stopped:
		return ErrStopped
	case most > 0 && len(s.conns)-len(s.handshaking) >= most:
		return ErrFull
	}
	delete(s.handshaking, c)
	return nil
}

// AddBrief adds a connection that lives for one request, or says why not. There may be
// most of them; 0 or negative: any number.
func (s *Set[C]) AddBrief(c C, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return ErrStopped
	case most > 0 && len(s.brief) >= most:
		return ErrFull
	}
	s.beginLocked()
	s.brief[c] = true
	return nil
}

// Remove removes a connection that is gone.
func (s *Set[C]) Remove(c C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(c)
}

func (s *Set[C]) removeLocked(c C) {
	delete(s.conns, c)
	delete(s.handshaking, c)
	delete(s.brief, c)
	if s.emptyLocked() && s.emptied != nil {
		close(s.emptied)
		s.emptied = nil
	}
}

func (s *Set[C]) emptyLocked() bool { return len(s.conns) == 0 && len(s.brief) == 0 }

// AddListener adds a listener, unless the set is stopped.
func (s *Set[C]) AddListener(l *Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.beginLocked()
	s.listeners[l] = true
	return true
}

// RemoveListener removes a listener.
func (s *Set[C]) RemoveListener(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// beginLocked makes the maps, and notes when the first connection or listener came.
func (s *Set[C]) beginLocked() {
	if s.since.IsZero() {
		s.since = time.Now()
		s.conns, s.handshaking, s.brief, s.listeners = make(map[C]bool), make(map[C]bool), make(map[C]bool), make(map[*Listener]bool)
	}
}

// Stop stops the set, and closes it if that is asked for. It returns what is there, for
// the caller to close.
func (s *Set[C]) Stop(closed bool) ([]*Listener, []C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.closed = s.closed || closed
	s.stopSignal.send()
	return slices.Collect(maps.Keys(s.listeners)), slices.AppendSeq(slices.Collect(maps.Keys(s.conns)), maps.Keys(s.brief))
}

// Stopped returns a channel that Stop closes.
func (s *Set[C]) Stopped() <-chan struct{} { return s.stopSignal.channel() }

// IsStopped reports whether Stop has been called.
func (s *Set[C]) IsStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// Wait returns nil when no connection is left, ctx's error, or that of Abandon.
func (s *Set[C]) Wait(ctx context.Context) error {
	s.mu.Lock()
	if s.emptyLocked() {
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
	case <-s.abandonSignal.channel():
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.emptyLocked() {
			return nil
		}
		return s.abandonErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abandon makes Wait return err if connections are left. Only the first call has an
// effect.
func (s *Set[C]) Abandon(err error) {
	s.mu.Lock()
	if s.abandonErr == nil {
		s.abandonErr = err
	}
	s.mu.Unlock()
	s.abandonSignal.send()
}

// A Status is how a set is at a moment.
type Status[C Conn] struct {
	State     string    // "idle" if there has been neither a connection nor a listener, "open", "draining" or "closed"
	Since     time.Time // of the first connection or listener; zero if there was none
	Conns     []C
	Brief     []C // added by AddBrief
	Listeners []*Listener
}

// Status returns how the set is.
func (s *Set[C]) Status() Status[C] {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "open"
	switch {
	case s.since.IsZero() && !s.stopped:
		state = "idle"
	case s.closed:
		state = "closed"
	case s.stopped:
		state = "draining"
	}
	return Status[C]{state, s.since, slices.Collect(maps.Keys(s.conns)), slices.Collect(maps.Keys(s.brief)), slices.Collect(maps.Keys(s.listeners))}
}

// A signal is a channel that is closed once. The zero value is ready.
type signal struct {
	made, sent sync.Once
	c          chan struct{}
}

// channel returns the channel, which is closed by send.
func (s *signal) channel() chan struct{} {
	s.made.Do(func() { s.c = make(chan struct{}) })
	return s.c
}

func (s *signal) send() { s.sent.Do(func() { close(s.channel()) }) }
