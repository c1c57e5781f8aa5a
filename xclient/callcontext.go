package xclient

import (
	"context"
	"errors"
	"slices"
	"sync"

	"geerpc"
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

// outOfReach returns the error of a call that found no server which can be reached, and
// of which the last failed with err.
func (a *callContext) outOfReach(err error) error {
	var last *geerpc.Error
	if a == nil || a.Err() != nil || err == geerpc.ErrShutdown || !errors.As(err, &last) {
		return err
	}
	a.mu.Lock()
	n := len(a.tried)
	a.mu.Unlock()
	if n < 2 {
		return err
	}
	all := geerpc.Errorf(last.Code, "%d servers tried, the last: %w", n, err).(*geerpc.Error)
	all.Where, all.Ran, all.Server = last.Where, last.Ran, last.Server
	return all
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
