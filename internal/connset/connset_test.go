package connset

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A testConn is a connection whose client may have sent something.
type testConn struct {
	heard  bool
	failed error
}

func (c *testConn) Heard() bool       { return c.heard }
func (c *testConn) Fail(reason error) { c.failed = reason }

// fill adds n connections.
func fill(t *testing.T, s *Set[*testConn], n, most int) (conns []*testConn) {
	t.Helper()
	for range n {
		c := &testConn{heard: true}
		if !s.Add(c, most) {
			t.Fatal("not added")
		}
		conns = append(conns, c)
	}
	return conns
}

// At the limit no connection is admitted until another is gone.
func TestSet_Limit(t *testing.T) {
	var s Set[*testConn]
	conns := fill(t, &s, 3, 2)
	for i, want := range []error{nil, nil, ErrFull} {
		if err := s.Admit(conns[i], 2); err != want {
			t.Errorf("connection %d: %v, want %v", i, err, want)
		}
	}
	s.Remove(conns[0])
	if err := s.Admit(conns[2], 2); err != nil {
		t.Error(err)
	}
	for _, unlimited := range []int{0, -1} {
		if err := s.Admit(fill(t, &s, 1, unlimited)[0], unlimited); err != nil {
			t.Errorf("limit %d: %v", unlimited, err)
		}
	}
}

// Of the connections that are handshaking, one that is silent is closed in favour of
// another, and one that is slow if none is silent. Those that are admitted stay.
func TestSet_MakesRoom(t *testing.T) {
	var s Set[*testConn]
	conns := fill(t, &s, 1+MaxHandshaking, 1)
	if err := s.Admit(conns[0], 1); err != nil {
		t.Fatal(err)
	}
	conns[7].heard = false
	conns = append(conns, fill(t, &s, 1, 1)...)
	if conns[7].failed != ErrMakeRoom {
		t.Error("the silent connection is not closed")
	}
	conns = append(conns, fill(t, &s, 1, 1)...)
	closed := 0
	for _, c := range conns {
		if c.failed != nil {
			closed++
		}
	}
	if n := len(s.Status().Conns); closed != 2 || n != 1+MaxHandshaking || conns[0].failed != nil {
		t.Errorf("%d connections are closed, %d are left; the admitted one: %v", closed, n, conns[0].failed)
	}
	for range MaxHandshaking { // only admitted ones are left: nobody makes room
		s.Remove(fill(t, &s, 1, 1)[0])
	}
	if conns[0].failed != nil {
		t.Error("the admitted connection is closed")
	}
}

// A connection that has been chosen to make room, and says hello before it is
// closed, is not let in: it counts no more, and Shutdown would not wait for it.
func TestD154_VictimIsNotAdmitted(t *testing.T) {
	var s Set[*testConn]
	conns := fill(t, &s, 1+MaxHandshaking, 1)
	conns[3].heard = false
	s.mu.Lock()
	victim, found := s.makeRoomLocked(1) // to be closed in a moment
	s.mu.Unlock()
	if !found || victim != conns[3] {
		t.Fatal("not chosen")
	}
	if err := s.Admit(victim, 1); err != ErrMakeRoom {
		t.Fatalf("%v; %d connections are waited for", err, len(s.Status().Conns))
	}
}

// A brief connection does not count like others, and is waited for like them.
func TestSet_Brief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set[*testConn]
		brief := make([]*testConn, 2*MaxHandshaking)
		for i := range brief {
			brief[i] = new(testConn)
			if err := s.AddBrief(brief[i], len(brief)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddBrief(new(testConn), len(brief)); err != ErrFull {
			t.Errorf("beyond the limit: %v", err)
		}
		conn := fill(t, &s, 1, 1)[0]
		if err := s.Admit(conn, 1); err != nil || brief[0].failed != nil {
			t.Errorf("beside brief connections: %v, %v", err, brief[0].failed)
		}
		if status := s.Status(); len(status.Conns) != 1 || len(status.Brief) != len(brief) || status.State != "open" {
			t.Errorf("%s, with %d connections and %d brief ones", status.State, len(status.Conns), len(status.Brief))
		}
		if _, conns := s.Stop(false); len(conns) != 1+len(brief) || s.AddBrief(new(testConn), 0) != ErrStopped {
			t.Errorf("stopped with %d connections", len(conns))
		}
		s.Remove(conn)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(short); err != context.DeadlineExceeded {
			t.Errorf("brief ones are left: %v", err)
		}
		for _, c := range brief {
			s.Remove(c)
		}
		if err := s.Wait(t.Context()); err != nil {
			t.Errorf("none is left: %v", err)
		}
	})
}

