package xclient

import "context"

// A Balancer decides to which server a call goes. Its methods may be called by
// several goroutines at once.
type Balancer interface {
	// Picker returns a Picker for servers, at least one. It is called again
	// whenever the servers that are fit for calls have changed: at a new list,
	// when a server fails or comes back, though with more than a hundred
	// servers not at once. servers keeps its order between calls, and neither
	// it nor what is returned is ever changed.
	Picker(servers []*Server) Picker
}

// balancer returns what picks servers as a mode says, nil if there is no such
// mode.
func (m SelectMode) balancer() Balancer {
	switch m {
	case RandomSelect:
		return Random()
	case RoundRobinSelect:
		return RoundRobin()
	}
	return nil
}

// A Picker picks one of the servers that it was made for. It is on the way of
// every call, and called by many goroutines at once.
type Picker interface {
	// Pick returns the server for a call, whose context it is: one of those
	// that the Picker was made for. If that one does not suit, as it has been
	// tried or is to get few calls for now, Pick is asked once more, and then
	// any other server is taken. A call for which Pick returns nil, or a
	// server of its own, fails with CodeInternal; a panic is the caller's.
	Pick(ctx context.Context) *Server
}
