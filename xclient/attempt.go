package xclient

import (
	"context"
	"slices"
	"sync"
)

// attempts is the context of one call of an XClient's caller, in which
// policies make one attempt or several. It remembers the servers that were
// tried, so that each further attempt goes to another one.
type attempts struct {
	context.Context
	closed <-chan struct{} // by the XClient's Close

	mu    sync.Mutex // guards tried
	tried []*Server
	first [1]*Server // tried, at first
}

type attemptsKey struct{}

// Value makes attempts found by whoever has a context made from it.
func (a *attempts) Value(key any) any {
	if _, ok := key.(attemptsKey); ok {
		return a
	}
	return a.Context.Value(key)
}

// attemptsOf returns the attempts that ctx belongs to, or nil.
func attemptsOf(ctx context.Context) *attempts {
	a, _ := ctx.Value(attemptsKey{}).(*attempts)
	return a
}

// closedOf returns what is closed when the XClient that a context is of has
// been, nil if it is of none.
func closedOf(ctx context.Context) <-chan struct{} {
	if a := attemptsOf(ctx); a != nil {
		return a.closed
	}
	return nil
}

// has tells whether a server has been tried.
func (a *attempts) has(s *Server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.tried, s)
}

// add notes that a server is being tried, perhaps again.
func (a *attempts) add(s *Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Contains(a.tried, s) {
		return
	}
	if a.tried == nil {
		a.tried = a.first[:0]
	}
	a.tried = append(a.tried, s)
}
