package xclient

import "context"

// A lister tells a fleet which servers there are.
type lister interface {
	// List returns the list of now, for a call.
	List(ctx context.Context) (*List, error)

	// current returns the list of now without asking anybody, nil if it can't
	// be had.
	current() *List
}

// listerOf returns what d can tell beyond the four methods, or nil. A user's
// type that has one of ours embedded may have methods of its own in front of
// those: it is a Discovery like any other.
func listerOf(d Discovery) lister {
	switch d := d.(type) {
	case *MultiServersDiscovery:
		return d
	case *GeeRegistryDiscovery:
		return d
	case EndpointDiscovery:
		return foreignLister{d}
	}
	return nil
}

// A foreignLister is an EndpointDiscovery that is not ours.
type foreignLister struct{ d EndpointDiscovery }

func (l foreignLister) List(ctx context.Context) (*List, error) { return l.d.Endpoints(ctx) }

func (l foreignLister) current() *List {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it has an answer at hand, or none
	list, err := l.d.Endpoints(ctx)
	if err != nil {
		return nil
	}
	return list
}
