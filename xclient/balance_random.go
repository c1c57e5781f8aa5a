package xclient

import (
	"context"
	"math/rand/v2"
)

// Random returns a Balancer that picks any server, all with equal chances: the
// least that can be done, and good enough for short calls to servers that are
// alike. Weights do not count. A pick costs O(1), a new list nothing.
func Random() Balancer { return random{} }

type random struct{}

func (random) Picker(servers []*Server) Picker { return randomPicker(servers) }

type randomPicker []*Server

func (p randomPicker) Pick(context.Context) *Server { return p[rand.IntN(len(p))] }
