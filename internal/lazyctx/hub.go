package lazyctx

import (
	"context"
	"time"
)

// A hub is a context of package context's own that ends with a Clocked. Package context
// links children to it, where for any other context it starts a goroutine for each child
// that is not a direct one. It takes five allocations in place of one, so only Clocks
// whose contexts have children make them.
type hub struct {
	of     *Clocked
	ctx    context.Context
	cancel context.CancelFunc // not used: it would call the end a cancellation
	end    func()             // ends ctx for the reason of the Clocked
}

// newHub returns the hub of a context that has not ended.
func newHub(c *Clocked) *hub {
	h := &hub{of: c}
	h.ctx, h.cancel = context.WithCancel(hubParent{h})
	return h
}

// A hubParent is what package context takes for the parent of a hub's ctx. It takes note
// of how to end that.
type hubParent struct{ h *hub }

// never is not closed: AfterFunc stands in its place.
var never = make(chan struct{})

func (p hubParent) Deadline() (time.Time, bool) { return p.h.of.Deadline() }
func (p hubParent) Done() <-chan struct{}       { return never }

// AfterFunc is looked for by package context, which passes what ends the child. The child
// is never stopped.
func (p hubParent) AfterFunc(end func()) (stop func() bool) {
	p.h.end = end
	return func() bool { return false }
}

// Err is asked for by end.
func (p hubParent) Err() error { return p.h.of.why() }

// Value is asked by end as well, for the cause.
func (p hubParent) Value(key any) any {
	if v := p.h.of.endedValue(key); v != nil {
		return v
	}
	if p.h.of.reason() == stateLost {
		return p.h.of.Clock.Parent.Value(key)
	}
	return nil
}

// Contexts of package context's own that have ended.
var (
	cancelledAlready = endedContext(context.WithCancel(context.Background()))
	expiredAlready   = endedContext(context.WithDeadline(context.Background(), time.Unix(0, 0)))
)

func endedContext(ctx context.Context, cancel context.CancelFunc) context.Context {
	cancel()
	return ctx
}

// contextKey is the key by which package context looks for a context of its own, or nil
// if it does not. Without it, children take a goroutine each.
var contextKey = func() any {
	var k keyCatcher
	k.Context = context.Background()
	_, cancel := context.WithCancel(&k)
	cancel()
	return k.key
}()

type keyCatcher struct {
	context.Context
	key any
}

func (k *keyCatcher) Done() <-chan struct{} { return never }

func (k *keyCatcher) Value(key any) any {
	k.key = key
	return nil
}

func (k *keyCatcher) AfterFunc(func()) func() bool { return func() bool { return false } }
