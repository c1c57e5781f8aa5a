package xclient

import (
	"context"
	"errors"

	"geerpc"
)

// A listSource is a Discovery that returns its list with all that is known about
// the servers. One that has only the four methods of Discovery is none.
type listSource interface {
	// List returns the list of now, for a call.
	List(ctx context.Context) (*List, error)

	// current returns the list of now without asking anybody, nil if it can't
	// be had.
	current() *List
}

// listSourceOf returns d as a listSource, or nil if it has only the four methods. A
// user's type that has one of ours embedded may override its methods: it is a
// Discovery like any other.
func listSourceOf(d Discovery) listSource {
	switch d := d.(type) {
	case *MultiServersDiscovery:
		return d
	case *GeeRegistryDiscovery:
		return d
	case EndpointDiscovery:
		return foreignSource{d}
	}
	return nil
}

// A foreignSource is an EndpointDiscovery that is not ours.
type foreignSource struct{ d EndpointDiscovery }

func (l foreignSource) List(ctx context.Context) (*List, error) { return l.d.Endpoints(ctx) }

func (l foreignSource) current() *List {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it has an answer at hand, or none
	list, err := l.d.Endpoints(ctx)
	if err != nil {
		return nil
	}
	return list
}

// A noDiscovery stands for a nil one: New has no error to return, so calls do.
type noDiscovery struct{}

var errNoDiscovery = notSent(geerpc.CodeInvalidArgument, "rpc xclient: the Discovery is nil")

func (noDiscovery) Refresh() error { return errNoDiscovery }

func (noDiscovery) Update([]string) error { return errNoDiscovery }

func (noDiscovery) Get(SelectMode) (string, error) { return "", errNoDiscovery }

func (noDiscovery) GetAll() ([]string, error) { return nil, errNoDiscovery }

// isNil reports whether a Discovery can't be asked. A nil pointer of a user's type
// may have methods that work.
func isNil(d Discovery) bool {
	switch d := d.(type) {
	case nil:
		return true
	case *MultiServersDiscovery:
		return d == nil
	case *GeeRegistryDiscovery:
		return d == nil
	}
	return false
}

// discoveryError returns the error of a Discovery as that of a call that was not
// sent.
func discoveryError(err error) error {
	var e *geerpc.Error
	if errors.As(err, &e) {
		return err
	}
	return notSent(geerpc.CodeOf(err), "rpc xclient: the Discovery: %w", err)
}
