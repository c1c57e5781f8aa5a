package geerpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"geerpc/internal/link"
	"geerpc/internal/usercode"
)

// A connectFunc makes the connection of a Client, up to the handshake. It
// closes what it has made if it fails.
type connectFunc func(ctx context.Context) (net.Conn, error)

// newClient connects and shakes hands within ctx. All of that is the first work
// of the goroutine that reads later, because it runs code of the user's that
// may panic, and waits for a connection that may go on waiting when it is closed.
func newClient(ctx context.Context, opt Option, connect connectFunc) (*Client, error) {
	c := &Client{
		opt:    opt,
		done:   make(chan struct{}),
		gone:   make(chan struct{}),
		closed: make(chan struct{}),
	}
	c.pending.freed, c.pending.room = make(chan struct{}, 1), make(chan struct{}, 1)
	c.pending.drained = func() { c.link.Fail(errDrained) }
	c.waiters.New = newWaiter
	o := &opening{outcome: make(chan error), abandoned: make(chan struct{})}
	go c.run(ctx, connect, o) // ends with the connection; Close waits
	if err := c.opened(ctx, o); err != nil {
		return nil, err
	}
	return c, nil
}

// An opening tells newClient what has come of a Client.
type opening struct {
	outcome   chan error
	abandoned chan struct{} // closed when nobody waits for the outcome any more
}

// opened returns the outcome. If what connects hangs, it returns an error soon
// after the end of ctx, or of the connection.
func (c *Client) opened(ctx context.Context, o *opening) error {
	select {
	case err := <-o.outcome:
		return err
	case <-c.gone:
		close(o.abandoned)
		return handshakeError(ctx, c.link.Cause())
	case <-ctx.Done():
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case err := <-o.outcome:
		return err
	case <-grace.C:
		close(o.abandoned)
		return dialError(ctx, errStuck)
	}
}

var errStuck = errors.New("the Dialer, or the connection's Read, does not return although its time is over")

// report hands the outcome over, if somebody waits for it.
func (o *opening) report(err error) bool {
	select {
	case o.outcome <- err:
		return true
	case <-o.abandoned:
		return false
	}
}

// run is the Client's goroutine: it connects, and then it reads.
func (c *Client) run(ctx context.Context, connect connectFunc, o *opening) {
	err := errOpenExit // unless establish returns
	defer func() {
		if err == nil {
			return
		}
		if c.link != nil {
			c.link.Fail(usercode.Error(err))
		}
		o.report(err)
		if c.link != nil {
			c.finish(err)
		}
	}()
	err = c.establish(ctx, connect)
	if err == nil && !o.report(nil) {
		err = errStuck
	}
	if err == nil {
		c.receive()
	}
}

var errOpenExit error = &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
	Message: "rpc client: what connects ended its goroutine"}

// establish connects and shakes hands within ctx.
func (c *Client) establish(ctx context.Context, connect connectFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text := usercode.PanicText(p)
			c.report(slog.LevelError, "rpc client: connecting panicked", "panic", text, "stack", string(debug.Stack()))
			err = &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
				Message: "rpc client: connecting panicked: " + text}
		}
	}()
	c.call = chain(c.opt.Interceptors, c.invoke)
	conn, err := connect(ctx)
	if err != nil {
		return dialError(ctx, err)
	}
	c.link = link.New(conn, link.Config{MaxRead: c.opt.MaxMessageBytes, MaxDefinitions: c.opt.MaxDefinitionBytes, FlushTimeout: c.opt.FlushTimeout, Report: c.report})
	c.pending.ended = c.link.Context().Done()
	context.AfterFunc(c.link.Context(), c.conclude)
	c.server = addrText(remoteAddr(conn)) // once run knows what to close, should this end our goroutine
	if err := c.handshake(ctx); err != nil {
		return err
	}
	c.keepAlive()
	return nil
}

// conclude waits for the end of the reader when the connection has been
// closed. Where closing does not end a Read or a Write, conclude leaves that
// behind and ends the calls itself.
func (c *Client) conclude() {
	defer close(c.gone)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-c.done:
	case <-grace.C:
		c.terminate(c.link.Cause())
	}
}
