package xclient

import "geerpc"

// A noDiscovery stands for a nil one: New has no error to return, so calls do.
type noDiscovery struct{}

var errNoDiscovery = notSent(geerpc.CodeInvalidArgument, "rpc xclient: the Discovery is nil")

func (noDiscovery) Refresh() error                 { return errNoDiscovery }
func (noDiscovery) Update([]string) error          { return errNoDiscovery }
func (noDiscovery) Get(SelectMode) (string, error) { return "", errNoDiscovery }
func (noDiscovery) GetAll() ([]string, error)      { return nil, errNoDiscovery }

// isNil tells whether a Discovery can't be asked. A nil pointer of a user's
// type may have methods that work.
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
