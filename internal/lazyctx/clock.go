package lazyctx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Clock ends contexts: all of them with their parent, and each at its deadline. It has
// one timer and one place in the parent, so a context costs the Clock an entry in a
// heap, and that only if somebody has asked for its Done. The zero value is ready, once
// Parent is set. When the parent has ended, the timer is stopped.
type Clock struct {
	Parent context.Context

	derived atomic.Int32 // how many of the next contexts get a hub

	mu      sync.Mutex    // guards what follows
	heap    []*Clocked    // those that are watched, the earliest deadline first
	timer   *time.Timer   // runs ring; nil: not made yet
	due     time.Duration // when the timer fires, by monotime; 0: it is stopped
	started bool          // the parent's end is waited for
	stopped bool          // the parent has ended
}

// A Clock makes hubs for some contexts after one that has had a child.
const hubsAfterChild = 64

// keptHeap limits the capacity that an empty heap keeps.
const keptHeap = 256

// noteDerived notes that a context has a child.
func (k *Clock) noteDerived() {
	if k.derived.Load() < hubsAfterChild {
		k.derived.Store(hubsAfterChild)
	}
}

// watch has the clock end c from now on, and returns the channel for Done.
func (k *Clock) watch(c *Clocked) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if done := c.watched(); done != nil { // somebody else was faster
		return done
	}
	next := c.Due != 0 && (k.due == 0 || c.Due < k.due)
	switch {
	case k.stopped:
		c.end(stateLost)
	case next && c.left() <= 0:
		c.end(stateExpired)
	}
	if c.reason() != stateAlive {
		return closed
	}
	if k.derived.Load() > 0 {
		k.derived.Add(-1)
		c.hub = newHub(c)
	} else {
		c.done = make(chan struct{})
	}
	if !c.state.CompareAndSwap(stateAlive, stateWatched) { // it ends in this moment
		return closed
	}
	k.push(c)
	if next {
		k.set(c)
	}
	if !k.started {
		k.started = true
		context.AfterFunc(k.Parent, k.stop) // its goroutine does not wait
	}
	return c.watched()
}

// closed is the channel of contexts that have ended before anybody has asked for it.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// end ends a watched context, unless somebody else is faster.
func (k *Clock) end(c *Clocked, reason uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.state.Load() == stateWatched {
		k.remove(int(c.index))
		c.close(reason)
	}
}

// close ends a watched context that is in the heap no more. Err does not return before
// the channel is closed.
func (c *Clocked) close(reason uint32) {
	c.state.Store(stateWatched | reason)
	if c.hub != nil {
		c.hub.end()
	} else {
		close(c.done)
	}
}

// set has the timer fire at the deadline of c.
func (k *Clock) set(c *Clocked) {
	k.due = c.Due
	if k.timer == nil {
		k.timer = time.AfterFunc(c.left(), k.ring)
	} else {
		k.timer.Reset(c.left())
	}
}

// ring ends the contexts whose time is up. The timer is not stopped for a context that
// ends in time, so there may be none.
func (k *Clock) ring() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = 0
	for len(k.heap) > 0 {
		c := k.heap[0]
		switch {
		case c.Due == 0:
			return
		case c.left() > 0:
			k.set(c)
			return
		}
		k.remove(0)
		c.close(stateExpired)
	}
}

// stop ends all contexts, with their parent.
func (k *Clock) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	if k.timer != nil {
		k.timer.Stop()
	}
	for len(k.heap) > 0 {
		c := k.heap[len(k.heap)-1]
		k.remove(int(c.index))
		c.close(stateLost)
	}
}

// before reports whether a has the earlier deadline.
func (c *Clocked) before(other *Clocked) bool {
	return c.Due != 0 && (other.Due == 0 || c.Due < other.Due)
}

func (k *Clock) push(c *Clocked) {
	k.heap = append(k.heap, c)
	k.up(len(k.heap)-1, c)
}

// remove removes the context at a place of the heap.
func (k *Clock) remove(i int) {
	n := len(k.heap) - 1
	last := k.heap[n]
	k.heap[n] = nil
	k.heap = k.heap[:n]
	if i < n {
		k.up(k.down(i), last)
	}
	if n == 0 && cap(k.heap) > keptHeap {
		k.heap = nil
	}
}

// up puts c at the place i, which is free, or above it.
func (k *Clock) up(i int, c *Clocked) {
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(k.heap[parent]) {
			break
		}
		k.put(i, k.heap[parent])
		i = parent
	}
	k.put(i, c)
}

// down moves the free place i to a leaf, and returns where it is then.
func (k *Clock) down(i int) int {
	for {
		child := 2*i + 1
		if child >= len(k.heap) {
			return i
		}
		if right := child + 1; right < len(k.heap) && k.heap[right].before(k.heap[child]) {
			child = right
		}
		k.put(i, k.heap[child])
		i = child
	}
}

func (k *Clock) put(i int, c *Clocked) {
	k.heap[i] = c
	c.index = int32(i)
}
