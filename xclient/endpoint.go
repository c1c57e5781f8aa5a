package xclient

import (
	"context"
	"slices"
	"strings"
	"time"
)

// An Endpoint is a server and what is known about it.
type Endpoint struct {
	// Addr is what geerpc.XDial takes: tcp@10.0.0.1:9999.
	Addr string `json:"addr"`

	// Weight is the server's share of the calls in proportion to that of the
	// others, for balancers that look at it. Less than 1 counts as 1.
	Weight int `json:"weight,omitempty"`

	// Services are the names of the services that the server offers. None:
	// nobody knows, and it is taken to offer what is asked for.
	Services []string `json:"services,omitempty"`

	// Metadata is anything else that balancers or programs want to know: a zone,
	// a version.
	Metadata map[string]string `json:"metadata,omitempty"`

	// Legacy marks a server of GeeRPC's original version, to which
	// connections are made with geerpc.Option.Legacy.
	Legacy bool `json:"legacy,omitempty"`

	// Silent marks a server that its registry has not heard in time: it is
	// probably dead, or cut off from the registry.
	Silent bool `json:"silent,omitempty"`

	// TTL is how long its registry keeps the server without hearing of it.
	// Zero: for ever, or nobody has said.
	TTL time.Duration `json:"ttl,omitempty"`
}

// offers tells whether the server may offer a service.
func (e *Endpoint) offers(service string) bool {
	return len(e.Services) == 0 || slices.Contains(e.Services, service)
}

// offer returns what is the same for endpoints with the same services.
func (e *Endpoint) offer() string { return strings.Join(e.Services, "\n") }

// A List is what a Discovery knows at one time. It and all that it holds are
// not to be changed.
type List struct {
	Endpoints []Endpoint
}

// An EndpointDiscovery is a Discovery that tells more of its servers than
// their addresses. An XClient then picks by its own Balancer and not by Get.
//
// A type of your own that has a *MultiServersDiscovery or a
// *GeeRegistryDiscovery embedded is none, for those have List, which is not
// promoted to Endpoints: such a type may be there to replace Get, and goes on
// being asked by Get, without Balancer, weights and services. Where these are
// wanted it has Endpoints call List, as the example does.
type EndpointDiscovery interface {
	Discovery

	// Endpoints returns the list of now: the same pointer for as long as
	// nothing has changed, and quickly, for it is asked at every call. Only
	// for the first list may it wait, until ctx ends. Of an address that is in
	// the list twice the last entry counts; nil is an empty list.
	Endpoints(ctx context.Context) (*List, error)
}
