package xclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// sweepInterval is how often the servers are compared with the list when no
// call does so.
const sweepInterval = time.Second

// A fleet is the servers of an XClient. What calls need to know of them is in
// a snapshot, which is replaced when the list has changed or a server is fit
// for calls that was not, or the other way round.
type fleet struct {
	connector
	lister   lister                   // nil: the Discovery has only
	addrs    func() ([]string, error) // this to tell
	balancer Balancer
	perHost  int // connections to a server
	ejection Ejection
	subset   subset
	idle     time.Duration // after which connections are closed; 0: never
	reviver  reviver

	current atomic.Pointer[snapshot]
	changes atomic.Uint64 // of the servers' health; current is up to date if it is of this count

	mu      sync.Mutex // guards what follows
	servers map[string]*Server
	listed  map[string]bool // at the last sweep; not with a lister
	out     int             // servers that are ejected
	poll    poll            // the latest
	sweeper *time.Timer     // runs while there are servers

	failed bool // the latest sweep, which is the only one at a time
}

// view returns the servers for calls of a service.
func (f *fleet) view(ctx context.Context, service string) (*view, error) {
	for {
		snap := f.current.Load() // before the list, which is no older than its own then
		list, err := f.lister.List(ctx)
		if err != nil {
			return nil, discoveryError(err)
		}
		if list == nil {
			return nil, errNoServers
		}
		if snap.of(list) && (snap.changes == f.changes.Load() || !snap.ripe()) {
			return snap.view(service)
		}
		if f.closed() {
			return nil, geerpc.ErrShutdown
		}
		if snap = f.update(snap, list); snap != nil {
			return snap.view(service)
		}
	}
}

// discoveryError returns the error of a Discovery as one of a call that was not
// sent.
func discoveryError(err error) error {
	var e *geerpc.Error
	if errors.As(err, &e) {
		return err
	}
	return notSent(geerpc.CodeOf(err), "rpc xclient: the Discovery: %w", err)
}

// update brings the servers up to date with the list, of a time when old was
// the snapshot. If that has been replaced meanwhile it does nothing and returns
// nil: many calls notice a change at once, and the list of the slowest may be
// an old one by now.
func (f *fleet) update(old *snapshot, list *List) *snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current.Load() != old {
		return nil
	}
	changes := f.changes.Load() // before looking at the servers
	if !old.of(list) {
		f.takeLocked(list)
	}
	snap := newSnapshot(list, f.servers, f.balancer)
	snap.changes, snap.subset = changes, f.subset
	f.current.Store(snap)
	return snap
}

// takeLocked makes the servers those of a list.
func (f *fleet) takeLocked(list *List) {
	listed := make(map[string]bool, len(list.Endpoints))
	for i := range list.Endpoints {
		e := &list.Endpoints[i]
		listed[e.Addr] = true
		if s := f.servers[e.Addr]; s != nil {
			s.endpoint.Store(e)
		} else {
			f.joinLocked(e)
		}
	}
	f.keepLocked(listed)
	f.news.tell()
	f.reviveSoon()
}

// keepLocked lets go of all servers but some.
func (f *fleet) keepLocked(listed map[string]bool) {
	for addr, s := range f.servers {
		if !listed[addr] {
			delete(f.servers, addr)
			s.health.state.Or(gone)
			if s.health.state.And(^uint32(ejected))&ejected != 0 {
				f.out--
			}
			s.retireLocked(errLeft)
		}
	}
}

// joinLocked adds a server. It is connected to when it is first called.
func (f *fleet) joinLocked(e *Endpoint) *Server {
	s := &Server{rank: f.subset.rank(e.Addr)}
	s.endpoint.Store(e)
	s.health.fleet = f
	for range f.perHost {
		s.conns = append(s.conns, &connection{connector: &f.connector, server: s})
	}
	if f.servers == nil {
		f.servers = make(map[string]*Server)
	}
	f.servers[e.Addr] = s
	if f.sweeper == nil && f.ctx.Err() == nil {
		f.sweeper = time.AfterFunc(sweepInterval, func() { f.spawn(f.sweep) }) // ends with the servers or the XClient; Close waits
	}
	return s
}

// retireLocked ends what the server has going, for a cause.
func (s *Server) retireLocked(cause error) {
	if s.health.back != nil {
		s.health.back.Stop()
	}
	for _, c := range s.conns {
		c.retire(cause)
	}
}

