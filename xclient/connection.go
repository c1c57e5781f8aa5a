package xclient

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
	"geerpc/xclient/internal/attempt"
)

// A connection has proven itself when it has answered a call, or is this old.
const provenAge = 10 * time.Second

// A connection is the way to one server: a Client that is made when a call first
// needs it, made again when it has broken, and shared by all calls. dial.go has
// how it is made.
type connection struct {
	*common
	server *Server
	client atomic.Pointer[geerpc.Client] // nil: there is none; changed under mu
	proven atomic.Bool                   // the latest client has answered a call
	used   atomic.Bool                   // a call has wanted it since closeIdle last looked

	draining atomic.Int32 // earlier clients whose calls are being answered

	mu          sync.Mutex // guards what follows
	dial        *dial      // under way
	err         error      // why the last dial failed; nil when the next one begins
	backoff     backoff.Backoff
	retryTimer  *time.Timer   // begins the next dial after one that failed
	failedAt    time.Duration // when err was set, by attempt.Now
	connectedAt time.Duration // when the latest client was, the same
	lastUse     time.Duration // when closeIdle last knew of one, the same
	retired     bool          // the server has left the list
}

// usable returns the client, nil if there is none that takes calls.
func (c *connection) usable() *geerpc.Client {
	client := c.client.Load()
	switch {
	case client == nil:
	case client.IsAvailable():
		if !c.used.Load() { // mostly it is set, and nobody writes to it
			c.used.Store(true)
		}
	default:
		c.dropBroken(client)
		return nil
	}
	return client
}

// dropBroken lets go of a client that takes no more calls, once its calls have
// been answered, and begins to make another one. It does so soon if the client has
// proven itself, or is the first that has not; otherwise as after a failed dial.
// There are servers, and proxies, that accept a connection, greet, and hang up.
func (c *connection) dropBroken(client *geerpc.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.client.CompareAndSwap(client, nil) {
		return
	}
	c.shutDown(client)
	c.server.updateDown()
	if c.proven.Load() || attempt.Now()-c.connectedAt >= provenAge {
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

// shutDown closes a client when its calls have been answered.
func (c *connection) shutDown(client *geerpc.Client) {
	c.draining.Add(1)
	if !c.spawn(func() { // ends with the calls or the XClient; Close waits
		defer c.draining.Add(-1)
		client.Shutdown(c.ctx)
	}) {
		client.Close()
		c.draining.Add(-1)
	}
}

// retire ends a connection for a cause: its server has left the list, or the
// XClient is being closed. Calls in flight are answered, or ended by Close.
func (c *connection) retire(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.retryTimer != nil {
		c.retryTimer.Stop()
	}
	if c.dial != nil {
		c.dial.cancel(cause)
	}
	if client := c.client.Swap(nil); client != nil {
		c.shutDown(client)
	}
}

// closeIdle closes a client that no call has used for as long as limit, or stops
// trying to make one. To the next call the server is like a new one.
func (c *connection) closeIdle(limit time.Duration) {
	busy := c.used.Swap(false) || c.server.inFlight.Load() > 0
	c.mu.Lock()
	defer c.mu.Unlock()
	now := attempt.Now()
	if busy {
		c.lastUse = now
	}
	if now-c.lastUse < limit {
		return
	}
	if client := c.client.Swap(nil); client != nil {
		c.shutDown(client)
	} else if c.err != nil && !c.retired && c.ctx.Err() == nil {
		c.retryTimer.Stop()
		c.err = nil
		c.server.health.setDown(false)
	}
}

// option returns the Option for the connection's server.
func (c *connection) option() *geerpc.Option {
	opt := c.opt
	opt.Legacy = opt.Legacy || c.server.Endpoint().Legacy
	return &opt
}

// state returns the state of a connection, and the error if it is down. A client that
// takes no more calls, which no call has noticed yet, is draining while it may have some.
func (c *connection) state() (ServerState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.client.Load()
	switch {
	case client != nil && client.IsAvailable():
		return StateReady, nil
	case c.draining.Load() > 0, client != nil && c.server.inFlight.Load() > 0:
		return StateDraining, nil
	case c.dial != nil:
		return StateDialling, nil
	case c.err != nil:
		return StateDown, c.err
	}
	return StateIdle, nil
}
