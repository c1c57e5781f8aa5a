// Package waitgroup has a sync.WaitGroup whose Wait need not last for ever.
package waitgroup

import (
	"context"
	"sync"
)

// A Group counts what is going on. The zero value is ready, and safe for
// concurrent use: unlike with sync.WaitGroup, more may begin during Wait.
type Group struct {
	mu   sync.Mutex // guards what follows
	n    int
	none chan struct{} // closed when n falls to zero; nil if nobody waits
}

// Add counts one more.
func (g *Group) Add() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

// Done counts one less.
func (g *Group) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.none != nil {
		close(g.none)
		g.none = nil
	}
}

// Wait returns nil when nothing is going on, or ctx's error if that ends before.
func (g *Group) Wait(ctx context.Context) error {
	none := g.whenNone()
	if none == nil {
		return nil
	}
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whenNone returns a channel that is closed when nothing is going on any more,
// nil if nothing is.
func (g *Group) whenNone() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == 0 {
		return nil
	}
	if g.none == nil {
		g.none = make(chan struct{})
	}
	return g.none
}