// anyConnected tells whether there is a server with a connection.
func (f *fleet) anyConnected() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		if s.isConnected() {
			return true
		}
	}
	return false
}

// server returns the server at an address, be it listed or not.
func (f *fleet) server(addr string) (*Server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed() {
		return nil, geerpc.ErrShutdown
	}
	if s := f.servers[addr]; s != nil {
		return s, nil
	}
	return f.joinLocked(&Endpoint{Addr: addr}), nil
}

// sweep lets go of servers that are no longer listed, and comes again while
// there are others. It keeps a Discovery that needs to be asked up to date by
// the way.
func (f *fleet) sweep() {
	defer f.sweepLater()
	f.closeIdle()
	f.tryCompare()
	f.tryUnheard()
	f.judge()
}

// sweepLater has the next sweep begin, unless there is nothing to sweep.
func (f *fleet) sweepLater() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.servers) == 0 || f.closed() {
		f.sweeper = nil // until there is a server again
		return
	}
	f.sweeper.Reset(sweepInterval)
}

// tryCompare compares, and logs that the Discovery has panicked, or ended the
// goroutine, if it did not the last time. Both end the comparison and no more.
func (f *fleet) tryCompare() {
	failed := true
	defer func() {
		p := recover()
		if failed && !f.failed {
			f.reports.Log(f.opt.Logger, slog.LevelError, "rpc xclient: the Discovery panicked or ended its goroutine, and is going to be asked again",
				"panic", p, "stack", string(debug.Stack()))
		}
		f.failed = failed
	}()
	f.compare()
	failed = false
}

// compare brings the servers up to date with the list.
func (f *fleet) compare() {
	if f.lister != nil {
		snap := f.current.Load()
		if list := f.lister.current(); list != nil && !snap.of(list) {
			f.update(snap, list)
		}
		return
	}
	addrs, err := f.addrs()
	if err != nil || len(addrs) == 0 { // perhaps it was only ever made to Get
		return
	}
	listed := make(map[string]bool, len(addrs))
	for _, addr := range addrs {
		listed[addr] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepLocked(listed)
	if !maps.Equal(f.listed, listed) {
		f.listed = listed
		f.news.tell()
		f.reviveSoon()
	}
}

func (f *fleet) closed() bool { return f.ctx.Err() != nil }

// close ends all connections, and returns when nothing of the fleet is left
// running.
func (f *fleet) close() {
	f.cancel(geerpc.ErrShutdown)
	f.mu.Lock()
	if f.sweeper != nil {
		f.sweeper.Stop()
	}
	for _, s := range f.servers {
		s.retireLocked(geerpc.ErrShutdown)
	}
	f.servers = nil
	f.mu.Unlock()
	f.stopReviving()
	f.connector.close()
}

// A snapshot is the servers of a list at one time.
type snapshot struct {
	list     *List
	servers  []*Server // in the order of the list
	balancer Balancer
	subset   subset
	changes  uint64          // of the fleet, when it was made
	made     time.Duration   // when, by attempt.Now
	known    map[string]bool // services that a server is known to offer

	mu    sync.Mutex // held to add a view
	views atomic.Pointer[map[string]*view]
}

// of tells whether the snapshot is of a list. A nil one is of none.
func (snap *snapshot) of(list *List) bool { return snap != nil && snap.list == list }

// Making views of a list of more than fewServers takes its time. When many of
// its servers fail one after the other, views are made anew only so often: for
// each server once in renewInterval. Until then calls look where they go.
const (
	fewServers    = 100
	renewInterval = 10 * time.Microsecond
)

// ripe tells whether it is time for another snapshot of the same list.
func (snap *snapshot) ripe() bool {
	n := len(snap.servers)
	return n <= fewServers || attempt.Now()-snap.made >= time.Duration(n)*renewInterval
}

func newSnapshot(list *List, servers map[string]*Server, balancer Balancer) *snapshot {
	snap := &snapshot{list: list, balancer: balancer, made: attempt.Now(), known: make(map[string]bool)}
	for i := range list.Endpoints {
		e := &list.Endpoints[i]
		if s := servers[e.Addr]; s != nil && s.Endpoint() == e { // and not a second entry of the address
			snap.servers = append(snap.servers, s)
		}
		for _, service := range e.Services {
			snap.known[service] = true
		}
	}
	snap.views.Store(&map[string]*view{})
	return snap
}

// A view is the servers of a snapshot for calls of one service.
type view struct {
	all       []*Server // that offer the service
	servers   []*Server // to pick from: those of them that are fit, if any is
	probation []*Server // those of them that were on probation when the view was made
	others    bool      // there is more than one, if not to pick from
	shunned   uint32    // states of those that are not to pick from; 0: all are
	picker    Picker
}

// pick returns one of the servers, nil if the user's Balancer has no good one.
func (v *view) pick(ctx context.Context) *Server {
	if v.picker == nil {
		return nil
	}
	if s := v.picker.Pick(ctx); s != nil && len(s.conns) > 0 {
		return s
	}
	return nil
}

// suits tells whether a server that has been picked may be called.
func (v *view) suits(ctx context.Context, s *Server, a *attempts) bool {
	return !s.health.is(v.shunned) && (a == nil || !a.has(s)) && s.admits(ctx)
}

// due returns a server on probation that a call of the context's may go to now.
// The Balancer would hardly pick it: it has been slow.
func (v *view) due(ctx context.Context, a *attempts) *Server {
	for _, s := range v.probation {
		if s.health.is(probation) && v.suits(ctx, s, a) {
			return s
		}
	}
	return nil
}

// fallback returns any server that suits, or else one that has been tried, and
// is well; or else the one that was picked.
func (v *view) fallback(ctx context.Context, picked *Server, a *attempts) *Server {
	first := rand.N(len(v.servers))
	for i := range v.servers {
		if s := v.servers[(first+i)%len(v.servers)]; v.suits(ctx, s, a) {
			return s
		}
	}
	for i := range v.servers {
		if s := v.servers[(first+i)%len(v.servers)]; !s.health.is(v.shunned | probation) {
			return s
		}
	}
	return picked
}

// connected returns a server that may be called and has a client, if there is
// one: the Balancer's choice or, as it knows nothing of clients, any. While
// there is none the Balancer is not asked: it would take calls that are to be
// picked for as calls that have been.
func (v *view) connected(ctx context.Context, a *attempts) (*Server, *geerpc.Client) {
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
				if client := s.client(); client != nil && v.suits(ctx, s, a) {
					return s, client
				}
			}
		}
		if v.suits(ctx, s, a) {
			return s, client
		}
	}
	return nil, nil
}

