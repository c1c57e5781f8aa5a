package geerpc

import (
	"context"
	"sync"
	"sync/atomic"

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
	if ctx == nil {
		return c.named(errNilContext, "", 0)
	}
	within, _ := timeLeft(ctx)
	if ctx.Err() != nil {
		within = 0
	}
	return c.named(c.ping(ctx), "", within)
}

func (c *Client) ping(ctx context.Context) error {
	switch {
	case !c.link.PeerHandles(codec.Ping):
		return &Error{Code: CodeUnimplemented, Where: InClient, Ran: RanNever, Message: "the server does not know pings"}
	case c.inFlight.Ended():
		return c.shutdownError()
	case ctx.Err() != nil:
		return tooLateToSend(ctx.Err())
	}
	answered := c.pings.await()
	c.readTurn.Recall()
	c.link.Post(link.Control{Kind: codec.Ping})
	select {
	case <-answered:
		return nil
	case <-c.ended:
		return callFailed(CodeUnavailable, OnLink, RanNever, "ping", c.link.Cause())
	case <-ctx.Done():
		return callFailed(CodeOf(ctx.Err()), OnLink, RanNever, "ping: no reply", ctx.Err())
	}
}

// pings are the calls of Ping that wait for the server's next pong. One ping asks
// for all of them, and one pong answers all.
type pings struct {
	mu     sync.Mutex
	next   chan struct{} // closed by the next pong; nil if no Ping waits
	waited atomic.Bool   // next is there; set under mu, read by callers that read
}

// await returns a channel that the next pong closes.
func (p *pings) await() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
		p.waited.Store(true)
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
		p.waited.Store(false)
	}
}
