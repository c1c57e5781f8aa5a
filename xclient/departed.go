package xclient

import (
	"slices"
	"time"

	"geerpc/xclient/internal/attempt"
)

// maxDeparted limits the servers that are remembered after they have left the list.
const maxDeparted = 20

// A departed is a server that has left the list, as it was then.
type departed struct {
	ServerStatus
	at time.Time
}

// noteDepartedLocked remembers a server that leaves the list. The set's mu is held.
func (set *endpointSet) noteDepartedLocked(s *Server) {
	if len(set.departed) == maxDeparted {
		set.departed = slices.Delete(set.departed, 0, 1)
	}
	set.departed = append(set.departed, departed{s.statusLocked(attempt.Now()), time.Now()})
}

// forgetDepartedLocked forgets a server that is back. The set's mu is held.
func (set *endpointSet) forgetDepartedLocked(addr string) {
	set.departed = slices.DeleteFunc(set.departed, func(d departed) bool { return d.Endpoint.Addr == addr })
}

// lastDeparted returns the servers that have left and are not back, the last one first.
func (set *endpointSet) lastDeparted() []departed {
	set.mu.Lock()
	defer set.mu.Unlock()
	list := slices.Clone(set.departed)
	slices.Reverse(list)
	return list
}
