package registry

import (
	"slices"
	"time"
)

// The departures that the page shows: so many, and none older.
const (
	maxDepartures   = 20
	maxDepartureAge = time.Hour
)

// Why a server left the list, or a process its address.
const (
	saidGoodbye = "said goodbye"
	wasSilent   = "sent no heartbeat in time"
	wasReplaced = "a process left; another one has its address"
)

// A departure is a server that has left the list, or one of several processes that had
// its address.
type departure struct {
	Addr  string
	At    time.Time // the last time
	Why   string    // likewise
	Times int       // within maxDepartureAge of each other
}

// departures are the latest, each address once, the last one last. GeeRegistry.mu guards
// them.
type departures []departure

func (d *departures) add(addr, why string, now time.Time) {
	next := departure{addr, now, why, 1}
	i := slices.IndexFunc(*d, func(old departure) bool { return old.Addr == addr })
	switch {
	case i >= 0 && now.Sub((*d)[i].At) <= maxDepartureAge:
		next.Times += (*d)[i].Times
	case i < 0 && len(*d) == maxDepartures:
		i = 0
	}
	if i >= 0 {
		*d = slices.Delete(*d, i, i+1)
	}
	*d = append(*d, next)
}

// lately returns a copy of those that are not too old, the last one first.
func (d departures) lately(now time.Time) (list []departure) {
	for i := len(d) - 1; i >= 0 && now.Sub(d[i].At) <= maxDepartureAge; i-- {
		list = append(list, d[i])
	}
	return list
}

// noteReplacedLocked notes that processes of an address are gone, if any are: item has
// just taken the place of before.
func (r *GeeRegistry) noteReplacedLocked(before, item *ServerItem, now time.Time) {
	if before == nil {
		return
	}
	remaining := len(item.instances)
	if !before.hasInstance(item.instance) {
		remaining-- // a new one
	}
	if remaining < len(before.instances) {
		r.departures.add(item.Addr, wasReplaced, now)
	}
}
