package geerpc

import (
	"errors"
	"time"

	"geerpc/codec"
)

// Keepalive: each side makes itself heard, and notices when it hears nothing.
// A client says in its hello how often it is going to be heard, and the server
// answers with the interval that both keep: whoever has sent nothing for so
// long sends a ping.
const (
	minPromise      = time.Second // a server pings no more often, whatever a client wants
	pingsPerTimeout = 3           // how often a server wants to hear a client in its ReadTimeout
)

// pingInterval returns the interval that a server agrees on with a client that
// wants one; zero is none.
func (s *Server) pingInterval(wanted time.Duration) time.Duration {
	readTimeout := limit(s.ReadTimeout, DefaultReadTimeout)
	if wanted > 0 && readTimeout > 0 {
		return min(wanted, max(readTimeout/pingsPerTimeout, 1))
	}
	return max(wanted, 0)
}

// A keepalive is the watch over one end of a connection. A zero is never.
type keepalive struct {
	promise  time.Duration // ping when nothing has been sent for so long
	ask      time.Duration // ping when nothing has been heard for so long
	patience time.Duration // close when nothing has been heard for so long

	timer   *time.Timer   // runs the next tick
	due     time.Duration // when that should run, by nanotime
	pause   time.Duration // from the tick before
	resumed time.Duration // waiting began anew then, by nanotime
	pinged  time.Duration // when the last ping was posted, by nanotime
}

// watch makes the link keep itself alive, until it is closed.
func (l *link) watch(k keepalive) {
	if k.promise == 0 && k.ask == 0 && k.patience == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k.resumed = nanotime()
	k.pinged = k.resumed
	l.alive = k
	l.scheduleLocked(l.alive.next(l.out.SinceTaken(), 0))
}

// tick looks at the connection, and closes it or pings if it is time for that.
func (l *link) tick() {
	sent, silence, dead := l.out.SinceTaken(), l.silence(), false
	ping := false
	l.mu.Lock()
	k := &l.alive
	switch now := nanotime(); {
	case now-k.due > k.pause/4:
		// This process did not run. What the peer has sent meanwhile may
		// wait in the socket, so the waiting begins anew, with a ping.
		k.resumed = now - k.ask
		silence, ping = min(silence, k.ask), k.ask > 0
	default:
		silence = min(silence, now-k.resumed)
		dead = k.patience > 0 && silence >= k.patience
		ping = k.mustPing(sent, silence, now-k.pinged)
	}
	if ping {
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

// mustPing tells whether it is time for a ping, so long after the last.
func (k *keepalive) mustPing(sent, silence, pinged time.Duration) bool {
	return k.promise > 0 && sent >= k.promise && pinged >= k.promise ||
		k.ask > 0 && silence >= k.ask && pinged >= k.ask
}

// next returns when to look again. The last look before the end of patience
// comes a little earlier: if this process sleeps between the two, it is
// noticed.
func (k *keepalive) next(sent, silence time.Duration) time.Duration {
	next := time.Duration(1<<63 - 1)
	if k.promise > 0 {
		next = min(next, max(k.promise-sent, k.promise/8))
	}
	if k.ask > 0 {
		next = min(next, max(k.ask-silence, k.ask/8))
	}
	if left := k.patience - silence; k.patience > 0 {
		last := (k.patience - k.ask) / 4
		if left > last {
			left -= last
		}
		next = min(next, left)
	}
	return max(next, 1)
}

// scheduleLocked has tick run after d.
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
