package xclient

import (
	"cmp"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
)

// A subset is the servers that one client spreads its calls over, of a list that
// is too long to connect to all. It is chosen by rendezvous hashing: each client
// gives each server a rank, and takes those of the lowest. A server that leaves
// is replaced by one other, and one that comes takes the place of one at most;
// and the clients, of which each ranks in its own way, spread over all servers.
type subset struct {
	size   int    // 0: all servers
	client string // in whose order
}

// newSubset returns a subset for a client, which has an ID of its own if none is
// given.
func newSubset(size int, client string) subset {
	if client == "" {
		client = strconv.FormatUint(rand.Uint64(), 36)
	}
	return subset{max(size, 0), client}
}

// rank returns the rank of the server at an address.
func (u subset) rank(addr string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, u.client)
	h.Write([]byte{0}) // which is in no address
	io.WriteString(h, addr)
	z := h.Sum64() // of FNV-1a, similar addresses differ in their low bits mainly
	z = (z ^ z>>33) * 0xff51afd7ed558ccd
	z = (z ^ z>>33) * 0xc4ceb9fe1a85ec53
	return z ^ z>>33
}

// candidates returns the servers that may be taken, by rank. There are more than the
// size, for when some are not fit, but not without limit: a client that is cut off
// from all servers must not dial them all.
func (u subset) candidates(servers []*Server) []*Server {
	if u.size == 0 {
		return servers
	}
	servers = slices.Clone(servers)
	slices.SortFunc(servers, func(a, b *Server) int { return cmp.Compare(a.rank, b.rank) })
	return servers[:min(len(servers), 4*u.size+16)]
}

// limit returns those of some servers that calls are spread over.
func (u subset) limit(servers []*Server) []*Server {
	if u.size == 0 {
		return servers
	}
	return servers[:min(len(servers), u.size)]
}
