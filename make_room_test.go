package geerpc

import (
	"net"
	"testing"
)

// A stuckClose is a connection whose Close does not return before the gate opens.
type stuckClose struct {
	net.Conn
	gate chan struct{}
}

func (c stuckClose) Close() error { <-c.gate; return c.Conn.Close() }

// A silent connection whose Close takes its time is closed to make room, and
// the newcomer does not wait for that. Whoever serves the silent one does.
func TestD150_NewcomerDoesNotWaitForTheVictimsClose(t *testing.T) {
	s := NewServer()
	if err := s.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	s.MaxConns = 1
	const silent = 1 + extraStrangers
	gate, served := make(chan struct{}), make(chan struct{}, silent)
	for range silent {
		near, far := net.Pipe()
		defer far.Close()
		go func() { s.ServeConn(stuckClose{near, gate}); served <- struct{}{} }()
	}
	eventually(t, "all are there", func() bool { _, _, conns := s.conns.snapshot(); return len(conns) == silent })
	near, far := net.Pipe()
	go s.ServeConn(near)
	client, err := NewClient(far, &Option{ConnectTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, client)
	client.Close()
	select {
	case <-served:
		t.Error("a silent connection is not served any more, and has not been closed")
	default:
	}
	close(gate)
	<-served
	s.Close()
}

// A connection that has been chosen to make room, and says hello before it is
// closed, is not let in: it counts no more, and Shutdown would not wait for it.
func TestD154_VictimIsNotAdmitted(t *testing.T) {
	s := NewServer()
	s.MaxConns = 1
	near, far := net.Pipe()
	defer far.Close()
	c := newConn(s, near)
	defer c.link.Fail(errDone)
	if !s.conns.add(c) {
		t.Fatal("not added")
	}
	s.conns.mu.Lock()
	victim := s.conns.victimLocked() // to be closed in a moment
	s.conns.mu.Unlock()
	if victim != c {
		t.Fatal("not chosen")
	}
	err := s.conns.admit(c)
	if err == nil {
		_, _, conns := s.conns.snapshot()
		t.Fatalf("admitted, and not among the %d connections that Shutdown waits for", len(conns))
	}
	wantError(t, err, CodeUnavailable, InServer, RanNever)
}
