package xclient

import (
	"sync"
	"time"

	"geerpc/internal/backoff"
	"geerpc/xclient/internal/attempt"
)

// After an outage the pauses between failed dials have grown to half a minute.
// What tells that it is over, or that somebody needs to know, has all servers
// dialled that are in such a pause: a dial that succeeds, a change of the list,
// and a call while no server is up. They are dialled one after the other, and
// from the beginning once in a while only.
const (
	revivePace     = 10 * time.Millisecond // between two servers
	reviveInterval = time.Second
)

// A reviver has the servers in a pause dialled in rounds.
type reviver struct {
	mu     sync.Mutex  // guards what follows
	next   time.Time   // when the next round may begin
	urgent time.Time   // when the next call may have its server dialled
	timer  *time.Timer // begins a round; not nil while one is due or under way
	again  bool        // another round is wanted after this one
}

// reviveSoon has a round begin, at once if the last one is long enough ago.
func (f *fleet) reviveSoon() {
	r := &f.reviver
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.again = true
		return
	}
	f.beginRoundLocked(r)
}

func (f *fleet) beginRoundLocked(r *reviver) {
	if f.closed() {
		return
	}
	r.timer = time.AfterFunc(time.Until(r.next), func() { f.spawn(f.reviveAll) }) // ends with the round or the XClient; Close waits
}

// reviveAll is a round.
func (f *fleet) reviveAll() {
	r := &f.reviver
	r.mu.Lock()
	r.again = false // who asks from now on may know of a server that has failed before
	r.mu.Unlock()
	begun, paused := time.Now(), f.paused()
	for _, c := range paused {
		c.dialNow(0)
		if !backoff.Sleep(f.ctx, revivePace) {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(paused) > 0 {
		r.next = begun.Add(reviveInterval)
	}
	r.timer = nil
	if r.again {
		f.beginRoundLocked(r)
	}
}

// stopReviving is for Close, which waits for a round that has begun.
func (f *fleet) stopReviving() {
	r := &f.reviver
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
}

// paused returns the connections that wait for their next dial, in no order.
func (f *fleet) paused() (paused []*connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		for _, c := range s.conns {
			if c.isPaused() {
				paused = append(paused, c)
			}
		}
	}
	return paused
}

// dialForCall is for a call that finds no server up. Now and then one of them
// has the server dialled that was picked, and waits for it; the others are
// dialled by the way.
func (f *fleet) dialForCall(s *Server) {
	r := &f.reviver
	r.mu.Lock()
	now := time.Now()
	early := now.Before(r.urgent)
	if !early {
		r.urgent = now.Add(reviveInterval)
	}
	r.mu.Unlock()
	if !early {
		s.dialNow(0)
		f.reviveSoon()
	}
}

// dialNow ends the pauses of the server's connections that have lasted so long.
func (s *Server) dialNow(lasted time.Duration) {
	for _, c := range s.conns {
		c.dialNow(lasted)
	}
}

// dialNow ends the pause after a dial that failed, if it has lasted so long.
func (c *connection) dialNow(lasted time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || c.retired || c.ctx.Err() != nil || attempt.Now()-c.failed < lasted {
		return
	}
	c.next.Stop()
	c.err = nil
	c.dialLocked(0)
}

func (c *connection) isPaused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil && !c.retired
}
