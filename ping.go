package geerpc

import (
	"context"
	"sync"

	"geerpc/codec"
	"geerpc/internal/link"
)

// Ping asks the server whether it is there, and waits for the answer. If ctx ends
// before, or the connection, it returns the error that a call would. If the server
// does not know pings, as those of GeeRPC's first version, Ping asks nothing and
// fails with CodeUnimplemented.
//
// A ping runs no method, and takes no slot among the calls in flight. There is no
// need to call Ping to keep the connection alive, see Option.PingInterval.
func (c *Client) Ping(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNilContext
	case !c.link.PeerHandles(codec.Ping):
		return &Error{Code: CodeUnimplemented, Where: InClient, Ran: RanNever, Message: "rpc client: the server does not know pings"}
	case c.inFlight.Ended():
		return ErrShutdown
	case ctx.Err() != nil:
		return contextError(ctx.Err(), InClient, RanNever)
	}
	answered := c.pings.await()
	c.link.Post(link.Control{Kind: codec.Ping})
	select {
	case <-answered:
		return nil
	case <-c.ended:
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: ping", c.link.Cause())
	case <-ctx.Done():
		return contextError(ctx.Err(), OnLink, RanNever)
	}
}

// pings are the calls of Ping that wait for the server's next pong. One ping asks
// for all of them, and one pong answers all.
type pings struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next pong; nil if no Ping waits
}

// await returns a channel that the next pong closes.
func (p *pings) await() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.next
}

// answered ends the waiting, when a pong has come.
func (p *pings) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}
