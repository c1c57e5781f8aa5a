// Package hashring finds servers by keys, so that when a server comes or goes
// few keys change theirs: multi-probe consistent hashing (B. Appleton and
// M. O'Reilly, 2015).
package hashring

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
)

const (
	// pointsPerWeight is how many points a server has for each unit of its
	// weight, of which no more than maxWeight counts. How many a server has must
	// depend on nothing else, or other servers' keys would move with it. More
	// points would spread keys more evenly, and take longer to sort at each
	// change.
	pointsPerWeight = 4
	maxWeight       = 250

	// probes is at how many places a ring looks for a key. Of very many servers
	// with one point each, the fullest has 1 + 1/(probes-1) times the average of
	// the keys; some have very few, which more points cure.
	probes = 21
)

// A Ring has points for each server on the circle of all uint64, in proportion
// to its weight. A key has several places there, and belongs to the server whose
// point follows one of them most closely. With one place only, a server would
// get as many keys as there is room before its points, and it would take
// hundreds of points to make that even. A Ring is never changed.
type Ring struct {
	points  []point
	servers []Server

	// starts[i] is the first point not before the i-th of as many equal
	// sections of the circle as there are points.
	starts []uint32
}

// A Server is one that keys belong to.
type Server struct {
	Addr   string
	Weight float64 // at least 1
}

func (s Server) points() float64 { return pointsPerWeight * min(s.Weight, maxWeight) }

type point struct {
	place  uint64
	server uint32 // an index
}

// New returns the Ring of servers, which it keeps.
func New(servers []Server) *Ring {
	r := &Ring{servers: servers}
	for i, s := range servers {
		h := Hash(s.Addr)
		for p := range uint64(s.points()) {
			r.points = append(r.points, point{place(h, p), uint32(i)})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.place, b.place), strings.Compare(r.addr(a), r.addr(b)))
	})
	r.fillStarts()
	return r
}

func (r *Ring) fillStarts() {
	r.starts = make([]uint32, len(r.points))
	i := 0
	for section := range r.starts {
		for i < len(r.points) && r.section(r.points[i].place) < section {
			i++
		}
		r.starts[section] = uint32(i)
	}
}

func (r *Ring) addr(p point) string { return r.servers[p.server].Addr }

// section returns the section of the circle that a place is in.
func (r *Ring) section(place uint64) int {
	s, _ := bits.Mul64(place, uint64(len(r.points)))
	return int(s)
}

// Share returns the part of the circle that belongs to a server: its points over
// all points.
func (r *Ring) Share(server int) float64 {
	return r.servers[server].points() / float64(len(r.points))
}

// Find returns the index of a key's server among those that skip does not
// exclude, -1 if it excludes all. It is the one that a ring without the others
// would find.
func (r *Ring) Find(key uint64, skip func(server int) bool) (best int) {
	best = -1
	closest := uint64(math.MaxUint64)
	for probe := range uint64(probes) {
		from := place(key, probe)
		first := r.after(from)
		for i := range r.points {
			p := r.points[(first+i)%len(r.points)]
			d := p.place - from
			if d >= closest {
				break
			}
			if !skip(int(p.server)) {
				best, closest = int(p.server), d
				break
			}
		}
	}
	return best
}

// after returns the first point that is not before a place.
func (r *Ring) after(place uint64) int {
	i := int(r.starts[r.section(place)])
	for i < len(r.points) && r.points[i].place < place {
		i++ // seldom even once: a section has one point on average
	}
	if i == len(r.points) {
		return 0
	}
	return i
}

// place returns the i-th place that belongs to a hash: the output of the
// SplitMix64 generator (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable
// pseudorandom number generators", 2014), which makes any two places differ in
// about half of their bits.
func place(hash, i uint64) uint64 {
	z := hash + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Hash returns the FNV-1a hash of a string, a key for Find. All clients have to
// agree on it: it has no seed, and must never change.
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
