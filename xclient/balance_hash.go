package xclient

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"geerpc/xclient/internal/hashring"
)

// hashLoad is how much more than its share of the calls in flight a server
// gets from ConsistentHash.
const hashLoad = 1.25

// ConsistentHash returns a Balancer that picks the same server for the same
// key, as given by WithHashKey: for servers that keep something at hand for
// what they were asked before. All clients with the same list agree, in
// whatever order it comes. When a server leaves, only its keys move; when one
// comes, only those that it takes over. Calls without a key go anywhere.
//
// A server that has more than 1.25 times its share of this client's calls in
// flight is passed over for the next one on the ring, so that a key which
// everybody asks for can't drown it; with few calls in flight it may have two
// before that counts. The next one is always the same for a key, also while a
// server is ejected or on probation. A server takes keys and calls in
// proportion to its Endpoint's Weight, of which no more counts than 250. Weights
// should be small numbers: each server costs 80 bytes times its weight.
//
// A pick costs O(1) on average with a rather large constant, and no more than
// O(n) when most servers are full; a new list costs O(n log n), about
// ten milliseconds for 10,000 servers of weight 1.
//
// The parts are by B. Appleton and M. O'Reilly ("Multi-probe consistent
// hashing", 2015) and V. Mirrokni, M. Thorup and M. Zadimoghaddam ("Consistent
// hashing with bounded loads", 2018).
func ConsistentHash() Balancer { return consistentHash{} }

// WithHashKey returns a context with the key by which ConsistentHash picks the
// server of calls that are made with it.
func WithHashKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, hashKey{}, hashring.Hash(key))
}

// hashKey is the key of a context's value, which is a uint64.
type hashKey struct{}

type consistentHash struct{}

func (consistentHash) Picker(servers []*Server) Picker {
	onRing := make([]hashring.Server, len(servers))
	for i, s := range servers {
		onRing[i] = hashring.Server{Addr: s.Endpoint().Addr, Weight: weightOf(s)}
	}
	p := &hashPicker{servers: servers, ring: hashring.New(onRing)}
	p.count()
	return p
}

type hashPicker struct {
	servers  []*Server
	ring     *hashring.Ring
	picks    atomic.Int64
	inFlight atomic.Int64 // on all servers, when last counted
}

func (p *hashPicker) Pick(ctx context.Context) *Server {
	if p.picks.Add(1)%int64(len(p.servers)) == 0 {
		p.count()
	}
	key, ok := ctx.Value(hashKey{}).(uint64)
	if !ok {
		key = rand.Uint64()
	}
	tried := callContextOf(ctx)
	limit := p.limit()
	best := p.ring.Find(key, func(i int) bool {
		s := p.servers[i]
		full := float64(s.InFlight()) >= limit*p.ring.Share(i)
		return full || tried != nil && tried.hasTried(s)
	})
	if best < 0 { // all have been tried
		best = p.ring.Find(key, func(int) bool { return false })
	}
	return p.servers[best]
}

// count counts the calls in flight. That takes O(n), which is why only every
// n-th pick does it.
func (p *hashPicker) count() {
	sum := 0
	for _, s := range p.servers {
		sum += s.InFlight()
	}
	p.inFlight.Store(int64(sum))
}

// limit returns how many calls a server may have in flight that has the whole
// ring: hashLoad times those in flight, including the picks that have been made
// since the last count, of which there are fewer than servers. As it is more
// than all calls, there is always room on some server.
func (p *hashPicker) limit() float64 {
	return hashLoad * float64(p.inFlight.Load()+int64(len(p.servers)))
}
