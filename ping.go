package geerpc

import (
	"context"
	"sync"

	"geerpc/codec"
	"geerpc/internal/link"
)

// Ping asks the server whether it is there and waits until it says so. It
// returns nil then, and otherwise the error that a call would: that ctx has
// ended, or the connection. A server that does not know pings, as those of
// GeeRPC's first version, is not asked: the error's code is CodeUnimplemented.
//
// It is not necessary to call Ping for the connection's sake, see
// Option.PingInterval. No method runs, and no slot is taken among the calls in
// flight.
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
	case <-c.gone:
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: ping", c.link.Cause())
	case <-ctx.Done():
		return contextError(ctx.Err(), OnLink, RanNever)
	}
}

// pings are those who wait for the server's next pong. One pong is for all of
// them, as one ping is.
type pings struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next pong; nil: nobody waits
}

// await returns what the next pong closes.
func (p *pings) await() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.next
}

// answered is for a pong.
func (p *pings) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}
