package wire

import (
	"context"
	"sync/atomic"
)

// spins is how often Lock looks again before it waits: what a Gate guards
// takes about a microsecond, less than parking a goroutine.
const spins = 30

// A Gate is a mutual exclusion lock that can be waited for under a context.
// Like sync.Mutex, and unlike a channel of capacity one, a goroutine that runs
// may overtake one that waits, so that a busy Gate costs no switch a turn.
type Gate struct {
	held    atomic.Bool
	waiters atomic.Int32
	freed   chan struct{} // capacity 1: the gate may be free, look again
}

// NewGate returns an open Gate.
func NewGate() *Gate { return &Gate{freed: make(chan struct{}, 1)} }

// TryLock takes the Gate if it is free.
func (g *Gate) TryLock() bool { return g.held.CompareAndSwap(false, true) }

// Lock takes the Gate. It gives up with the context's error when ctx ends, and
// with ErrClosed when done is closed.
func (g *Gate) Lock(ctx context.Context, done <-chan struct{}) error {
	for range spins {
		if !g.held.Load() && g.TryLock() {
			return nil
		}
	}
	g.waiters.Add(1)
	defer g.waiters.Add(-1)
	for !g.TryLock() {
		select {
		case <-g.freed:
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return ErrClosed
		}
	}
	return nil
}

// Unlock opens the Gate and wakes one goroutine that waits for it.
func (g *Gate) Unlock() {
	g.held.Store(false)
	if g.waiters.Load() > 0 {
		select {
		case g.freed <- struct{}{}:
		default: // somebody is being woken already
		}
	}
}
