package xclient

import (
	"context"
	"math/rand/v2"

	"geerpc"
)

// A view is the servers of a snapshot for calls of one service.
type view struct {
	all       []*Server // that offer the service
	servers   []*Server // to pick from: those that are fit, if any is
	probation []*Server // those that were on probation when the view was made
	hasOthers bool      // more than one server offers the service, if not to pick from
	excluded  uint32    // states of the servers that are left out; 0: none are
	picker    Picker
}

// pick returns the Balancer's choice, nil if that is none of the servers.
func (v *view) pick(ctx context.Context) *Server {
	if v.picker == nil {
		return nil
	}
	if s := v.picker.Pick(ctx); s != nil && len(s.conns) > 0 {
		return s
	}
	return nil
}

// accepts reports whether a server that has been picked may be called.
func (v *view) accepts(ctx context.Context, s *Server, a *callContext) bool {
	return !s.health.is(v.excluded) && (a == nil || !a.hasTried(s)) && s.admits(ctx)
}

// probeDue returns a server on probation that the call may go to now. A Balancer
// would seldom pick it: it has been slow.
func (v *view) probeDue(ctx context.Context, a *callContext) *Server {
	for _, s := range v.probation {
		if s.health.is(probation) && v.accepts(ctx, s, a) {
			return s
		}
	}
	return nil
}

// fallback returns any server that is accepted; else one that has been tried but
// is well; else the one that was picked.
func (v *view) fallback(ctx context.Context, picked *Server, a *callContext) *Server {
	first := rand.N(len(v.servers))
	for i := range v.servers {
		if s := v.servers[(first+i)%len(v.servers)]; v.accepts(ctx, s, a) {
			return s
		}
	}
	for i := range v.servers {
		if s := v.servers[(first+i)%len(v.servers)]; !s.health.is(v.excluded | probation) {
			return s
		}
	}
	return picked
}

// connected returns an accepted server with a client, if there is one: the
// Balancer's choice or, as it knows nothing of clients, any. If there is none the
// Balancer is not asked, since it would count picks that become no calls.
func (v *view) connected(ctx context.Context, a *callContext) (*Server, *geerpc.Client) {
	first, asked := rand.N(len(v.servers)), false
	for i := range v.servers {
		s := v.servers[(first+i)%len(v.servers)]
		client := s.client()
		if client == nil {
			continue
		}
		if !asked {
			asked = true
			if s := v.pick(ctx); s != nil {
				if client := s.client(); client != nil && v.accepts(ctx, s, a) {
					return s, client
				}
			}
		}
		if v.accepts(ctx, s, a) {
			return s, client
		}
	}
	return nil, nil
}
