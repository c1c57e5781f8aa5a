package xclient

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
	"geerpc/internal/report"
	"geerpc/xclient/internal/attempt"
)

// maxDialPause limits the pause between dials that fail.
const maxDialPause = 30 * time.Second

// patience is how long calls wait for a server to be connected to, where there
// are others: no longer than leaves them time to turn to those.
const patience = time.Second

// patienceOf returns the patience of a call.
func patienceOf(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(patience, max(time.Until(deadline)/maxPicks, time.Millisecond))
	}
	return patience
}

// briefly is for how much longer a call waits for a connection when another
// server has been connected to, or the list has changed.
const briefly = 10 * time.Millisecond

// A connection has proven itself when it has answered a call, or is this old.
const provenAge = 10 * time.Second

// errElsewhere means that another server may be a better choice by now.
var errElsewhere = notSent(geerpc.CodeUnavailable, "rpc xclient: the server can't be reached at once")

var errLeft = notSent(geerpc.CodeUnavailable, "rpc xclient: the server has left the list")

// A connector is what the connections of an XClient have in common.
type connector struct {
	opt    geerpc.Option
	ctx    context.Context // ends with Close, with geerpc.ErrShutdown as the cause
	cancel context.CancelCauseFunc
	news   news   // of the list, and of servers that have been connected to
	revive func() // has those dialled again that could not be

	reports report.Queue

	mu      sync.Mutex    // guards what follows
	running int           // goroutines of spawn
	ended   chan struct{} // closed when there are none after Close; nil: nobody waits
}

// tell has the Logger hear of a server's change of state.
func (x *connector) tell(s *Server, level slog.Level, what string, args ...any) {
	x.reports.Log(x.opt.Logger, level, "rpc xclient: server "+what, append([]any{"server", s.Endpoint().Addr}, args...)...)
}

// closeGrace is how long Close waits for what runs in the background: a
// little longer than our own code takes at most. A user's may hang.
const closeGrace = 2 * time.Second

// spawn runs f on a goroutine that Close waits for. It reports false if Close
// has been called: then it does nothing.
func (x *connector) spawn(f func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil {
		return false
	}
	x.running++
	go func() { // ends with f; Close waits, up to its grace
		defer x.end()
		f()
	}()
	return true
}

func (x *connector) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running--
	if x.running == 0 && x.ended != nil {
		close(x.ended)
		x.ended = nil
	}
}

// close ends all dials and connections, and waits for that.
func (x *connector) close() {
	x.mu.Lock()
	x.cancel(geerpc.ErrShutdown)
	if x.running > 0 && x.ended == nil {
		x.ended = make(chan struct{})
	}
	ended := x.ended
	x.mu.Unlock()
	if ended == nil {
		return
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C: // a Dialer or Discovery of the user's hangs
	}
}

// news wakes those who wait for something to change.
type news struct{ next atomic.Pointer[chan struct{}] }

// wait returns a channel that is closed at the next news.
func (n *news) wait() <-chan struct{} {
	for {
		if next := n.next.Load(); next != nil {
			return *next
		}
		next := make(chan struct{})
		n.next.CompareAndSwap(nil, &next)
	}
}

func (n *news) tell() {
	if next := n.next.Swap(nil); next != nil {
		close(*next)
	}
}

// A connection is the way to one server: a Client that is made when it is first
// needed, made again when it has broken, and shared by all calls.
type connection struct {
	*connector
	server *Server
	client atomic.Pointer[geerpc.Client] // nil: there is none; changed under mu
	proven atomic.Bool                   // the latest client has answered a call
	used   atomic.Bool                   // a call has wanted it since closeIdle last looked

	mu      sync.Mutex // guards what follows
	dial    *dial      // under way
	err     error      // why the last dial failed; nil when the next one begins
	backoff backoff.Backoff
	next    *time.Timer   // begins the next dial after one that failed
	failed  time.Duration // when err was set, by attempt.Now
	made    time.Duration // when the latest client was, the same
	lastUse time.Duration // when closeIdle last knew of one, the same
	retired bool          // the server has left the list
}

// A dial is awaited by any number of calls.
type dial struct {
	cancel context.CancelCauseFunc
	now    context.CancelFunc // ends the delay before it
	ended  chan struct{}
	client *geerpc.Client // then, or
	err    error
}

// ready returns the client, nil if there is none that takes calls.
func (c *connection) ready() *geerpc.Client {
	client := c.client.Load()
	switch {
	case client == nil:
	case client.IsAvailable():
		if !c.used.Load() { // mostly it is set, and nobody writes to it
			c.used.Store(true)
		}
	default:
		c.lost(client)
		return nil
	}
	return client
}

