package geerpc

import "sync/atomic"

// A combiner lets one goroutine do, one after the other, what many have come
// to do: whoever adds a job and finds nobody at work does the work of all.
// What can't be done side by side, like writing to a stream, is done faster
// by one than by many who wait for each other (Hendler, Incze, Shavit, Tzafrir:
// Flat Combining and the Synchronization-Parallelism Tradeoff, SPAA 2010).
//
//	if c.add(&x.job) {
//		for ended := false; !ended; ended = c.end() {
//			for x := c.take(); x != nil; x = c.take() { … }
//		}
//	}
//
// The zero value is ready.
type combiner[T any] struct {
	last   atomic.Pointer[job[T]] // the latest, linked to those before it; nil: nobody is at work
	atWork job[T]                 // where the list ends while somebody is
	first  *job[T]                // the oldest, linked to those after it; of the one at work
}

// A job is a part of what a combiner is given.
type job[T any] struct {
	of   *T
	next *job[T]
}

// add adds a job and tells whether the caller is to do the work.
func (c *combiner[T]) add(j *job[T]) bool { return c.addAll(j, j) }

// addAll adds jobs at once: the first and the last of a list, in which next of
// each is the one before it.
func (c *combiner[T]) addAll(first, last *job[T]) bool {
	for {
		before := c.last.Load()
		first.next = before
		if c.last.CompareAndSwap(before, last) {
			return before == nil
		}
	}
}

// busy tells whether somebody is at work.
func (c *combiner[T]) busy() bool { return c.last.Load() != nil }

// take returns what the oldest job is of, or nil if there is none at present.
// The job may be added again.
func (c *combiner[T]) take() *T {
	if c.first == nil {
		for j := c.last.Swap(&c.atWork); j != nil && j != &c.atWork; {
			j.next, c.first, j = c.first, j, j.next
		}
	}
	j := c.first
	if j == nil {
		return nil
	}
	c.first = j.next
	return j.of
}

// end ends the work, which it reports, unless there is another job.
func (c *combiner[T]) end() bool {
	return c.first == nil && c.last.CompareAndSwap(&c.atWork, nil)
}
