package xclient

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"geerpc/xclient/internal/attempt"
)

const (
	// probeInterval is how often a server on probation gets a call at most.
	probeInterval = time.Second

	// probeDeadline is the latest deadline of a call that goes to a server on
	// probation while others hang there.
	probeDeadline = 30 * time.Second

	// probeDrought is for how long no such call has to come until another one
	// will do.
	probeDrought = time.Minute

	// pingPatience is how long a server may take to answer a ping before it
	// gets calls again.
	pingPatience = 2 * time.Second
)

// readmit ends an ejection: the server is on probation if it answers a ping,
// and else is out for twice as long.
func (f *fleet) readmit(s *Server) {
	there := s.answersPing(f.ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &s.health
	if h.state.Load()&ejected == 0 {
		return // it has left
	}
	f.out--
	now := attempt.Now()
	s.record.StartProbation(now)
	h.probed.Store(int64(now - probeInterval)) // the first may come now
	h.state.Or(probation)
	h.state.And(^uint32(ejected))
	f.changes.Add(1)
	if there {
		f.tell(s, slog.LevelInfo, "on probation")
	} else {
		f.ejectLocked(s, "no answer to a ping")
	}
}

// answersPing tells whether the server is there, as far as a ping can. If it
// can't be pinged, that is for a call to find out.
func (s *Server) answersPing(ctx context.Context) bool {
	client := s.client()
	if client == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	err := client.Ping(ctx)
	return !errors.Is(err, context.DeadlineExceeded)
}

// admits tells whether a call may go to the server now. While it is on
// probation that is one at a time, and one every now and then; and if calls
// still hang there, one that has a deadline soon, unless none has come for long.
func (s *Server) admits(ctx context.Context) bool {
	if !s.health.is(probation) {
		return true
	}
	probes, latest := s.record.Probes()
	age := attempt.Now() - latest
	if probes > 0 && age < probeDeadline || s.InFlight() > 0 && !soon(ctx) && age < probeDrought {
		return false
	}
	now, last := int64(attempt.Now()), s.health.probed.Load()
	return now-last >= int64(probeInterval) && s.health.probed.CompareAndSwap(last, now)
}

// soon tells whether a context has its deadline soon.
func soon(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= probeDeadline
}

// passed is for a server that has answered.
func (s *Server) passed() {
	if s.health.is(probation) && s.health.state.And(^uint32(probation))&probation != 0 {
		s.record.EndProbation()
		s.health.change(true)
		s.health.fleet.tell(s, slog.LevelInfo, "ready again")
	}
}
