package xclient

import "time"

// flights are the attempts in flight on a server, in the order in which they
// began. Each has a place in a slice, and links to its neighbours.
type flights struct {
	places      []flight
	first, last int // the oldest and the latest; 0: there is none
	unheard     int // the oldest that began after the server was last heard; 0: there is none
	free        int // a list of places, by next; 0: there is none
}

// A flight is one attempt. Place 0 is nobody's.
type flight struct {
	began      time.Duration // as sinceStart tells
	prev, next int
}

// add adds an attempt that begins now, and returns its place.
func (f *flights) add(now time.Duration) int {
	place := f.free
	switch {
	case place != 0:
		f.free = f.places[place].next
	case len(f.places) == 0:
		f.places = make([]flight, 2, 8)
		place = 1
	default:
		place = len(f.places)
		f.places = append(f.places, flight{})
	}
	f.places[place] = flight{began: now, prev: f.last}
	if f.last != 0 {
		f.places[f.last].next = place
	} else {
		f.first = place
	}
	f.last = place
	if f.unheard == 0 {
		f.unheard = place
	}
	return place
}

// heard is for when the server gives a sign of life.
func (f *flights) heard() { f.unheard = 0 }

// remove removes an attempt, and returns when it began.
func (f *flights) remove(place int) time.Duration {
	gone := f.places[place]
	if gone.prev != 0 {
		f.places[gone.prev].next = gone.next
	} else {
		f.first = gone.next
	}
	if gone.next != 0 {
		f.places[gone.next].prev = gone.prev
	} else {
		f.last = gone.prev
	}
	if place == f.unheard {
		f.unheard = gone.next
	}
	f.places[place] = flight{next: f.free}
	f.free = place
	return gone.began
}

// asked returns when the oldest attempt began for which the server has had time
// since it was last heard, 0 if there is none.
func (f *flights) asked() time.Duration {
	if f.unheard == 0 {
		return 0
	}
	return f.places[f.unheard].began
}

// none tells whether no attempt is in flight.
func (f *flights) none() bool { return f.first == 0 }