// lost lets go of a client that takes no more calls, once those that it has
// are answered, and begins to make another one: soon if it has proven itself
// or is the first not to, else as after a dial that failed. There are servers, and proxies, that accept
// a connection, greet, and hang up.
func (c *connection) lost(client *geerpc.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.client.CompareAndSwap(client, nil) {
		return
	}
	c.shutDown(client)
	c.server.review()
	if c.proven.Load() || attempt.Now()-c.made >= provenAge {
		c.backoff = 0
		c.dialLocked(rand.N(minPause))
		return
	}
	if c.backoff == 0 { // it may be chance
		c.backoff = backoff.Backoff(minPause)
		c.dialLocked(rand.N(minPause))
		return
	}
	c.pauseLocked(notSent(geerpc.CodeUnavailable, "rpc xclient: %s has hung up before it answered a call", c.server.Endpoint().Addr))
}

// pauseLocked puts the next dial off, as the last one has failed with err.
func (c *connection) pauseLocked(err error) {
	c.err, c.failed = err, attempt.Now()
	if !c.retired && c.ctx.Err() == nil {
		c.server.unreachable(err)
		c.next = time.AfterFunc(c.backoff.Next(minPause, maxDialPause), c.again) // retire stops it
	}
}

// shutDown closes a client when its calls are answered.
func (c *connection) shutDown(client *geerpc.Client) {
	if !c.spawn(func() { client.Shutdown(c.ctx) }) { // ends with the calls or the XClient; Close waits
		client.Close()
	}
}

// want begins to make the client if there is no reason not to.
func (c *connection) want() {
	c.used.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.dialLocked(0)
	}
}

// dialLocked begins a dial, after a delay, unless one is under way. The delay
// spreads the clients that have lost the same server, and ends as soon as a
// call waits for the dial.
func (c *connection) dialLocked(delay time.Duration) {
	if c.dial != nil || c.retired || c.client.Load() != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	delayed, now := context.WithTimeout(ctx, delay)
	d := &dial{cancel: cancel, now: now, ended: make(chan struct{})}
	c.dial = d
	c.spawn(func() { // ends with the dial, at the latest with the XClient; Close waits
		defer cancel(nil)
		<-delayed.Done()
		now()
		if ctx.Err() == nil {
			d.client, d.err = geerpc.DialContext(ctx, c.server.Endpoint().Addr, c.option())
		}
		if cause := context.Cause(ctx); cause != nil && d.client == nil {
			d.err = cause // not the server's fault, nor that of a caller's context
		}
		if c.dialed(d); d.client != nil {
			c.news.tell() // after the calls that wait for this one have it
			c.revive()
		}
	})
}

// option returns how the server wants to be spoken to.
func (c *connection) option() *geerpc.Option {
	opt := c.opt
	opt.Legacy = opt.Legacy || c.server.Endpoint().Legacy
	return &opt
}

// dialed takes over what a dial has brought.
func (c *connection) dialed(d *dial) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(d.ended)
	c.dial = nil
	switch {
	case d.client == nil:
		c.server.review()
		c.pauseLocked(d.err)
	case c.ctx.Err() != nil:
		d.client.Close()
	case c.retired:
		c.shutDown(d.client)
	default:
		c.made = attempt.Now()
		c.proven.Store(false)
		c.client.Store(d.client)
		c.server.review()
		c.server.reachable()
	}
}

// again is the next dial after one that failed.
func (c *connection) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = nil
	c.dialLocked(0)
}

// wait returns the client when there is one, having it made if necessary. It
// fails at once in the pause after a dial that failed. It gives up with
// errElsewhere soon after there is news, and, where there are others, when its
// patience is over.
func (c *connection) wait(ctx context.Context, others bool, news <-chan struct{}) (*geerpc.Client, error) {
	client, d, err := c.join()
	if d == nil {
		return client, err
	}
	var tooLong <-chan time.Time
	if others {
		tooLong = time.After(patienceOf(ctx))
	}
	for {
		select {
		case <-d.ended:
			return d.client, d.err
		case <-news:
			news = nil
			tooLong = time.After(min(briefly, patienceOf(ctx)))
		case <-tooLong:
			c.server.review() // it is down until it is connected, unless it is now
			return nil, errElsewhere
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
		return nil, nil, errLeft
	case c.client.Load() != nil:
		return c.client.Load(), nil, nil
	case c.err != nil:
		return nil, nil, c.err
	}
	c.dialLocked(0)
	c.dial.now()
	return nil, c.dial, nil
}

// retire ends a connection for a cause, its server having left the list or the
// XClient being closed. Calls in flight are answered, or ended by Close.
func (c *connection) retire(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.next != nil {
		c.next.Stop()
	}
	if c.dial != nil {
		c.dial.cancel(cause)
	}
	if client := c.client.Swap(nil); client != nil {
		c.shutDown(client)
	}
}

// notSent returns the error of a call that failed before it was sent. The
// format is that of fmt.Errorf.
func notSent(code geerpc.Code, format string, a ...any) error {
	err := geerpc.Errorf(code, format, a...)
	var e *geerpc.Error
	errors.As(err, &e)
	e.Where, e.Ran = geerpc.InClient, geerpc.RanNever
	return err
}
