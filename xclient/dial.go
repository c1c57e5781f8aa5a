package xclient

import (
	"context"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// How a connection is made: one dial at a time, which any number of calls wait
// for. After a dial that failed there is a pause, which grows.

// maxDialPause limits the pause between dials that fail.
const maxDialPause = 30 * time.Second

// patience is how long calls wait for a server to be connected to, where there
// are others. It leaves them time to turn to those.
const patience = time.Second

// patienceOf returns the patience of a call.
func patienceOf(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(patience, max(time.Until(deadline)/maxPicks, time.Millisecond))
	}
	return patience
}

// reconsiderAfter is how much longer a call waits for a connection when another
// server has been connected to, or the list has changed.
const reconsiderAfter = 10 * time.Millisecond

// errTryOther means that another server may be a better choice by now.
var errTryOther = notSent(geerpc.CodeUnavailable, "rpc xclient: the server can't be reached at once")

var errUnlisted = notSent(geerpc.CodeUnavailable, "rpc xclient: the server has left the list")

// A dial is under way, and awaited by any number of calls.
type dial struct {
	cancel   context.CancelCauseFunc
	startNow context.CancelFunc // ends the delay before it
	ended    chan struct{}
	client   *geerpc.Client // then, or
	err      error
}

// connectSoon begins to make the client, unless there is one or the last dial has
// failed. It does not wait.
func (c *connection) connectSoon() {
	c.used.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.dialLocked(0)
	}
}

// dialLocked begins a dial after a delay, unless one is under way. The delay
// spreads the clients that have lost the same server, and ends as soon as a call
// waits for the dial.
func (c *connection) dialLocked(delay time.Duration) {
	if c.dial != nil || c.retired || c.client.Load() != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	delayed, now := context.WithTimeout(ctx, delay)
	d := &dial{cancel: cancel, startNow: now, ended: make(chan struct{})}
	c.dial = d
	c.spawn(func() { // ends with the dial, at the latest with the XClient; Close waits
		defer cancel(nil)
		<-delayed.Done()
		now()
		if ctx.Err() == nil {
			d.client, d.err = geerpc.XDialContext(ctx, c.server.Endpoint().Addr, c.option())
		}
		if cause := context.Cause(ctx); cause != nil && d.client == nil {
			d.err = cause // not the server's fault, nor that of a caller's context
		}
		if c.dialed(d); d.client != nil {
			c.changed.notify() // after the calls that wait for this one have it
			c.redialAll()
		}
	})
}

// dialed takes over the client of a dial, or begins the pause before the next.
func (c *connection) dialed(d *dial) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(d.ended)
	c.dial = nil
	switch {
	case d.client == nil:
		c.server.updateDown()
		c.pauseLocked(d.err)
	case c.ctx.Err() != nil:
		d.client.Close()
	case c.retired:
		c.shutDown(d.client)
	default:
		c.connectedAt = attempt.Now()
		c.proven.Store(false)
		c.client.Store(d.client)
		c.server.updateDown()
		c.server.logReachable()
	}
}

// pauseLocked puts off the next dial, as the last one has failed with err.
func (c *connection) pauseLocked(err error) {
	c.err, c.failedAt = err, attempt.Now()
	if !c.retired && c.ctx.Err() == nil {
		c.server.logUnreachable(err)
		c.retryTimer = time.AfterFunc(c.backoff.Next(minPause, maxDialPause), c.redial) // retire stops it
	}
}

// redial dials again when the pause after a failed dial is over.
func (c *connection) redial() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = nil
	c.dialLocked(0)
}

// wait returns the client when there is one, and has it made if necessary. In the
// pause after a failed dial it fails at once. It gives up with errTryOther soon
// after something has changed, and, if there are other servers, when its patience
// is over.
func (c *connection) wait(ctx context.Context, hasOthers bool, changed <-chan struct{}) (*geerpc.Client, error) {
	client, d, err := c.join()
	if d == nil {
		return client, err
	}
	var tooLong <-chan time.Time
	if hasOthers {
		tooLong = time.After(patienceOf(ctx))
	}
	for {
		select {
		case <-d.ended:
			return d.client, d.err
		case <-changed:
			changed = nil
			tooLong = time.After(min(reconsiderAfter, patienceOf(ctx)))
		case <-tooLong:
			c.server.updateDown() // it is down until it is connected, unless it is now
			return nil, errTryOther
		case <-c.ctx.Done():
			return nil, geerpc.ErrShutdown
		case <-ctx.Done():
			return nil, notSent(geerpc.CodeOf(ctx.Err()), "rpc xclient: waiting for a connection to %s: %w", c.server.Endpoint().Addr, ctx.Err())
		}
	}
}

// join returns the client, or the dial to wait for, or an error.
func (c *connection) join() (*geerpc.Client, *dial, error) {
	c.used.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, nil, geerpc.ErrShutdown
	case c.retired:
		return nil, nil, errUnlisted
	case c.client.Load() != nil:
		return c.client.Load(), nil, nil
	case c.err != nil:
		return nil, nil, c.err
	}
	c.dialLocked(0)
	c.dial.startNow()
	return nil, c.dial, nil
}
