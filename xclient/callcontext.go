package xclient

import (
	"context"
	"slices"
	"sync"
)

// A callContext is the context of one call to an XClient, in which policies make
// one attempt or several. It remembers the servers that were tried, so that each
// further attempt goes to another one.
type callContext struct {
	context.Context
	closed <-chan struct{} // by the XClient's Close

	mu         sync.Mutex // guards tried
	tried      []*Server
	firstTried [1]*Server // tried, at first
}

type callContextKey struct{}

// Value lets contexts derived from a find it.
func (a *callContext) Value(key any) any {
	if _, ok := key.(callContextKey); ok {
		return a
	}
	return a.Context.Value(key)
}

// callContextOf returns the callContext that ctx is derived from, or nil.
func callContextOf(ctx context.Context) *callContext {
	a, _ := ctx.Value(callContextKey{}).(*callContext)
	return a
}

// closedOf returns a channel that is closed with the XClient that ctx is a call of,
// nil if it is of none.
func closedOf(ctx context.Context) <-chan struct{} {
	if a := callContextOf(ctx); a != nil {
		return a.closed
	}
	return nil
}

// hasTried reports whether a server has been tried.
func (a *callContext) hasTried(s *Server) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.tried, s)
}

// addTried notes that a server is being tried, perhaps again.
func (a *callContext) addTried(s *Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Contains(a.tried, s) {
		return
	}
	if a.tried == nil {
		a.tried = a.firstTried[:0]
	}
	a.tried = append(a.tried, s)
}
