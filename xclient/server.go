package xclient

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// A Server is one of the servers that an XClient calls, as Balancers see it.
type Server struct {
	endpoint atomic.Pointer[Endpoint]
	inFlight atomic.Int64
	record   attempt.Record
	median   atomic.Int64 // the median latency of the servers with the same services, in nanoseconds; 0: not known
	health   health

	rank              uint64        // in the XClient's subset; the lowest come first
	conns             []*connection // none: it is not an XClient's
	nextConn          atomic.Uint32 // of conns
	updatingDown      sync.Mutex    // held by updateDown
	loggedUnreachable atomic.Bool   // dials fail, and the Logger knows
}

// NewServer returns a Server without calls, to try a Balancer on. It has a copy
// of e, but not of the services and metadata, which must stay as they are.
func NewServer(e Endpoint) *Server {
	s := new(Server)
	s.endpoint.Store(&e)
	return s
}

// Endpoint returns what is known about the server. It is not to be changed.
func (s *Server) Endpoint() *Endpoint { return s.endpoint.Load() }

// InFlight returns the number of calls that wait for the server, or for a
// connection to it.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }

// Latency returns how long a call takes that begins now, as far as attempts on
// the server have shown; zero before the first has ended. It is a moving average
// of answers, and no less than what has been spent waiting for one since the
// last, by calls in flight too. No errors lower it, nor do attempts that
// others outran. It is at most four times the median of the servers with the
// same services, unless there is no answer. While there are no calls it halves
// every five seconds, so that balancers which shun slow servers try them again.
func (s *Server) Latency() time.Duration {
	return s.record.Latency(attempt.Now(), s.medianLatency())
}

// load returns how many calls are in flight, and how many errors count as much.
func (s *Server) load(now time.Duration) float64 {
	return float64(s.inFlight.Load()) + s.record.ErrorsInFlight(now)
}

// medianLatency returns the median of the servers that are like this one, zero if it
// isn't known.
func (s *Server) medianLatency() time.Duration { return time.Duration(s.median.Load()) }

// client returns a client that takes calls, nil if there is none at present. Several
// connections take turns; one that is missing begins to be made, and another one
// stands in.
func (s *Server) client() *geerpc.Client {
	if len(s.conns) == 1 {
		return s.conns[0].usable()
	}
	first := s.nextConn.Add(1)
	for i := range uint32(len(s.conns)) {
		if client := s.conn(first + i).usable(); client != nil {
			if i > 0 {
				s.conn(first).connectSoon()
			}
			return client
		}
	}
	return nil
}

// conn returns the connection of a turn.
func (s *Server) conn(turn uint32) *connection { return s.conns[turn%uint32(len(s.conns))] }

// connect waits for a client. It gives up with errTryOther when that takes long and
// there are other servers, or soon after something has changed.
func (s *Server) connect(ctx context.Context, hasOthers bool, changed <-chan struct{}) (*geerpc.Client, error) {
	s.inFlight.Add(1) // or a server that is being dialled would look idle
	defer s.inFlight.Add(-1)
	return s.conn(s.nextConn.Load()).wait(ctx, hasOthers, changed)
}

// connectSoon connects to the server while calls go elsewhere.
func (s *Server) connectSoon() {
	s.conn(s.nextConn.Load()).connectSoon()
	s.updateDown() // it is down until then
}

// updateDown notes whether there is a way to the server, after one of its
// connections has come or gone, or kept a call waiting. The lock makes the last of
// several updates see all that the others saw. A client that takes no more calls
// counts until a call has found out: nobody else would.
func (s *Server) updateDown() {
	s.updatingDown.Lock()
	defer s.updatingDown.Unlock()
	s.health.setDown(!s.isConnected())
}

// logUnreachable logs the first of several dials that fail.
func (s *Server) logUnreachable(err error) {
	if !s.isConnected() && s.loggedUnreachable.CompareAndSwap(false, true) {
		s.conns[0].log(s, slog.LevelWarn, "out of reach", "err", err)
	}
}

// logReachable logs that a dial has succeeded, if logUnreachable logged before.
func (s *Server) logReachable() {
	if s.loggedUnreachable.CompareAndSwap(true, false) {
		s.conns[0].log(s, slog.LevelInfo, "in reach again")
	}
}

// isConnected reports whether there is a client, perhaps one that takes no more
// calls.
func (s *Server) isConnected() bool {
	return slices.ContainsFunc(s.conns, func(c *connection) bool { return c.client.Load() != nil })
}

// call makes a call over one of the server's clients, and records how it ended.
func (s *Server) call(ctx context.Context, client *geerpc.Client, serviceMethod string, args, reply any) (err error) {
	s.inFlight.Add(1)
	a := s.record.Begin(attempt.Now(), s.health.is(probation))
	end := attempt.Ending{Outcome: attempt.NoEvidence} // unless the call returns
	defer func() {
		s.inFlight.Add(-1)
		if end.At == 0 {
			end.At = attempt.Now()
		}
		end.Median = s.medianLatency()
		if end.Outcome == attempt.Lost && !client.IsAvailable() {
			end.Broken = client
		}
		conclusion := s.record.End(a, end)
		if conclusion.Heard {
			s.prove(client)
		}
		s.judge(conclusion)
	}()
	err = client.Call(ctx, serviceMethod, args, reply)
	end.At = attempt.Now()
	end.Code = geerpc.CodeOf(err)
	end.Outcome = attempt.OutcomeOf(ctx, err, end.At-a.Began)
	return err
}

// prove notes that a client has been worth connecting for.
func (s *Server) prove(client *geerpc.Client) {
	for _, c := range s.conns {
		if c.client.Load() == client && !c.proven.Load() {
			c.proven.Store(true)
		}
	}
}

// judge acts on what an attempt has shown.
func (s *Server) judge(c attempt.Conclusion) {
	switch {
	case c.Success:
		s.endProbation()
	case c.Failures > 0 && s.health.set != nil:
		s.health.set.checkFailures(s, c.Failures)
	}
}
