package xclient

import (
	"cmp"
	"slices"
	"time"
)

// mergeLocked brings the list up to date with what the registries say. A server
// is silent if all say so that list it: one that doesn't hear it may be cut off.
func (d *GeeRegistryDiscovery) mergeLocked(now time.Time) {
	sources := d.countingLocked(now)
	if len(sources) == 1 && len(sources[0].keptAt(now)) == 0 {
		d.set(sources[0].servers)
		return
	}
	u := newUnion(len(d.current().Endpoints))
	for _, s := range sources {
		for _, e := range s.servers {
			if !u.add(e) && !e.Silent {
				u.endpoints[u.at[e.Addr]].Silent = false
			}
		}
	}
	for _, s := range sources {
		for _, k := range s.keptAt(now) {
			u.add(k.Endpoint)
		}
	}
	d.set(sorted(u.endpoints))
}

// sorted returns endpoints, which it has sorted by address.
func sorted(endpoints []Endpoint) []Endpoint {
	byAddr := func(a, b Endpoint) int { return cmp.Compare(a.Addr, b.Addr) }
	if !slices.IsSortedFunc(endpoints, byAddr) {
		slices.SortFunc(endpoints, byAddr)
	}
	return endpoints
}

// countingLocked returns the registries that have a say: not those that have
// failed for the grace time, while another one lists servers.
func (d *GeeRegistryDiscovery) countingLocked(now time.Time) []*source {
	var counting []*source
	listed := false
	for _, s := range d.sources {
		listed = listed || s.failing.IsZero() && len(s.servers) > 0
		if s.failing.IsZero() || now.Sub(s.failing) < graceTime {
			counting = append(counting, s)
		}
	}
	if listed {
		return counting
	}
	return d.sources
}
