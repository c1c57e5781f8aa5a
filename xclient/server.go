package xclient

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
)

// A Server is one of the servers that an XClient calls, as Balancers see it.
type Server struct {
	endpoint atomic.Pointer[Endpoint]
	inFlight atomic.Int64
	latency  latency
	health   health

	conns    []*connection // none: it is not an XClient's
	turn     atomic.Uint32 // of conns
	reviewed sync.Mutex    // held by review
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

// Latency returns the moving average of how long the server's calls take; zero
// before the first has ended. It halves with every ten seconds in which none
// ends, so that balancers which shun slow servers try them again.
func (s *Server) Latency() time.Duration { return s.latency.get(sinceStart()) }

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

// isConnected tells whether there is a client, perhaps one that takes no more
// calls.
func (s *Server) isConnected() bool {
	return slices.ContainsFunc(s.conns, func(c *connection) bool { return c.client.Load() != nil })
}

// call makes a call over one of the server's clients, and takes note of it.
func (s *Server) call(ctx context.Context, client *geerpc.Client, serviceMethod string, args, reply any) (err error) {
	begin := sinceStart()
	s.inFlight.Add(1)
	ended := false
	defer func() {
		s.inFlight.Add(-1)
		if ended {
			s.note(ctx, err, begin)
		}
	}()
	err = client.Call(ctx, serviceMethod, args, reply)
	ended = true
	return err
}

// note draws conclusions from how a call ended. Calls that were cancelled and
// that failed before they were under way say nothing about a server's speed,
// but for those that another server's answer has outrun.
func (s *Server) note(ctx context.Context, err error, begin time.Duration) {
	now := sinceStart()
	if err == nil {
		s.latency.add(now-begin, now)
		s.health.succeeded()
		return
	}
	var e *geerpc.Error // behind the return, for it is allocated here
	switch {
	case context.Cause(ctx) == errOutrun:
		s.latency.add(now-begin, now) // at least that
		s.health.failed(begin)
		return
	case !errors.As(err, &e) || e.Code == geerpc.CodeCanceled || e.Where == geerpc.InClient:
		return
	case e.Where == geerpc.OnLink && e.Code != geerpc.CodeDeadlineExceeded:
		s.health.failed(begin)
		return
	}
	s.latency.add(now-begin, now)
	if e.Where != geerpc.InMethod && (e.Code == geerpc.CodeUnavailable || e.Code == geerpc.CodeDeadlineExceeded) {
		s.health.failed(begin)
		return
	}
	s.health.succeeded()
}
