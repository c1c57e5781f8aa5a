package xclient

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"geerpc"
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
	// Refresh brings the list of servers up to date.
	Refresh() error

	// Update replaces the list by servers, which remains the caller's.
	Update(servers []string) error

	// Get picks a server. It fails if there is none.
	Get(mode SelectMode) (string, error)

	// GetAll returns a list that is the caller's to change.
	GetAll() ([]string, error)
}

var _ Discovery = (*MultiServersDiscovery)(nil)

var errNoServers = notSent(geerpc.CodeUnavailable, "rpc discovery: no available servers")

// A MultiServersDiscovery is a Discovery of servers that the program knows
// itself. It is safe for concurrent use; the zero value has no servers.
type MultiServersDiscovery struct {
	mu      sync.RWMutex // guards what follows
	servers []string
	next    uint // server of the round, modulo their number
	list    *List
}

func (d *MultiServersDiscovery) endpoints(context.Context) (*List, error) { return d.peek(), nil }

func (d *MultiServersDiscovery) peek() *List {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = new(List)
		for _, addr := range d.servers {
			d.list.Endpoints = append(d.list.Endpoints, Endpoint{Addr: addr})
		}
	}
	return d.list
}

// NewMultiServerDiscovery returns a MultiServersDiscovery of servers, of which
// it keeps a copy. Its rounds start with any of them, so that not every client
// goes to the same one first.
func NewMultiServerDiscovery(servers []string) *MultiServersDiscovery {
	return &MultiServersDiscovery{servers: slices.Clone(servers), next: uint(rand.Uint32())}
}

// Refresh does nothing and returns nil: the list is always up to date.
func (d *MultiServersDiscovery) Refresh() error { return nil }

// Update replaces the list by a copy of servers. It returns nil.
func (d *MultiServersDiscovery) Update(servers []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers, d.list = slices.Clone(servers), nil
	return nil
}

// Get picks a server. If there is none, or no such mode, it fails with a
// *geerpc.Error, whose code is CodeUnavailable or CodeInvalidArgument.
func (d *MultiServersDiscovery) Get(mode SelectMode) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := uint(len(d.servers))
	switch {
	case n == 0:
		return "", errNoServers
	case mode == RandomSelect:
		return d.servers[rand.N(n)], nil
	case mode == RoundRobinSelect:
		addr := d.servers[d.next%n]
		d.next++
		return addr, nil
	}
	return "", notSent(geerpc.CodeInvalidArgument, "rpc discovery: not supported select mode %d", mode)
}

// GetAll returns a copy of the list, which may be empty. The error is nil.
func (d *MultiServersDiscovery) GetAll() ([]string, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.servers), nil
}

// empty tells whether there are no servers.
func (d *MultiServersDiscovery) empty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.servers) == 0
}
