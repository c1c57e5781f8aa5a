package xclient

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
)

// An endpointSet is the servers of an XClient, as its Discovery lists them. Calls
// read a snapshot, which is replaced when the list has changed or a server has
// become fit for calls or unfit.
type endpointSet struct {
	common
	source         listSource               // nil: the Discovery has only the four methods
	getAll         func() ([]string, error) // of the Discovery
	balancer       Balancer
	connsPerServer int
	ejection       Ejection
	subset         subset
	idleTimeout    time.Duration // after which connections are closed; 0: never
	redialer       redialer

	current       atomic.Pointer[snapshot]
	healthChanges atomic.Uint64 // of the servers' health; a snapshot with another count is outdated

	mu           sync.Mutex // guards what follows
	servers      map[string]*Server
	listed       map[string]bool // at the last sweep; nil with a source
	departed     []departed      // the last one last
	ejectedCount int
	sample       sample      // of all servers, the latest
	sweeper      *time.Timer // runs while there are servers

	syncFailed bool // in the latest sweep; only sweeps use it, one at a time
}

// view returns the servers for calls of a service.
func (set *endpointSet) view(ctx context.Context, service string) (*view, error) {
	for {
		snap := set.current.Load() // before the list, which is no older than its own then
		list, err := set.source.List(ctx)
		if err != nil {
			return nil, discoveryError(err)
		}
		if list == nil {
			return nil, errNoServers
		}
		if snap.isOf(list) && (snap.healthChanges == set.healthChanges.Load() || !snap.mayReplace()) {
			return snap.view(service)
		}
		if set.closed() {
			return nil, geerpc.ErrShutdown
		}
		if snap = set.update(snap, list); snap != nil {
			return snap.view(service)
		}
	}
}

// update brings the servers up to date with a list, read when old was the
// snapshot. If that has been replaced meanwhile it does nothing and returns nil:
// many calls notice a change at once, and the list of the slowest may be outdated
// by now.
func (set *endpointSet) update(old *snapshot, list *List) *snapshot {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.current.Load() != old {
		return nil
	}
	changes := set.healthChanges.Load() // before looking at the servers
	if !old.isOf(list) {
		set.applyListLocked(list)
	}
	snap := newSnapshot(list, set.servers, set.balancer)
	snap.healthChanges, snap.subset = changes, set.subset
	set.current.Store(snap)
	return snap
}

// applyListLocked makes the servers those of a list.
func (set *endpointSet) applyListLocked(list *List) {
	listed := make(map[string]bool, len(list.Endpoints))
	for i := range list.Endpoints {
		e := &list.Endpoints[i]
		listed[e.Addr] = true
		if s := set.servers[e.Addr]; s != nil {
			s.endpoint.Store(e)
		} else {
			set.addLocked(e)
		}
	}
	set.removeUnlistedLocked(listed)
	set.changed.notify()
	set.redialSoon()
}

// removeUnlistedLocked removes all servers that are not listed.
func (set *endpointSet) removeUnlistedLocked(listed map[string]bool) {
	for addr, s := range set.servers {
		if !listed[addr] {
			set.noteDepartedLocked(s)
			delete(set.servers, addr)
			s.health.state.Or(gone)
			if s.health.state.And(^uint32(ejected))&ejected != 0 {
				set.ejectedCount--
			}
			s.retireLocked(errUnlisted)
		}
	}
}

// addLocked adds a server. It is connected to when it is first called.
func (set *endpointSet) addLocked(e *Endpoint) *Server {
	s := &Server{rank: set.subset.rank(e.Addr)}
	s.endpoint.Store(e)
	s.health.set = set
	for range set.connsPerServer {
		s.conns = append(s.conns, &connection{common: &set.common, server: s})
	}
	if set.servers == nil {
		set.servers = make(map[string]*Server)
	}
	set.servers[e.Addr] = s
	set.forgetDepartedLocked(e.Addr)
	if set.sweeper == nil && set.ctx.Err() == nil {
		set.sweeper = time.AfterFunc(sweepInterval, func() { set.spawn(set.sweep) }) // ends with the servers or the XClient; Close waits
	}
	return s
}

// retireLocked ends the server's timers and connections, for a cause.
func (s *Server) retireLocked(cause error) {
	if s.health.readmitTimer != nil {
		s.health.readmitTimer.Stop()
	}
	for _, c := range s.conns {
		c.retire(cause)
	}
}

// anyConnected reports whether a server is connected.
func (set *endpointSet) anyConnected() bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	for _, s := range set.servers {
		if s.isConnected() {
			return true
		}
	}
	return false
}

// server returns the server at an address, and adds it if it is not there.
func (set *endpointSet) server(addr string) (*Server, error) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.closed() {
		return nil, geerpc.ErrShutdown
	}
	if s := set.servers[addr]; s != nil {
		return s, nil
	}
	return set.addLocked(&Endpoint{Addr: addr}), nil
}

func (set *endpointSet) closed() bool { return set.ctx.Err() != nil }

// close ends all connections, and returns when nothing of the set is left
// running.
func (set *endpointSet) close() {
	set.cancel(geerpc.ErrShutdown)
	set.mu.Lock()
	if set.sweeper != nil {
		set.sweeper.Stop()
	}
	for _, s := range set.servers {
		s.retireLocked(geerpc.ErrShutdown)
	}
	set.servers = nil
	set.mu.Unlock()
	set.stopRedialing()
	set.common.close()
}
