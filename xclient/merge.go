package xclient

import (
	"cmp"
	"slices"
	"time"
)

// mergeLocked makes the list of what the registries say. A server is silent only if
// all that list it say so: a registry that doesn't hear it may be cut off.
func (d *GeeRegistryDiscovery) mergeLocked(now time.Time) {
	sources := d.activeLocked(now)
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

// sorted sorts endpoints by address, and returns them.
func sorted(endpoints []Endpoint) []Endpoint {
	byAddr := func(a, b Endpoint) int { return cmp.Compare(a.Addr, b.Addr) }
	if !slices.IsSortedFunc(endpoints, byAddr) {
		slices.SortFunc(endpoints, byAddr)
	}
	return endpoints
}

// activeLocked returns the registries that count. If one that answers lists servers,
// those that have failed for the grace time don't.
func (d *GeeRegistryDiscovery) activeLocked(now time.Time) []*source {
	var active []*source
	listed := false
	for _, s := range d.sources {
		listed = listed || s.failing.IsZero() && len(s.servers) > 0
		if s.failing.IsZero() || now.Sub(s.failing) < graceTime {
			active = append(active, s)
		}
	}
	if listed {
		return active
	}
	return d.sources
}
