package link

import (
	"errors"
	"time"

	"geerpc/codec"
	"geerpc/internal/monotime"
)

// A Keepalive says when one end of a connection pings, and when it gives the peer
// up. A zero is never.
type Keepalive struct {
	Promise time.Duration // ping when nothing has been sent for so long
	Ask     time.Duration // ping when nothing has been heard for so long
	Timeout time.Duration // and close when nothing has been heard for so long after that
}

// keepaliveState is a Keepalive in force. All its times are those of monotime.Now.
type keepaliveState struct {
	Keepalive

	timer  *time.Timer   // runs the next tick
	due    time.Duration // when that should run
	pause  time.Duration // from the tick before
	asking bool          // the peer has been asked whether it is there
	asked  time.Duration // when
	pinged time.Duration // when the latest ping was posted
}

// MaxInterval is the longest interval: as good as never, and far from overflowing.
const MaxInterval = 365 * 24 * time.Hour

// KeepAlive starts to ping the peer, and to close the link when the peer is gone.
func (l *Link) KeepAlive(k Keepalive) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive = keepaliveState{Keepalive: k, pinged: monotime.Now()}
	l.scheduleLocked(l.alive.next(l.Out.SinceTaken(), 0))
}

// tick looks at the connection, and pings or closes it if it is time for that.
func (l *Link) tick() {
	sent, silence := l.Out.SinceTaken(), l.silence()
	l.mu.Lock()
	k := &l.alive
	dead, ping := k.listen(silence)
	if ping || k.mustPing(sent) {
		ping = !dead
		k.pinged = monotime.Now()
		sent = 0
	}
	if !dead {
		l.scheduleLocked(k.next(sent, silence))
	}
	l.mu.Unlock()
	if dead {
		l.Fail(errDead)
	} else if ping {
		l.Post(Control{Kind: codec.Ping})
	}
}

// silence returns for how long this side has waited for the peer in vain. It is
// zero while nobody reads here, which is not the peer's fault. A peer that takes
// bytes which had to wait is there, even if it says nothing.
func (l *Link) silence() time.Duration { return min(l.raw.Waiting(), l.Out.SinceUnblocked()) }

// listen judges a silence: whether the peer must be asked, or has had its time
// to answer. If this process did not run, what the peer has sent meanwhile may
// wait in the socket, and the peer is asked anew.
func (k *keepaliveState) listen(silence time.Duration) (dead, ask bool) {
	now := monotime.Now()
	if heardSince := silence <= now-k.asked; heardSince {
		k.asking = false
	}
	switch {
	case k.Ask == 0 || silence < k.Ask:
		return false, false
	case !k.asking || monotime.Late(k.due, k.pause):
		k.asking, k.asked = true, now
		return false, true
	}
	return k.Timeout > 0 && now-k.asked >= k.Timeout, false
}

// mustPing reports whether this side must be heard.
func (k *keepaliveState) mustPing(sent time.Duration) bool {
	return k.Promise > 0 && sent >= k.Promise && monotime.Now()-k.pinged >= k.Promise
}

// next returns when to look again. The last look before the timeout comes a little
// earlier, so that a process which was stopped meanwhile notices that.
func (k *keepaliveState) next(sent, silence time.Duration) time.Duration {
	next := MaxInterval
	switch {
	case k.Promise > 0 && sent < k.Promise:
		next = k.Promise - sent
	case k.Promise > 0: // the ping is stuck behind what the peer does not take
		next = k.Promise / 8
	}
	switch {
	case k.Ask > 0 && !k.asking:
		next = min(next, k.Ask-silence)
	case k.Timeout > 0 && k.asking:
		left, last := k.Timeout-(monotime.Now()-k.asked), k.Timeout/4
		if left > last {
			left -= last
		}
		next = min(next, left)
	}
	return max(next, time.Millisecond)
}

// scheduleLocked runs tick after d.
func (l *Link) scheduleLocked(d time.Duration) {
	if l.Cause() != nil {
		return
	}
	k := &l.alive
	k.due, k.pause = monotime.Now()+d, d
	if k.timer == nil {
		k.timer = time.AfterFunc(d, l.tick) // Close stops it
	} else {
		k.timer.Reset(d)
	}
}

var errDead = errors.New("keepalive: the peer has gone silent")
