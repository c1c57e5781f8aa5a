package xclient

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"geerpc"
	"geerpc/internal/registryapi"
)

// A SelectMode is a way to pick a server.
type SelectMode int

// The ways to pick a server.
const (
	RandomSelect     SelectMode = iota // any of them, with equal chances
	RoundRobinSelect                   // one after the other
)

// A Discovery knows the servers. Its methods are called by any number of
// goroutines at once. Calls wait for Get and GetAll, which should have an
// answer at hand.
type Discovery interface {
	// Refresh brings the list of servers up to date. It is for the program to
	// call: an XClient never does, and takes what Get and GetAll say.
	Refresh() error

	// Update replaces the list by servers, which remains the caller's.
	Update(servers []string) error

	// Get picks a server. It fails if there is none. Each attempt of a call
	// asks anew, so it is up to Get whether a call that failed is made on
	// another server: one that keeps naming a dead one has all attempts, and
	// all calls, go there. An XClient that has ejected the server which Get
	// names asks again, up to three times.
	Get(mode SelectMode) (string, error)

	// GetAll returns a list that is the caller's to change. Connections to
	// servers that are not on it are given up, unless it is empty.
	GetAll() ([]string, error)
}

var _ Discovery = (*MultiServersDiscovery)(nil)

var (
	errNoServers = notSent(geerpc.CodeUnavailable, "rpc discovery: no available servers")
	noList       = new(List)
)

// A MultiServersDiscovery is a Discovery of servers that the program knows
// itself. It is safe for concurrent use; the zero value has no servers, and its
// rounds start with the first. It must not be copied.
//
// Each address is in the list once: repeating it changes nothing. A server that
// is to get more calls than others has a greater Weight.
type MultiServersDiscovery struct {
	list atomic.Pointer[List] // nil: none yet
	next atomic.Uint64        // server of the round, modulo their number
}

// NewMultiServerDiscovery returns a MultiServersDiscovery of servers, of which
// it keeps a copy. Its rounds start with any of them, so that not every client
// goes to the same one first. An address that could never be dialled is in the
// list like any other: calls go elsewhere or, if there is no other server, fail
// with CodeInvalidArgument.
func NewMultiServerDiscovery(servers []string) *MultiServersDiscovery {
	d := new(MultiServersDiscovery)
	d.next.Store(uint64(rand.Uint32()))
	d.set(addressed(servers))
	return d
}

// NewEndpoints returns a MultiServersDiscovery of servers of which more is
// known than the address. It keeps a copy, and fails as SetEndpoints does.
func NewEndpoints(endpoints []Endpoint) (*MultiServersDiscovery, error) {
	d := NewMultiServerDiscovery(nil)
	if err := d.SetEndpoints(endpoints); err != nil {
		return nil, err
	}
	return d, nil
}

// Refresh does nothing and returns nil: the list is always up to date.
func (d *MultiServersDiscovery) Refresh() error { return nil }

// Update replaces the list by servers of which no more is known than their
// addresses; what SetEndpoints said before is forgotten. It keeps a copy. If
// one has no address that could be dialled, the list stays what it is, and the
// error is a *geerpc.Error with CodeInvalidArgument.
func (d *MultiServersDiscovery) Update(servers []string) error {
	if err := checkAddresses(servers); err != nil {
		return err
	}
	d.set(addressed(servers))
	return nil
}

// SetEndpoints replaces the list by a copy of endpoints, down to their services
// and metadata. If one has no address that could be dialled, or that of another
// one, the list stays what it is, and the error is a *geerpc.Error with
// CodeInvalidArgument.
func (d *MultiServersDiscovery) SetEndpoints(endpoints []Endpoint) error {
	own, err := cloneEndpoints(endpoints)
	if err != nil {
		return err
	}
	d.set(own)
	return nil
}

// Get picks a server. If there is none, or no such mode, it fails with a
// *geerpc.Error, whose code is CodeUnavailable or CodeInvalidArgument.
func (d *MultiServersDiscovery) Get(mode SelectMode) (string, error) {
	servers := d.current().Endpoints
	n := uint64(len(servers))
	switch {
	case n == 0:
		return "", errNoServers
	case mode == RandomSelect:
		return servers[rand.N(n)].Addr, nil
	case mode == RoundRobinSelect:
		return servers[(d.next.Add(1)-1)%n].Addr, nil
	}
	return "", notSent(geerpc.CodeInvalidArgument, "rpc discovery: not supported select mode %d", mode)
}

// GetAll returns the addresses, of which there may be none. The error is nil.
func (d *MultiServersDiscovery) GetAll() ([]string, error) {
	servers := d.current().Endpoints
	addrs := make([]string, len(servers))
	for i := range servers {
		addrs[i] = servers[i].Addr
	}
	return addrs, nil
}

// List returns the list, which may be empty, and nil at once.
func (d *MultiServersDiscovery) List(context.Context) (*List, error) {
	return d.current(), nil
}

func (d *MultiServersDiscovery) current() *List {
	if l := d.list.Load(); l != nil {
		return l
	}
	return noList
}

// set replaces the list by endpoints, which are its own from now on. The list
// stays the same one if nothing has changed.
func (d *MultiServersDiscovery) set(endpoints []Endpoint) {
	if l := d.current().Endpoints; len(l) == len(endpoints) && len(l) > 0 && &l[0] == &endpoints[0] {
		return
	}
	if !slices.EqualFunc(d.current().Endpoints, endpoints, sameEndpoint) {
		d.list.Store(&List{Endpoints: endpoints})
	}
}

func sameEndpoint(a, b Endpoint) bool {
	return a.Addr == b.Addr && a.Weight == b.Weight && a.Legacy == b.Legacy && a.Silent == b.Silent && a.TTL == b.TTL &&
		slices.Equal(a.Services, b.Services) && maps.Equal(a.Metadata, b.Metadata)
}

// addressed returns servers of which only the addresses are known, each once.
func addressed(addrs []string) []Endpoint {
	u := newUnion(len(addrs))
	for _, addr := range addrs {
		u.add(Endpoint{Addr: addr})
	}
	return u.endpoints
}

// cloneEndpoints returns a deep copy, or tells what is wrong with an address.
func cloneEndpoints(endpoints []Endpoint) ([]Endpoint, error) {
	u := newUnion(len(endpoints))
	for _, e := range endpoints {
		if !registryapi.Dialable(e.Addr) {
			return nil, undialable(e.Addr)
		}
		e.Services, e.Metadata = slices.Clone(e.Services), maps.Clone(e.Metadata)
		if !u.add(e) {
			return nil, notSent(geerpc.CodeInvalidArgument, "rpc discovery: two endpoints have the address %q", e.Addr)
		}
	}
	return u.endpoints, nil
}

// A union is a list in which each address is once.
type union struct {
	endpoints []Endpoint
	at        map[string]int // where an address is
}

func newUnion(size int) *union { return &union{at: make(map[string]int, size)} }

// add adds an endpoint, unless its address is there already.
func (u *union) add(e Endpoint) bool {
	if _, there := u.at[e.Addr]; there {
		return false
	}
	u.at[e.Addr] = len(u.endpoints)
	u.endpoints = append(u.endpoints, e)
	return true
}

// checkAddresses returns what is wrong with the first that can't be dialled.
func checkAddresses(addrs []string) error {
	for _, addr := range addrs {
		if !registryapi.Dialable(addr) {
			return undialable(addr)
		}
	}
	return nil
}

func undialable(addr string) error {
	return notSent(geerpc.CodeInvalidArgument, "rpc discovery: the address %.300q: "+registryapi.WantAddress, addr)
}
