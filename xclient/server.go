package xclient

import (
	"sync/atomic"
	"time"
)

// A Server is one of the servers that an XClient calls, as Balancers see it.
type Server struct {
	endpoint atomic.Pointer[Endpoint]
	inFlight atomic.Int64
	latency  latency
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

// InFlight returns the number of calls that wait for the server.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }

// Latency returns the moving average of how long the server's calls take; zero
// before the first has ended. It halves with every ten seconds in which none
// ends, so that balancers which shun slow servers try them again.
func (s *Server) Latency() time.Duration { return s.latency.get(sinceStart()) }
