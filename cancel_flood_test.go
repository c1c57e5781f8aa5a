package geerpc

import (
	"context"
	"net"
	"sync"
	"testing"

	"geerpc/codec"
)

// Any number of calls may be in flight, to a server that sets no limit, and all
// of them be cancelled while it reads slowly. That is nobody's fault.
func TestD140_ManyCancelsToASlowPeer(t *testing.T) {
	c, p := handServer(t, nil)
	const calls = maxControls + 1000
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range calls {
		callers.Go(func() { c.Call(ctx, "Arith.Block", nil, nil) })
	}
	eventually(t, "all calls are in flight", func() bool { return c.pending.inFlight() == calls })
	cancel()
	callers.Wait()
	if cause := c.link.cause(); cause != nil {
		t.Fatalf("the client has closed its connection: %v", cause)
	}
	kinds := map[codec.Kind]int{}
	for kinds[codec.Cancel] < calls {
		kinds[p.next().kind]++
	}
	if kinds[codec.Call] != calls {
		t.Errorf("the server has got %v", kinds)
	}
}

// A peer that is owed too many answers, and reads none, is given up all the same.
func TestD140_ManyRefusals(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	l := newLink(far, limits{flush: -1, report: new(Server).report})
	newCodec, _ := codec.Lookup(framedJSON)
	if err := l.open(newCodec); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxControls {
		l.post(control{kind: codec.Reply, err: errReplyExit})
	}
	if l.cause() != errOwing {
		t.Errorf("the link's cause is %v", l.cause())
	}
	l.close()
}
