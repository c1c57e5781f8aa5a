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
	typical  atomic.Int64 // the median latency of the servers with the same services, in nanoseconds; 0: not known
	health   health

	rank     uint64        // for the XClient's subset; the lowest come first
	conns    []*connection // none: it is not an XClient's
	turn     atomic.Uint32 // of conns
	reviewed sync.Mutex    // held by review
	lost     atomic.Bool   // dials fail, and the Logger knows
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
// last, also by calls in flight. No errors lower it, nor do attempts that
// others outran. It is at most four times the median of the servers with the
// same services, unless there is no answer. While there are no calls it halves
// every five seconds, so that balancers which shun slow servers try them again.
func (s *Server) Latency() time.Duration {
	return s.record.Latency(attempt.Now(), s.usual())
}

// load returns how many calls are in flight, and how many errors count as much.
func (s *Server) load(now time.Duration) float64 {
	return float64(s.inFlight.Load()) + s.record.ErrorsInFlight(now)
}

// usual returns the median latency of the servers that are like this one, zero
// if it isn't known.
func (s *Server) usual() time.Duration { return time.Duration(s.typical.Load()) }

// client returns a client that takes calls, nil if there is none at present.
// Of several connections it is each one's turn; one that is missing begins to
// be made, and another one stands in.
func (s *Server) client() *geerpc.Client {
	if len(s.conns) == 1 {
		return s.conns[0].ready()
	}
	first := s.turn.Add(1)
	for i := range uint32(len(s.conns)) {
		if client := s.conn(first + i).ready(); client != nil {
			if i > 0 {
				s.conn(first).want()
			}
			return client
		}
	}
	return nil
}

// conn returns the connection whose turn it is.
func (s *Server) conn(turn uint32) *connection { return s.conns[turn%uint32(len(s.conns))] }

// connect waits for a client. It gives up with errElsewhere when that takes
// long and there are others to turn to, or soon after news.
func (s *Server) connect(ctx context.Context, others bool, news <-chan struct{}) (*geerpc.Client, error) {
	s.inFlight.Add(1) // lest one that is being dialled looks idle
	defer s.inFlight.Add(-1)
	return s.conn(s.turn.Load()).wait(ctx, others, news)
}

// want has the server connected to, while calls go elsewhere.
func (s *Server) want() {
	s.conn(s.turn.Load()).want()
	s.review() // it is down until then
}

// review notes whether there is a way to the server, after one of its
// connections has come or gone, or kept a call waiting. Of two that look at the
// same time the second one sees all that the first did. A client that takes no
// more calls counts until a call has found out: nobody else would.
func (s *Server) review() {
	s.reviewed.Lock()
	defer s.reviewed.Unlock()
	s.health.setDown(!s.isConnected())
}

// unreachable is for when a dial has failed, and tells the Logger once.
func (s *Server) unreachable(err error) {
	if !s.isConnected() && s.lost.CompareAndSwap(false, true) {
		s.conns[0].tell(s, slog.LevelWarn, "out of reach", "err", err)
	}
}

// reachable is for when one has succeeded.
func (s *Server) reachable() {
	if s.lost.CompareAndSwap(true, false) {
		s.conns[0].tell(s, slog.LevelInfo, "in reach again")
	}
}

// isConnected tells whether there is a client, perhaps one that takes no more
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
		end.Median = s.usual()
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
		s.passed()
	case c.Failures > 0 && s.health.fleet != nil:
		s.health.fleet.suspect(s, c.Failures)
	}
}
