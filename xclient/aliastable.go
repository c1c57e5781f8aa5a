package xclient

import (
	"math/rand/v2"
)

// An aliasTable draws one of n numbers, each with a chance of its own, in O(1):
// all columns are equally likely, and each holds one number or shares itself
// between two (A. J. Walker, "An efficient method for generating discrete
// random variables with general distributions", 1977; filled as in M. D. Vose,
// "A linear algorithm for generating random numbers with a given
// distribution", 1991).
type aliasTable []aliasColumn

// An aliasColumn i gives i in own of 2³² cases, and other in the rest.
type aliasColumn struct{ own, other uint32 }

// newAliasTable returns a table of the indices of servers by their weights.
func newAliasTable(servers []*Server) aliasTable {
	n := len(servers)
	t := make(aliasTable, n)
	fill := make([]float64, n) // what is left of each, in columns
	var small, large []uint32  // those that fill less than a column, and the rest
	perColumn := totalWeight(servers) / float64(n)
	for i, s := range servers {
		t[i] = aliasColumn{1<<32 - 1, uint32(i)}
		fill[i] = weightOf(s) / perColumn
		if fill[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		t[s] = aliasColumn{uint32(fill[s] * (1 << 32)), l}
		if fill[l] -= 1 - fill[s]; fill[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return t // what is left over fills its column, but for rounding
}

// draw draws a number: the column with one half of a random value, and what
// the column holds with the other.
func (t aliasTable) draw() int {
	r := rand.Uint64()
	i := (r >> 32) * uint64(len(t)) >> 32
	if c := t[i]; uint32(r) >= c.own {
		return int(c.other)
	}
	return int(i)
}

// weightOf returns what a server's weight counts as.
func weightOf(s *Server) float64 { return float64(max(s.Endpoint().Weight, 1)) }

// totalWeight returns the sum of the weights of servers.
func totalWeight(servers []*Server) float64 {
	sum := 0.0
	for _, s := range servers {
		sum += weightOf(s)
	}
	return sum
}
