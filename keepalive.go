package geerpc

import (
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// Keepalive: each side makes itself heard, and notices when it hears nothing.
// A client says in its hello how often it is going to be heard, and the server
// answers with the interval that both keep: a side that has sent nothing for
// so long sends a ping.
const (
	minInterval = 100 * time.Millisecond // a peer can't ask for pings more often
	minPromise  = time.Second            // a server pings no more often, whatever a client wants

	pingsPerTimeout = 3 // how often a server wants to hear a client in its ReadTimeout
)

// readTimeout returns Server.ReadTimeout, 0 for no limit.
func (s *Server) readTimeout() time.Duration {
	return min(limit(s.ReadTimeout, DefaultReadTimeout), link.MaxInterval)
}

// pingInterval returns the interval that a server agrees on with a client that
// wants one; zero is none.
func (s *Server) pingInterval(wanted time.Duration) time.Duration {
	wanted = min(max(wanted, 0), link.MaxInterval)
	if readTimeout := s.readTimeout(); readTimeout > 0 {
		return min(wanted, max(readTimeout/pingsPerTimeout, minInterval))
	}
	return wanted
}

// keepAlive starts the watch over a connection whose client has promised to be
// heard. A client that has missed two of its pings is asked.
func (c *conn) keepAlive() {
	p := c.pingInterval
	if p == 0 {
		return
	}
	var k link.Keepalive
	if c.link.PeerHandles(codec.Ping) {
		k.Promise = max(p+p/8, minPromise) // the client comes first, and a pong is as good
	}
	if readTimeout := c.server.readTimeout(); readTimeout > 0 {
		k.Timeout = max(readTimeout/pingsPerTimeout, p)
		k.Ask = max(readTimeout-k.Timeout, 2*p)
	}
	c.link.KeepAlive(k)
}

// keepAlive starts the watch over the connection to a server that answers
// pings.
func (c *Client) keepAlive() {
	p := c.opt.PingInterval // as agreed
	if p == 0 || !c.link.PeerHandles(codec.Ping) {
		return
	}
	k := link.Keepalive{Promise: p, Ask: p}
	if c.opt.PingTimeout > 0 {
		k.Timeout = max(c.opt.PingTimeout, p/4) // where a ping must wait, a server's own is on its way
	}
	c.link.KeepAlive(k)
}
