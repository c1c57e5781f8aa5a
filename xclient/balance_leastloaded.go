package xclient

import (
	"context"
	"math/rand/v2"
	"time"

	"geerpc/xclient/internal/attempt"
)

// LeastLoaded returns a Balancer that takes two servers at random and picks the
// one with the smaller load: its latency times the calls in flight, this one
// included. It sends less to servers that are slow or busy for whatever reason,
// and is the one to take when in doubt. With only two servers and hardly a call
// at a time, the faster one gets them all. A pick costs O(1), a new list O(n).
//
// A server takes part in proportion to its Endpoint's Weight, and one of twice
// the weight is as busy with twice the calls in flight. A server whose latency
// is not known counts as as fast as the other, so that it is tried; and
// latencies are forgotten, so that one which was slow is tried again: see
// Server.Latency.
//
// Two choices do nearly as well as looking at all servers (M. Mitzenmacher,
// "The power of two choices in randomized load balancing", 2001), and clients
// that know nothing of each other don't all run to the same server. Load is
// reckoned as by Finagle's "peak EWMA" balancer.
func LeastLoaded() Balancer { return leastLoaded{} }

type leastLoaded struct{}

func (leastLoaded) Picker(servers []*Server) Picker {
	p := &leastLoadedPicker{servers, newAliasTable(servers), make([]float64, len(servers))}
	average := totalWeight(servers) / float64(len(servers))
	for i, s := range servers {
		p.perCall[i] = average / weightOf(s)
	}
	return p
}

type leastLoadedPicker struct {
	servers []*Server
	table   aliasTable
	perCall []float64 // how much one call in flight counts, 1 at average weight
}

func (p *leastLoadedPicker) Pick(context.Context) *Server {
	n := len(p.servers)
	if n == 1 {
		return p.servers[0]
	}
	i, j := p.table.draw(), p.table.draw()
	if i == j {
		j = (i + 1 + rand.IntN(n-1)) % n // any other
	}
	if p.busier(i, j) {
		i = j
	}
	return p.servers[i]
}

// busier reports whether server i has more load than server j.
func (p *leastLoadedPicker) busier(i, j int) bool {
	now := attempt.Now()
	if tryI, tryJ := p.servers[i].record.DueForTrial(now), p.servers[j].record.DueForTrial(now); tryI != tryJ {
		return tryJ
	}
	a, b := p.latency(i, now), p.latency(j, now)
	if a == 0 || b == 0 {
		a, b = 1, 1
	}
	return float64(a)*p.load(i, now) > float64(b)*p.load(j, now)
}

func (p *leastLoadedPicker) latency(i int, now time.Duration) time.Duration {
	s := p.servers[i]
	return s.record.Latency(now, s.medianLatency())
}

// load returns how busy a server would be with one more call.
func (p *leastLoadedPicker) load(i int, now time.Duration) float64 {
	return 1 + p.servers[i].load(now)*p.perCall[i]
}
