package xclient

import (
	"time"

	"geerpc/xclient/internal/attempt"
)

// DefaultIdleTimeout is the IdleTimeout of an XClient with a Subset.
const DefaultIdleTimeout = 5 * time.Minute

// idleTimeout returns the time after which connections without calls are
// closed, 0 for never.
func (c *Config) idleTimeout() time.Duration {
	switch {
	case c.IdleTimeout > 0:
		return c.IdleTimeout
	case c.IdleTimeout == 0 && c.Subset > 0:
		return DefaultIdleTimeout
	}
	return 0
}

// closeIdle gives up the connections that no call has needed for a while.
func (f *fleet) closeIdle() {
	if f.idle == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		for _, c := range s.conns {
			c.closeIdle(f.idle)
		}
	}
}

// closeIdle closes the client in good order if no call has used it for so long,
// or stops trying to make one. To the next call the server is like a new one.
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
		c.next.Stop()
		c.err = nil
		c.server.health.setDown(false)
	}
}
