package geerpc

import (
	"errors"
	"time"

	"geerpc/codec"
	"geerpc/internal/wire"
)

// Keepalive: each side makes itself heard, and notices when it hears nothing.
// A client says in its hello how often it is going to be heard, and the server
// answers with the interval that both keep: a side that has sent nothing for
// so long sends a ping.
const (
	minInterval = 100 * time.Millisecond // a peer can't ask for pings more often
	maxInterval = 365 * 24 * time.Hour   // as good as never, and far from overflowing
	minPromise  = time.Second            // a server pings no more often, whatever a client wants

	pingsPerTimeout = 3 // how often a server wants to hear a client in its ReadTimeout
)

// readTimeout returns Server.ReadTimeout, 0 for no limit.
func (s *Server) readTimeout() time.Duration {
	return min(limit(s.ReadTimeout, DefaultReadTimeout), maxInterval)
}

// pingInterval returns the interval that a server agrees on with a client that
// wants one; zero is none.
func (s *Server) pingInterval(wanted time.Duration) time.Duration {
	wanted = min(max(wanted, 0), maxInterval)
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
	var k keepalive
	if c.link.kinds.has(codec.Ping) {
		k.promise = max(p+p/8, minPromise) // the client comes first, and a pong is as good
	}
	if readTimeout := c.server.readTimeout(); readTimeout > 0 {
		k.timeout = max(readTimeout/pingsPerTimeout, p)
		k.ask = max(readTimeout-k.timeout, 2*p)
	}
	c.link.watch(k)
}

// keepAlive starts the watch over the connection to a server that answers
// pings.
func (c *Client) keepAlive() {
	p := c.opt.PingInterval // as agreed
	if p == 0 || !c.link.kinds.has(codec.Ping) {
		return
	}
	k := keepalive{promise: p, ask: p}
	if c.opt.PingTimeout > 0 {
		k.timeout = max(c.opt.PingTimeout, p/4) // where a ping must wait, a server's own is on its way
	}
	c.link.watch(k)
}

// A keepalive is the watch over one end of a connection. A zero is never.
type keepalive struct {
	promise time.Duration // ping when nothing has been sent for so long
	ask     time.Duration // ping when nothing has been heard for so long
	timeout time.Duration // and close when nothing has been heard for so long after that

	timer  *time.Timer   // runs the next tick
	due    time.Duration // when that should run, by nanotime
	pause  time.Duration // from the tick before
	asking bool          // the peer has been asked whether it is there
	asked  time.Duration // when, by nanotime
	pinged time.Duration // when the latest ping was posted, by nanotime
}

// watch keeps the link alive, and closes it when the peer has gone.
func (l *link) watch(k keepalive) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.pinged = nanotime()
	l.alive = k
	l.scheduleLocked(l.alive.next(l.out.SinceTaken(), 0))
}

// tick looks at the connection, and pings or closes it if it is time for that.
func (l *link) tick() {
	sent, silence := l.out.SinceTaken(), l.silence()
	l.mu.Lock()
	k := &l.alive
	dead, ping := k.listen(silence)
	if ping || k.mustPing(sent) {
		ping = !dead
		k.pinged = nanotime()
		sent = 0
	}
	if !dead {
		l.scheduleLocked(k.next(sent, silence))
	}
	l.mu.Unlock()
	if dead {
		l.fail(errDead)
	} else if ping {
		l.post(control{kind: codec.Ping})
	}
}

// silence returns for how long this side has been waiting for the peer in
// vain. While nobody reads it is zero: the peer is not to blame. A peer that
// takes what had to wait is there, whatever it says.
func (l *link) silence() time.Duration { return min(l.in.Waiting(), l.out.SinceUnblocked()) }

// listen judges a silence: whether the peer must be asked, or has had its time
// to answer. If this process did not run, what the peer has sent meanwhile may
// wait in the socket, and the peer is asked anew.
func (k *keepalive) listen(silence time.Duration) (dead, ask bool) {
	now := nanotime()
	if heardSince := silence <= now-k.asked; heardSince {
		k.asking = false
	}
	switch {
	case k.ask == 0 || silence < k.ask:
		return false, false
	case !k.asking || wire.Late(k.due, k.pause):
		k.asking, k.asked = true, now
		return false, true
	}
	return k.timeout > 0 && now-k.asked >= k.timeout, false
}

// mustPing reports whether this side has to make itself heard.
func (k *keepalive) mustPing(sent time.Duration) bool {
	return k.promise > 0 && sent >= k.promise && nanotime()-k.pinged >= k.promise
}

// next returns when to look again. The last look before the end comes a little
// earlier: if this process sleeps between the two, it is noticed.
func (k *keepalive) next(sent, silence time.Duration) time.Duration {
	next := maxInterval
	switch {
	case k.promise > 0 && sent < k.promise:
		next = k.promise - sent
	case k.promise > 0: // the ping is stuck behind what the peer does not take
		next = k.promise / 8
	}
	switch {
	case k.ask > 0 && !k.asking:
		next = min(next, k.ask-silence)
	case k.timeout > 0 && k.asking:
		left, last := k.timeout-(nanotime()-k.asked), k.timeout/4
		if left > last {
			left -= last
		}
		next = min(next, left)
	}
	return max(next, time.Millisecond)
}

// scheduleLocked runs tick after d.
func (l *link) scheduleLocked(d time.Duration) {
	if l.cause() != nil {
		return
	}
	k := &l.alive
	k.due, k.pause = nanotime()+d, d
	if k.timer == nil {
		k.timer = time.AfterFunc(d, l.tick) // close stops it
	} else {
		k.timer.Reset(d)
	}
}

var errDead = errors.New("keepalive: the peer has gone silent")
