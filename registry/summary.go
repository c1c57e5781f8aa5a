package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A summary is what the page says of the list at one time. It is not changed, and may be
// shown by several pages.
type summary struct {
	Now           time.Time
	Timeout       time.Duration // of servers that announce no interval; 0: no server ever expires
	Grace         time.Duration // 0: there is none
	Watchers      int
	MaxWatchers   int
	Total         int
	Silent        int
	InGrace       int // of the silent
	Legacy        int
	NoInterval    int // servers that announce none
	Services      []offer
	ServicesTotal int // distinct names
	Left          []departure

	servers []*ServerItem // by address
}

// An offer is a service, and how many servers say that they offer it.
type offer struct {
	Name    string
	Servers int
}

// A sharedSummary is the summary that streams of events share: many browsers that look at
// a long list should cost little more than one.
type sharedSummary struct {
	mu     sync.Mutex // guards latest; held while one is made
	latest *summary
}

// sharedSummary returns a summary that is at most a second old.
func (r *GeeRegistry) sharedSummary() *summary {
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if s := r.events.latest; s == nil || time.Since(s.Now) >= time.Second {
		r.events.latest = r.newSummary()
	}
	return r.events.latest
}

// newSummary returns the summary of now.
func (r *GeeRegistry) newSummary() *summary {
	now := time.Now()
	s := &summary{Now: now, Timeout: max(r.timeout, 0), Grace: max(r.grace(), 0), MaxWatchers: orDefault(r.MaxWatches)}
	r.mu.Lock()
	s.servers = slices.Collect(maps.Values(r.servers))
	s.Watchers = r.watch.watchers
	s.Left = r.departures.lately(now)
	r.mu.Unlock()
	s.Total = len(s.servers)
	slices.SortFunc(s.servers, func(a, b *ServerItem) int { return strings.Compare(a.Addr, b.Addr) })
	offers := make(map[string]int)
	for _, item := range s.servers {
		s.Silent += count(item.Silent)
		s.InGrace += count(item.inGrace)
		s.Legacy += count(item.Legacy)
		s.NoInterval += count(item.interval == 0)
		for _, name := range item.Services {
			offers[name]++
		}
	}
	s.ServicesTotal = len(offers)
	s.Services = listOffers(offers)
	return s
}

// listOffers returns the services that most servers offer, by name.
func listOffers(offers map[string]int) []offer {
	list := make([]offer, 0, len(offers))
	for name, servers := range offers {
		list = append(list, offer{name, servers})
	}
	byName := func(a, b offer) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(list, func(a, b offer) int { return cmp.Or(cmp.Compare(b.Servers, a.Servers), byName(a, b)) })
	list = list[:min(len(list), maxPageServices)]
	slices.SortFunc(list, byName)
	return list
}

// UnlistedServices returns how many services are not listed.
func (s *summary) UnlistedServices() int { return s.ServicesTotal - len(s.Services) }

// IsBack reports whether a server that has left is on the list again.
func (s *summary) IsBack(addr string) bool {
	_, found := slices.BinarySearchFunc(s.servers, addr, func(item *ServerItem, addr string) int { return strings.Compare(item.Addr, addr) })
	return found
}

// offering returns the servers that get calls for a service: those that offer it, and
// those that don't say what they offer.
func (s *summary) offering(service string) (rows []row) {
	for _, item := range s.servers {
		if service == "" || len(item.Services) == 0 || slices.Contains(item.Services, service) {
			rows = append(rows, row{item, s.Now})
		}
	}
	return rows
}
