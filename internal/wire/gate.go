package wire

import (
	"context"
	"errors"
	"sync/atomic"
)

// spins is how often the gate is looked at again before the goroutine is parked:
// most turns take a microsecond or less, and parking takes more.
const spins = 100

var errGateDone = errors.New("connection is closed")

// A gate is a mutual exclusion lock that can be waited for under a context.
// Like sync.Mutex, and unlike a channel of capacity one, it lets a goroutine
// that runs overtake one that waits: a busy gate costs no switch a turn.
type gate struct {
	held    atomic.Bool
	waiters atomic.Int32
	freed   chan struct{} // capacity 1: the gate may be free, look again
}

// lock takes the gate. It gives up with ctx's error when ctx ends, and with
// errGateDone when done is closed.
func (g *gate) lock(ctx context.Context, done <-chan struct{}) error {
	for range spins {
		if !g.held.Load() && g.held.CompareAndSwap(false, true) {
			return nil
		}
	}
	g.waiters.Add(1)
	defer g.waiters.Add(-1)
	for !g.held.CompareAndSwap(false, true) {
		select {
		case <-g.freed:
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return errGateDone
		}
	}
	return nil
}

// unlock opens the gate and wakes one goroutine that waits for it.
func (g *gate) unlock() {
	g.held.Store(false)
	if g.waiters.Load() > 0 {
		select {
		case g.freed <- struct{}{}:
		default: // somebody is being woken already
		}
	}
}
