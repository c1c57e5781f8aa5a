package attempt

import "time"

// inFlight is the attempts in flight on a server, in the order in which they
// began: a doubly linked list in a slice, so that a new attempt allocates
// nothing. Index 0 is not used: it means "none".
type inFlight struct {
	slots        []slot
	first, last  int // the oldest attempt and the latest
	firstWaiting int // the oldest that began after the server was last heard
	free         int // a list of free slots, linked by next
}

// A slot holds one attempt.
type slot struct {
	began      time.Duration
	prev, next int
}

// add adds an attempt that begins now, and returns its slot.
func (f *inFlight) add(now time.Duration) int {
	i := f.free
	switch {
	case i != 0:
		f.free = f.slots[i].next
	case len(f.slots) == 0:
		f.slots = make([]slot, 2, 8)
		i = 1
	default:
		i = len(f.slots)
		f.slots = append(f.slots, slot{})
	}
	f.slots[i] = slot{began: now, prev: f.last}
	if f.last != 0 {
		f.slots[f.last].next = i
	} else {
		f.first = i
	}
	f.last = i
	if f.firstWaiting == 0 {
		f.firstWaiting = i
	}
	return i
}

// remove removes the attempt in a slot.
func (f *inFlight) remove(i int) {
	s := f.slots[i]
	if s.prev != 0 {
		f.slots[s.prev].next = s.next
	} else {
		f.first = s.next
	}
	if s.next != 0 {
		f.slots[s.next].prev = s.prev
	} else {
		f.last = s.prev
	}
	if i == f.firstWaiting {
		f.firstWaiting = s.next
	}
	f.slots[i] = slot{next: f.free}
	f.free = i
}

// heard notes a sign of life: only attempts that begin later count as waiting.
func (f *inFlight) heard() { f.firstWaiting = 0 }

// waitingSince returns when the oldest attempt began that has had no sign of
// life since, 0 if there is none.
func (f *inFlight) waitingSince() time.Duration {
	if f.firstWaiting == 0 {
		return 0
	}
	return f.slots[f.firstWaiting].began
}

// none reports whether no attempt is in flight.
func (f *inFlight) none() bool { return f.first == 0 }
