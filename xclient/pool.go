package xclient

import (
	"context"
	"sync"
	"time"

	"geerpc"
)

// sweepInterval is how often the connections are compared with the list.
const sweepInterval = time.Second

// A pool keeps one connection per server. They are made by goroutines of their
// own, so that a server which hangs costs nobody time but its own callers,
// and closed when their last user has left.
type pool struct {
	opt    *geerpc.Option
	list   func() ([]string, error) // what servers there are
	ctx    context.Context          // ends with close
	cancel context.CancelCauseFunc

	mu      sync.Mutex             // guards what follows, and the users of all connections
	current map[string]*connection // by address: those that new calls use
	open    map[*connection]bool   // those not closed yet, whether or not they are current
	sweeper *time.Timer            // runs while there are current ones

	wg sync.WaitGroup // goroutines that dial or close; begun under mu, not after close
}

// A connection is the way to one server: a client, or the dial for it.
type connection struct {
	addr  string
	stop  context.CancelCauseFunc // gives up the dial
	users int                     // calls and the dial

	ready  chan struct{}  // closed when the dial has ended
	client *geerpc.Client // then, or
	err    error
}

func newPool(opt *geerpc.Option, list func() ([]string, error)) *pool {
	p := &pool{
		opt:     opt,
		list:    list,
		current: make(map[string]*connection),
		open:    make(map[*connection]bool),
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

func (p *pool) closed() bool { return p.ctx.Err() != nil }

// acquire returns the connection to a server once it is there. It waits under
// ctx, as one of any number of callers. Unless it fails, release must follow.
func (p *pool) acquire(ctx context.Context, addr string) (*connection, error) {
	c, err := p.join(addr)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.ready:
		err = c.err
	case <-p.ctx.Done():
		err = geerpc.ErrShutdown
	case <-ctx.Done():
		err = notSent(geerpc.CodeOf(ctx.Err()), "rpc xclient: waiting for a connection to %s: %w", addr, ctx.Err())
	}
	if err != nil {
		p.release(c)
		return nil, err
	}
	return c, nil
}

// join adds a user to the connection to a server, and begins to make one if
// there is none that is any good.
func (p *pool) join(addr string) (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed() {
		return nil, geerpc.ErrShutdown
	}
	c := p.current[addr]
	if c != nil && c.dead() {
		p.retireLocked(c, nil)
		c = nil
	}
	if c == nil {
		c = p.connectLocked(addr)
	}
	c.users++
	return c, nil
}

// dead tells whether new calls on a connection would fail.
func (c *connection) dead() bool {
	select {
	case <-c.ready:
		return c.client == nil || !c.client.IsAvailable()
	default:
		return false
	}
}

// connectLocked begins to make a connection.
func (p *pool) connectLocked(addr string) *connection {
	ctx, stop := context.WithCancelCause(p.ctx)
	c := &connection{addr: addr, stop: stop, users: 1, ready: make(chan struct{})}
	p.current[addr], p.open[c] = c, true
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(sweepInterval, p.sweep)
	}
	p.wg.Go(func() { p.dial(ctx, c) }) // ends with the dial; close cancels and waits
	return c
}

// dial makes the connection, and drops it if that fails: the next call tries
// again.
func (p *pool) dial(ctx context.Context, c *connection) {
	client, err := geerpc.DialContext(ctx, c.addr, p.opt)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // not the server's fault, nor that of a caller's context
	}
	c.client, c.err = client, err
	close(c.ready)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.retireLocked(c, nil)
	}
	c.stop(nil)
	p.releaseLocked(c)
}

// retireLocked keeps new calls off a connection. Those that use it may go on;
// if it is not there yet, they fail with cause.
func (p *pool) retireLocked(c *connection, cause error) {
	if p.current[c.addr] == c {
		delete(p.current, c.addr)
	}
	c.stop(cause)
	p.closeIfDoneLocked(c)
}

func (p *pool) release(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked(c)
}

func (p *pool) releaseLocked(c *connection) {
	c.users--
	p.closeIfDoneLocked(c)
}

// closeIfDoneLocked closes a connection that nobody uses or is going to use.
// After close it does nothing: all are being closed then.
func (p *pool) closeIfDoneLocked(c *connection) {
	if c.users == 0 && p.current[c.addr] != c && p.open[c] {
		delete(p.open, c)
		p.wg.Go(c.close) // ends soon; close waits
	}
}

// close closes the connection once the dial has ended.
func (c *connection) close() {
	<-c.ready
	if c.client != nil {
		c.client.Close()
	}
}

var errLeft = notSent(geerpc.CodeUnavailable, "rpc xclient: the server has left the list")

// sweep retires the connections to servers that are no longer listed, and
// comes again while there are others. It keeps a Discovery that needs to be
// asked up to date by the way.
func (p *pool) sweep() {
	servers, err := p.list()
	listed := make(map[string]bool, len(servers))
	for _, addr := range servers {
		listed[addr] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed() {
		return
	}
	for addr, c := range p.current {
		if err == nil && !listed[addr] {
			p.retireLocked(c, errLeft)
		}
	}
	if len(p.current) == 0 {
		p.sweeper = nil // until there is a connection again
		return
	}
	p.sweeper.Reset(sweepInterval)
}

// close closes all connections and returns when nothing of the pool is left
// running.
func (p *pool) close() {
	p.mu.Lock()
	p.cancel(geerpc.ErrShutdown)
	for c := range p.open {
		p.wg.Go(c.close)
	}
	p.open, p.current = nil, nil
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
