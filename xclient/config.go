package xclient

import (
	"time"

	"geerpc"
)

// A Config says how an XClient works. The zero Config is a good one.
type Config struct {
	// Option says how connections are made; it is copied. Nil:
	// geerpc.DefaultOption. Its Dialer does not get the context of a call but one
	// that lasts as long as the connection is wanted: calls share connections,
	// and each waits for them under its own context. Its Interceptors see each
	// attempt.
	Option *geerpc.Option

	// Balancer picks the servers. Nil: LeastLoaded. It is not used with a
	// Discovery that has only the four methods.
	Balancer Balancer

	// Connections is how many connections are made to each server, when calls
	// need them. Zero or negative: 1, which serves thousands of callers.
	Connections int

	// Subset is how many servers the calls of this XClient are spread over, of
	// those that offer a service. It is meant for lists so long that not every
	// client should be connected to every server. Each client has its own subset,
	// which changes by one or two servers when the list does. Other servers
	// replace those that are not fit for calls, but no more than four times the
	// Subset plus 16 are considered; so a client that is cut off does not dial
	// them all. About twenty are enough for an even load, if there are more
	// clients than servers.
	//
	// A Subset does not go well with ConsistentHash, where all clients need to
	// know the same servers. Broadcast and Fork call all servers, and a
	// Discovery that has only the four methods picks from all. Zero or
	// negative: all servers.
	Subset int

	// ClientID makes a client choose the same Subset after a restart. It should
	// differ between clients: a host's name, say. Empty: a random one.
	ClientID string

	// IdleTimeout is how long a connection may go without calls before it is
	// closed, give or take a second. It is made again when its server is next
	// picked. Zero:
	// 5 minutes with a Subset, whose members change, and never without;
	// negative: never.
	IdleTimeout time.Duration

	// Timeout is the deadline of calls whose context has none. It is set inside the
	// Interceptors: one that must see it, such as a middleware.Breaker, needs a
	// middleware.Timeout around it instead. Zero or negative: they have none.
	Timeout time.Duration

	// AttemptTimeout is the deadline of each attempt at a call, within the
	// call's own, and includes the wait for a connection. An attempt that runs
	// into it has failed with CodeDeadlineExceeded: if the call is idempotent, or
	// was never sent, it is made again on another server. Without AttemptTimeout
	// a server that has stopped uses up all the time that the call has. It should
	// be longer than any healthy method takes. Zero or negative: attempts have
	// the call's deadline.
	AttemptTimeout time.Duration

	Hedge    Hedge    // zero: calls are made once at a time
	Retry    Retry    // zero: up to three attempts where that is safe
	Ejection Ejection // zero: after five failures in a row

	// Interceptors wrap each call as a whole. The first is the outermost; nil
	// ones are left out.
	Interceptors []geerpc.Interceptor
}

// DefaultIdleTimeout is the IdleTimeout of an XClient with a Subset.
const DefaultIdleTimeout = 5 * time.Minute

// idleTimeout returns the time after which connections without calls are closed, 0
// for never.
func (c *Config) idleTimeout() time.Duration {
	switch {
	case c.IdleTimeout > 0:
		return c.IdleTimeout
	case c.IdleTimeout == 0 && c.Subset > 0:
		return DefaultIdleTimeout
	}
	return 0
}
