package connset

import (
	"context"
	"sync"

	"geerpc/internal/usercode"
)

// Hooks are functions that are called once, before a server stops. The zero value is
// empty.
type Hooks struct {
	mu      sync.Mutex // guards what follows
	funcs   []func(context.Context)
	started bool

	done signal
}

// Add adds a function. If Run has been called, it is not called any more.
func (h *Hooks) Add(f func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.funcs = append(h.funcs, f)
}

// Run calls the functions with ctx, all at once and only if it has not been called
// before. It returns nil when all have returned, or stopped is closed, and ctx's error
// when ctx ends.
func (h *Hooks) Run(ctx context.Context, report usercode.Reporter, stopped <-chan struct{}) error {
	h.mu.Lock()
	first := !h.started
	h.started = true
	funcs := h.funcs
	h.funcs = nil
	h.mu.Unlock()
	if first {
		calls := make([]func(), len(funcs))
		for i, f := range funcs {
			calls[i] = func() { f(ctx) }
		}
		go func() { // ends with the functions
			usercode.SideBySide(context.Background(), report, "a function passed to OnShutdown", calls)
			h.done.send()
		}()
	}
	select {
	case <-h.done.channel():
	case <-stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
