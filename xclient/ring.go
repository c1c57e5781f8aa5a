package xclient

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
)

const (
	// ringPoints is how many points a server has for each unit of its weight,
	// of which no more than maxWeight counts. How many a server has must depend
	// on nothing else, or other servers' keys would move with it. More points
	// would spread keys more evenly, and take longer to sort at each change.
	ringPoints = 4
	maxWeight  = 250

	// ringProbes is at how many places a ring looks for a key. Of very many
	// servers with one point each, the fullest has 1 + 1/(ringProbes-1) times
	// the average of the keys; some have very few, which more points cure.
	ringProbes = 21
)

// A ring finds servers by keys. Each server has points on the circle of all
// uint64, in proportion to its weight. A key has ringProbes places there, and
// its server is that of the point which follows one of them most closely. With
// one place only, a server would get as many keys as there is room before its
// points, and it would take hundreds of points to make that even.
type ring struct {
	points []point
	owners []owner

	// starts[i] is the first point not before the i-th of as many equal
	// sections of the circle as there are points.
	starts []uint32
}

type point struct {
	place uint64
	owner uint32 // an index
}

// An owner of points is a server.
type owner struct {
	server *Server
	points float64 // how many it has
}

func newRing(servers []*Server) *ring {
	r := &ring{owners: make([]owner, len(servers))}
	for i, s := range servers {
		points := ringPoints * min(weightOf(s), maxWeight)
		r.owners[i] = owner{s, points}
		h := hashString(s.Endpoint().Addr)
		for p := range uint64(points) {
			r.points = append(r.points, point{place(h, p), uint32(i)})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.place, b.place), strings.Compare(r.addr(a), r.addr(b)))
	})
	r.fillStarts()
	return r
}

func (r *ring) fillStarts() {
	r.starts = make([]uint32, len(r.points))
	i := 0
	for section := range r.starts {
		for i < len(r.points) && r.section(r.points[i].place) < section {
			i++
		}
		r.starts[section] = uint32(i)
	}
}

func (r *ring) addr(p point) string { return r.owners[p.owner].server.Endpoint().Addr }

// section returns the section of the circle that a place is in.
func (r *ring) section(place uint64) int {
	s, _ := bits.Mul64(place, uint64(len(r.points)))
	return int(s)
}

// find returns the owner of a key among those that are not passed over, nil if
// all are. It is the one that a ring without the others would find.
func (r *ring) find(key uint64, passed func(*owner) bool) (best *owner) {
	closest := uint64(math.MaxUint64)
	for probe := range uint64(ringProbes) {
		from := place(key, probe)
		first := r.after(from)
		for i := range r.points {
			p := r.points[(first+i)%len(r.points)]
			d := p.place - from
			if d >= closest {
				break
			}
			if o := &r.owners[p.owner]; !passed(o) {
				best, closest = o, d
				break
			}
		}
	}
	return best
}

// after returns the first point that is not before a place.
func (r *ring) after(place uint64) int {
	i := int(r.starts[r.section(place)])
	for i < len(r.points) && r.points[i].place < place {
		i++ // in expectation not once: a section has one point on average
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

// hashString returns the FNV-1a hash of a string. All clients have to agree, so
// it is neither seeded nor ever to be changed.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
