package xclient

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// A snapshot is the servers of a list at one time.
type snapshot struct {
	list          *List
	servers       []*Server // in the order of the list
	balancer      Balancer
	subset        subset
	healthChanges uint64          // of the set, when it was made
	made          time.Duration   // when, by attempt.Now
	services      map[string]bool // services that a server is known to offer

	mu    sync.Mutex // held to add a view
	views atomic.Pointer[map[string]*view]
}

// isOf reports whether the snapshot is of a list. A nil snapshot is of none.
func (snap *snapshot) isOf(list *List) bool { return snap != nil && snap.list == list }

// Making views of a list of more than fewServers takes its time. When many of
// its servers fail one after the other, views are renewed only after
// renewPerServer for each server. Until then calls check the server that they
// pick.
const (
	fewServers     = 100
	renewPerServer = 10 * time.Microsecond
)

// mayReplace reports whether it is time for another snapshot of the same list.
func (snap *snapshot) mayReplace() bool {
	n := len(snap.servers)
	return n <= fewServers || attempt.Now()-snap.made >= time.Duration(n)*renewPerServer
}

func newSnapshot(list *List, servers map[string]*Server, balancer Balancer) *snapshot {
	snap := &snapshot{list: list, balancer: balancer, made: attempt.Now(), services: make(map[string]bool)}
	for i := range list.Endpoints {
		e := &list.Endpoints[i]
		if s := servers[e.Addr]; s != nil && s.Endpoint() == e { // and not a second entry of the address
			snap.servers = append(snap.servers, s)
		}
		for _, service := range e.Services {
			snap.services[service] = true
		}
	}
	snap.views.Store(&map[string]*view{})
	return snap
}

// view returns the servers that offer a service.
func (snap *snapshot) view(service string) (*view, error) {
	key := service
	if !snap.services[service] {
		key = "" // servers that do not say what they offer
	}
	v := (*snap.views.Load())[key]
	if v == nil {
		v = snap.addView(key)
	}
	if len(v.servers) == 0 {
		return nil, snap.noServersError(service)
	}
	return v, nil
}

// noServersError says why there is no server for a service.
func (snap *snapshot) noServersError(service string) error {
	if len(snap.servers) == 0 {
		return errNoServers
	}
	offered := slices.Sorted(maps.Keys(snap.services))
	more := ""
	if n := len(offered) - fewServices; n > 0 {
		offered, more = offered[:fewServices], fmt.Sprintf(" and %d more", n)
	}
	return notSent(geerpc.CodeUnavailable, "rpc xclient: no server offers the service %.100q; servers: %d, services: %.100q%s: %w",
		service, len(snap.servers), offered, more, errNoServers)
}

const fewServices = 3 // that an error names

func (snap *snapshot) addView(service string) *view {
	snap.mu.Lock()
	defer snap.mu.Unlock()
	views := *snap.views.Load()
	if v := views[service]; v != nil {
		return v
	}
	v := snap.newView(service)
	more := make(map[string]*view, len(views)+1)
	for name, v := range views {
		more[name] = v
	}
	more[service] = v
	snap.views.Store(&more)
	return v
}

// newView chooses the servers to pick from: those that are fit for calls; if none
// is, those that can be reached; if none can, all. Among the fit, those come last
// that neither the registry nor this client has heard for a while.
func (snap *snapshot) newView(service string) *view {
	all := filter(snap.servers, func(s *Server) bool { return s.Endpoint().offers(service) })
	v := &view{all: all, hasOthers: len(all) > 1}
	reach := snap.subset.candidates(all)
	heard := filter(reach, func(s *Server) bool { return !s.Endpoint().Silent || s.isConnected() })
	for _, choice := range []struct {
		servers  []*Server
		excluded uint32
	}{{heard, down | ejected}, {reach, down | ejected}, {reach, down}, {reach, 0}} {
		v.excluded = choice.excluded
		v.servers = snap.subset.limit(filter(choice.servers, func(s *Server) bool { return !s.health.is(v.excluded) }))
		if len(v.servers) > 0 {
			v.picker = snap.balancer.Picker(v.servers)
			v.probation = filter(v.servers, func(s *Server) bool { return s.health.is(probation) })
			break
		}
	}
	return v
}

// filter returns the servers for which keep is true.
func filter(servers []*Server, keep func(*Server) bool) (some []*Server) {
	for _, s := range servers {
		if keep(s) {
			some = append(some, s)
		}
	}
	return some
}
