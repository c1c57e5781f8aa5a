package xclient

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
)

// Random returns a Balancer that picks any server, all with equal chances: the
// least that can be done, and good enough for short calls to servers that are
// alike. Weights do not count. A pick costs O(1), a new list nothing.
func Random() Balancer { return random{} }

type random struct{}

func (random) Picker(servers []*Server) Picker { return randomPicker(servers) }

type randomPicker []*Server

func (p randomPicker) Pick(context.Context) *Server { return p[rand.IntN(len(p))] }

// RoundRobin returns a Balancer that picks one server after the other, so that
// of any n calls in a row each of n servers gets exactly one: for calls that
// cost about the same, on servers that are alike. Weights do not count. A pick
// costs O(1), a new list too.
//
// A round begins with any server, after each change of the list as at first:
// not every client calls the same one first, and servers that come and go
// however often take nobody's turn for good.
func RoundRobin() Balancer { return roundRobin{} }

type roundRobin struct{}

func (roundRobin) Picker(servers []*Server) Picker {
	p := &roundRobinPicker{servers: servers}
	p.next.Store(rand.Uint64N(uint64(len(servers))))
	return p
}

type roundRobinPicker struct {
	servers []*Server
	next    atomic.Uint64 // server of the next pick, modulo their number
}

func (p *roundRobinPicker) Pick(context.Context) *Server {
	i := p.next.Add(1) - 1
	return p.servers[i%uint64(len(p.servers))]
}

// Weighted returns a Balancer that picks at random, each server in proportion
// to its Endpoint's Weight: for servers of known, unlike sizes, and to give a
// new version a small share of the calls. A pick costs O(1), a new list O(n).
func Weighted() Balancer { return weighted{} }

type weighted struct{}

func (weighted) Picker(servers []*Server) Picker {
	return &weightedPicker{servers, newAliasTable(servers)}
}

type weightedPicker struct {
	servers []*Server
	table   aliasTable
}

func (p *weightedPicker) Pick(context.Context) *Server { return p.servers[p.table.draw()] }
