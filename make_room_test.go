package geerpc

import (
	"net"
	"testing"

	"geerpc/internal/connset"
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
	const silent = 1 + connset.MaxHandshaking
	gate, served := make(chan struct{}), make(chan struct{}, silent)
	for range silent {
		near, far := net.Pipe()
		defer far.Close()
		go func() { s.ServeConn(stuckClose{near, gate}); served <- struct{}{} }()
	}
	eventually(t, "all are there", func() bool { conns := s.conns.Status().Conns; return len(conns) == silent })
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