// view returns the servers that offer a service.
func (snap *snapshot) view(service string) (*view, error) {
	key := service
	if !snap.known[service] {
		key = "" // whoever does not say what it offers
	}
	v := (*snap.views.Load())[key]
	if v == nil {
		v = snap.addView(key)
	}
	if len(v.servers) == 0 {
		return nil, snap.nobody(service)
	}
	return v, nil
}

// nobody returns why there is no server for a service.
func (snap *snapshot) nobody(service string) error {
	if len(snap.servers) == 0 {
		return errNoServers
	}
	offered := slices.Sorted(maps.Keys(snap.known))
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

// newView picks from the servers that are fit for calls; if none is, from those
// that can be reached; if none can, from all. Those that the registry has not
// heard for a while, and this client neither, come after others that are fit.
func (snap *snapshot) newView(service string) *view {
	all := filter(snap.servers, func(s *Server) bool { return s.Endpoint().offers(service) })
	v := &view{all: all, others: len(all) > 1}
	reach := snap.subset.reach(all)
	heard := filter(reach, func(s *Server) bool { return !s.Endpoint().Silent || s.isConnected() })
	for _, choice := range []struct {
		servers []*Server
		shunned uint32
	}{{heard, down | ejected}, {reach, down | ejected}, {reach, down}, {reach, 0}} {
		v.shunned = choice.shunned
		v.servers = snap.subset.take(filter(choice.servers, func(s *Server) bool { return !s.health.is(v.shunned) }))
		if len(v.servers) > 0 {
			v.picker = snap.balancer.Picker(v.servers)
			v.probation = filter(v.servers, func(s *Server) bool { return s.health.is(probation) })
			break
		}
	}
	return v
}

// filter returns the servers that are as wanted.
func filter(servers []*Server, wanted func(*Server) bool) (some []*Server) {
	for _, s := range servers {
		if wanted(s) {
			some = append(some, s)
		}
	}
	return some
}
