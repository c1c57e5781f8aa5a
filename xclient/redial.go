package xclient

import (
	"sync"
	"time"

	"geerpc/internal/backoff"
	"geerpc/xclient/internal/attempt"
)

// After an outage the pauses between failed dials have grown to half a minute. A
// sign that the outage is over, or a call that finds no server up, ends these
// pauses for all servers: such signs are a dial that succeeds and a change of the
// list. The servers are dialled one after the other, in rounds that are a second
// apart.
const (
	redialPace     = 10 * time.Millisecond // between two servers
	redialInterval = time.Second
)

// A redialer dials the servers in a pause again, in rounds.
type redialer struct {
	mu          sync.Mutex  // guards what follows
	nextRound   time.Time   // when the next round may begin
	nextForCall time.Time   // when the next call may have its server dialled
	timer       *time.Timer // begins a round; not nil while one is due or under way
	oneMore     bool        // another round is wanted after this one
}

// redialSoon begins a round, at once if the last one is long enough ago.
func (set *endpointSet) redialSoon() {
	r := &set.redialer
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.oneMore = true
		return
	}
	set.startRoundLocked(r)
}

func (set *endpointSet) startRoundLocked(r *redialer) {
	if set.closed() {
		return
	}
	r.timer = time.AfterFunc(time.Until(r.nextRound), func() { set.spawn(set.redialRound) }) // ends with the round or the XClient; Close waits
}

// redialRound is one round.
func (set *endpointSet) redialRound() {
	r := &set.redialer
	r.mu.Lock()
	r.oneMore = false // a request that comes from now on may be about a server that this round misses
	r.mu.Unlock()
	begun, paused := time.Now(), set.failedConnections()
	for _, c := range paused {
		c.redialNow(0)
		if !backoff.Sleep(set.ctx, redialPace) {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(paused) > 0 {
		r.nextRound = begun.Add(redialInterval)
	}
	r.timer = nil
	if r.oneMore {
		set.startRoundLocked(r)
	}
}

// stopRedialing stops the timer. Close waits for a round that has begun.
func (set *endpointSet) stopRedialing() {
	r := &set.redialer
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
}

// failedConnections returns the connections in a pause after a failed dial, in no
// order.
func (set *endpointSet) failedConnections() (paused []*connection) {
	set.mu.Lock()
	defer set.mu.Unlock()
	for _, s := range set.servers {
		for _, c := range s.conns {
			if c.isFailed() {
				paused = append(paused, c)
			}
		}
	}
	return paused
}

// dialForCall is called for a call that finds no server up. Once a second it dials
// the server that was picked, for which the call then waits, and begins a round
// for the others.
func (set *endpointSet) dialForCall(s *Server) {
	r := &set.redialer
	r.mu.Lock()
	now := time.Now()
	early := now.Before(r.nextForCall)
	if !early {
		r.nextForCall = now.Add(redialInterval)
	}
	r.mu.Unlock()
	if !early {
		s.redialNow(0)
		set.redialSoon()
	}
}

// redialNow ends the pauses of the server's connections that have lasted so long.
func (s *Server) redialNow(lasted time.Duration) {
	for _, c := range s.conns {
		c.redialNow(lasted)
	}
}

// redialNow ends the pause after a failed dial, if it has lasted so long.
func (c *connection) redialNow(lasted time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || c.retired || c.ctx.Err() != nil || attempt.Now()-c.failedAt < lasted {
		return
	}
	c.retryTimer.Stop()
	c.err = nil
	c.dialLocked(0)
}

func (c *connection) isFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil && !c.retired
}