// A stopped set admits nothing, but knows what is there; a closed one adds nothing.
func TestSet_Stop(t *testing.T) {
	var s Set[*testConn]
	c := fill(t, &s, 1, 0)[0]
	l := NewListener(nil, nil)
	if s.IsStopped() || s.Status().State != "open" || s.Status().Since.IsZero() || !s.AddListener(l) {
		t.Error("it is not open")
	}
	listeners, conns := s.Stop(false)
	if len(listeners) != 1 || listeners[0] != l || len(conns) != 1 || conns[0] != c {
		t.Errorf("it had %v and %v", listeners, conns)
	}
	<-s.Stopped()
	if err := s.Admit(c, 0); err != ErrStopped {
		t.Errorf("admitted: %v", err)
	}
	if s.AddListener(NewListener(nil, nil)) || !s.IsStopped() || s.Status().State != "draining" {
		t.Error("it is not stopped")
	}
	fill(t, &s, 1, 0) // to be told why it is refused
	s.Stop(true)
	s.Stop(false)
	if s.Add(new(testConn), 0) || s.Status().State != "closed" {
		t.Error("it is not closed")
	}
	s.RemoveListener(l)
	if n := len(s.Status().Listeners); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestSet_Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Set[*testConn]
		if err := s.Wait(t.Context()); err != nil {
			t.Errorf("empty: %v", err)
		}
		conns := fill(t, &s, 2, 0)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(short); err != context.DeadlineExceeded {
			t.Errorf("two are left: %v", err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := s.Wait(t.Context()); err != nil {
					t.Errorf("none is left: %v", err)
				}
			})
		}
		synctest.Wait()
		for _, c := range conns {
			s.Remove(c)
		}
		wg.Wait()
		fill(t, &s, 1, 0)
		abandoned := errors.New("abandoned")
		wg.Go(func() {
			if err := s.Wait(t.Context()); err != abandoned {
				t.Errorf("one is left behind: %v", err)
			}
		})
		synctest.Wait()
		s.Abandon(abandoned)
		s.Abandon(errors.New("again"))
		wg.Wait()
	})
}

func quiet(slog.Level, string, ...any) {}

// Hooks are called once. Whoever runs them waits until they have returned, the set is
// stopped or the context ends.
func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hooks
		var called atomic.Int32
		gate, stopped := make(chan struct{}), make(chan struct{})
		for range 3 {
			h.Add(func(context.Context) { called.Add(1); <-gate })
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Run(short, quiet, stopped); err != context.DeadlineExceeded {
			t.Errorf("they hang: %v", err)
		}
		h.Add(func(context.Context) { t.Error("added too late, and called") })
		closed := make(chan struct{})
		close(closed)
		if err := h.Run(t.Context(), quiet, closed); err != nil {
			t.Errorf("stopped: %v", err)
		}
		close(gate)
		if err := h.Run(t.Context(), quiet, stopped); err != nil || called.Load() != 3 {
			t.Errorf("%v, after %d calls", err, called.Load())
		}
	})
}

// A closer is a listener that counts what is done with it.
type closer struct {
	net.Listener
	gate   chan struct{}
	closed atomic.Int32
}

func (c *closer) Accept() (net.Conn, error) { return nil, nil }
func (c *closer) Close() error {
	c.closed.Add(1)
	<-c.gate
	return net.ErrClosed
}

// Several Closes wait for one.
func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &closer{gate: make(chan struct{})}
		l := NewListener(c, quiet)
		if _, err := l.Accept(); err != ErrNoConn {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := l.Close(); err != net.ErrClosed || c.closed.Load() != 1 {
					t.Errorf("%v, closed %d times", err, c.closed.Load())
				}
			})
		}
		synctest.Wait()
		close(c.gate)
		wg.Wait()
	})
}
