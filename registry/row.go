package registry

import (
	"cmp"
	"slices"
	"time"

	"geerpc/internal/page"
)

// A row is a server on the page.
type row struct {
	*ServerItem
	now time.Time
}

// An order is one in which the page may have the servers.
type order struct{ Key, Name string }

var orders = []order{{"", "silent first"}, {"addr", "address"}, {"beat", "last beat"}, {"newest", "newest"}, {"weight", "weight"}}

// sortRows puts rows into an order. They are sorted by address.
func sortRows(rows []row, by string) {
	var compare func(a, b row) int
	switch by {
	case "":
		compare = func(a, b row) int {
			return cmp.Or(cmp.Compare(count(b.Silent), count(a.Silent)), cmp.Compare(count(b.Late() > 0), count(a.Late() > 0)))
		}
	case "beat":
		compare = func(a, b row) int { return a.LastBeat.Compare(b.LastBeat) }
	case "newest":
		compare = func(a, b row) int { return b.Since.Compare(a.Since) }
	case "weight":
		compare = func(a, b row) int { return cmp.Compare(b.Weight, a.Weight) }
	default:
		return
	}
	slices.SortStableFunc(rows, compare)
}

// SinceBeat returns the seconds since the last heartbeat.
func (r row) SinceBeat() float64 { return max(0, r.now.Sub(r.LastBeat).Seconds()) }

// Age returns the seconds since the server registered.
func (r row) Age() float64 { return max(0, r.now.Sub(r.Since).Seconds()) }

// Interval returns the seconds between two heartbeats, 0 if the server announces none.
func (r row) Interval() float64 { return r.interval.Seconds() }

// Late returns by how many seconds the next heartbeat is late, 0 if it may still come in
// time: intervals vary by a tenth.
func (r row) Late() float64 {
	if r.interval == 0 || r.SinceBeat() < 1.2*r.Interval() {
		return 0
	}
	return r.SinceBeat() - r.Interval()
}

// Expires returns the seconds after which the server is forgotten unless it sends a
// heartbeat; 0: its time is over.
func (r row) Expires() float64 { return max(0, r.expiresAt.Sub(r.now).Seconds()) }

// InGrace reports whether the server's time is over and it is kept.
func (r row) InGrace() bool { return r.inGrace }

// Processes returns how many have this address.
func (r row) Processes() int { return len(r.instances) }

// ServiceWords returns the services to show.
func (r row) ServiceWords() []string { return page.Words(r.Services) }

// MetadataWords returns the metadata to show.
func (r row) MetadataWords() []string { return page.Pairs(r.Metadata) }
