// Package lazyctx has contexts that are made when they are needed.
//
// Most code that gets a context passes it on, or asks whether it has ended. That
// takes a few fields. A context that can be waited for, and that ends with its
// parent, takes a channel, an entry in the parent and perhaps a timer. So that one
// is made by whoever waits first:
//
//	Deadline, Err, Value, Cancel          need nothing more
//	Done                                 ─┐
//	Err and Value, once it may have ended ─┴→ make the context that does the same
//
// That is a Context. A Clocked is one of many with the same parent, the calls of a
// connection. Done takes a channel there, and an entry in the parent's Clock, which has
// one timer for all.
package lazyctx

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// A Context ends with its parent, at a deadline or when it is cancelled. It must
// be cancelled in the end. Parent and At are set before its first use.
type Context struct {
	Parent context.Context
	At     time.Time // the deadline; zero: none

	made   atomic.Pointer[cancelCtx] // nil: nobody has needed it
	waiter atomic.Pointer[Waiter]    // nil: nobody waits without needing it
}

// A cancelCtx is a context, and what ends it.
type cancelCtx struct {
	context.Context
	cancel context.CancelFunc
}

// cancelled is what every Context becomes that is cancelled before it is made.
var cancelled = func() *cancelCtx {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &cancelCtx{ctx, cancel}
}()

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.At, !c.At.IsZero() }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.make().Done() }

// Value implements context.Context. Package context looks for a context of its own
// with it: for the one that was made, which must not be the parent's. It asks for Done
// before it derives one, and for Err before a cause.
func (c *Context) Value(key any) any {
	c.Err() // makes the context if it has ended
	if made := c.made.Load(); made != nil {
		if v := made.Value(key); v != nil || made != cancelled {
			return v
		}
	}
	return c.Parent.Value(key)
}

// Err implements context.Context.
func (c *Context) Err() error {
	if c.made.Load() == nil && c.Parent.Err() == nil && (c.At.IsZero() || time.Now().Before(c.At)) {
		return nil
	}
	return c.make().Err()
}

// make returns the context that does what c promises.
func (c *Context) make() *cancelCtx {
	if made := c.made.Load(); made != nil {
		return made
	}
	made := new(cancelCtx)
	if c.At.IsZero() {
		made.Context, made.cancel = context.WithCancel(c.Parent)
	} else {
		made.Context, made.cancel = context.WithDeadline(c.Parent, c.At)
	}
	if !c.made.CompareAndSwap(nil, made) { // somebody else was faster
		made.cancel()
	}
	return c.made.Load()
}

// String implements fmt.Stringer: contexts made from this one print it as theirs.
func (c *Context) String() string { return "lazyctx.Context" }

// Format implements fmt.Formatter. Without it, some verb would print fields while others
// change them.
func (c *Context) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// Cancel ends the context. It may be called again. It reports whether nobody has needed
// the context, so that nobody looks at c any more.
func (c *Context) Cancel() (unneeded bool) {
	if unneeded = c.made.CompareAndSwap(nil, cancelled); !unneeded {
		c.made.Load().cancel()
	}
	if c.waiter.Load() != nil {
		if w := c.waiter.Swap(nil); w != nil {
			w.cancelled <- struct{}{} // does not block: once for each wait
		}
	}
	return unneeded
}
