package geerpc

import (
	"context"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
)

// A call of a plain client that waits for a slot when the server begins to shut
// down has been read: it is answered, for its client can't be told otherwise.
func TestD153_PlainCallThatWaitsForASlot(t *testing.T) {
	for _, c := range []codec.Type{wholeType, codec.GobType, codec.JsonType} {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			e.MaxInFlight = 1
			gate := make(chan struct{})
			RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) { <-gate; return Reply{1}, nil })
			p := e.handshake(func(h *handshake.Hello) { h.Extended = false })
			p.call(t, "Test.Wait", 1, Args{})
			p.call(t, "Arith.Add", 2, Args{1, 1})
			conn := func() (c *conn) {
				conns := e.conns.Status().Conns
				return conns[0]
			}()
			eventually(t, "both have been read", func() bool {
				conn.mu.Lock()
				defer conn.mu.Unlock()
				return conn.state.unanswered == 2
			})
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(context.Background()) }()
			eventually(t, "Shutdown has begun", func() bool {
				conn.mu.Lock()
				defer conn.mu.Unlock()
				return conn.state.noNewCalls
			})
			close(gate)
			answered := map[uint64]bool{}
			for {
				var h codec.Header
				if p.ReadHeader(&h) != nil {
					break
				}
				p.ReadBody(nil)
				answered[h.Seq] = true
			}
			p.Close()
			if err := <-done; err != nil || !answered[1] || !answered[2] {
				t.Errorf("answered: %v, Shutdown: %v", answered, err)
			}
		})
	}
}

// Where its connection ends instead, nobody waits for such a call.
func TestD153_ConnectionEndsBeforeTheSlot(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxInFlight = 1
	p := e.handshake(func(h *handshake.Hello) { h.Extended = false })
	p.call(t, "Arith.Block", 1, Args{})
	p.call(t, "Arith.Add", 2, Args{1, 1})
	time.Sleep(10 * time.Millisecond) // the second may wait by then
	closesAtOnce(t, e)
	eventually(t, "the connection is forgotten", func() bool { return e.debugInfo().Connections.Open == 0 })
}
