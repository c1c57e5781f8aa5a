package lazyctx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// newContext returns a Context with that much time left, unless that is zero, and
// what ends its parent.
func newContext(t *testing.T, left time.Duration) (c *Context, endParent func(error)) {
	parent, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	c = &Context{Parent: parent}
	if left > 0 {
		c.At = time.Now().Add(left)
	}
	return c, cancel
}

// Looked at before it ends, only after it, or both: what a context says has to
// be the same, and must not change.
func TestContext(t *testing.T) {
	looks := []look[*Context]{
		{"nothing", func(*Context) {}},
		{"Err", func(c *Context) { c.Err() }},
		{"Done", func(c *Context) { c.Done() }},
	}
	eachEnding(t, looks, func(t *testing.T, e ending, before, after look[*Context]) {
		c, endParent := newContext(t, time.Second)
		before.do(c)
		if err := c.Err(); err != nil {
			t.Fatalf("ended already: %v", err)
		}
		e.end(c, endParent)
		after.do(c)
		synctest.Wait()
		if after.name == "Err" && c.Err() != e.err {
			t.Errorf("Err %v, want %v", c.Err(), e.err)
		}
		wantEnded(t, c, e.err, e.cause)
		c.Cancel() // once more
		endParent(errors.New("closed"))
		wantEnded(t, c, e.err, e.cause)
	})
}

// An ending is a way in which a context of this package ends.
type ending struct {
	name  string
	end   func(c interface{ Cancel() bool }, endParent func(error))
	err   error
	cause error
}

var errLost = errors.New("lost")

// endings are for contexts that have a second left.
var endings = []ending{
	{"cancelled", func(c interface{ Cancel() bool }, _ func(error)) { c.Cancel() }, context.Canceled, context.Canceled},
	{"parent ended", func(_ interface{ Cancel() bool }, endParent func(error)) { endParent(errLost) }, context.Canceled, errLost},
	{"deadline", func(interface{ Cancel() bool }, func(error)) { time.Sleep(time.Second) }, context.DeadlineExceeded, context.DeadlineExceeded},
}

// A look is a way to look at a context.
type look[C any] struct {
	name string
	do   func(C)
}

// eachEnding runs a test in a bubble for each ending, with each look before it and after.
func eachEnding[C any](t *testing.T, looks []look[C], test func(t *testing.T, e ending, before, after look[C])) {
	for _, e := range endings {
		for _, before := range looks {
			for _, after := range looks {
				t.Run(e.name+"/"+before.name+" before/"+after.name+" after", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { test(t, e, before, after) })
				})
			}
		}
	}
}

func wantEnded(t *testing.T, ctx context.Context, err, cause error) {
	t.Helper()
	synctest.Wait()
	wantDone(t, ctx, err, cause)
}

func wantDone(t *testing.T, ctx context.Context, err, cause error) {
	t.Helper()
	select {
	case <-ctx.Done():
	default:
		t.Errorf("%v: Done is not closed", ctx)
	}
	if ctx.Err() != err || context.Cause(ctx) != cause {
		t.Errorf("%v: Err %v, cause %v, want %v, %v", ctx, ctx.Err(), context.Cause(ctx), err, cause)
	}
}

// What Err has said stays true for what is asked only then, when the connection
// has ended in between.
func TestContext_LateLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, endParent := newContext(t, time.Second)
		time.Sleep(time.Second)
		if err := c.Err(); err != context.DeadlineExceeded {
			t.Error(err)
		}
		endParent(errors.New("closed"))
		wantEnded(t, c, context.DeadlineExceeded, context.DeadlineExceeded)
	})
}

type key struct{}

// A context that nobody has looked at ends those derived from it, and runs
// what waits for its end.
func TestContext_Derived(t *testing.T) {
	c, _ := newContext(t, 0)
	child, stop := context.WithTimeout(context.WithValue(c, key{}, "other"), time.Hour)
	defer stop()
	ran := make(chan bool)
	context.AfterFunc(c, func() { close(ran) })
	if _, ok := c.Deadline(); ok {
		t.Error("there is a deadline")
	}
	c.Cancel()
	<-child.Done()
	<-ran
	if c.Value(key{}) != nil || child.Value(key{}) != "other" {
		t.Error("it has a value, or the child has none")
	}
}

// Handlers that don't wait for their context don't pay for one.
func TestContext_MadeOnDemand(t *testing.T) {
	c, _ := newContext(t, time.Hour)
	_, _, _ = c.Err(), c.At, c.Value(key{})
	if cause := context.Cause(c); cause != nil {
		t.Errorf("it has ended because of %v", cause)
	}
	if c.Cancel(); c.made.Load() != cancelled {
		t.Error("a context was made")
	}
}

// The parent's values are there before and after it was made, and after its end.
func TestContext_Value(t *testing.T) {
	for name, look := range map[string]func(c *Context){
		"nothing":            func(*Context) {},
		"made":               func(c *Context) { c.Done() },
		"made and cancelled": func(c *Context) { c.Done(); c.Cancel() },
		"cancelled":          func(c *Context) { c.Cancel() },
		"too late":           func(c *Context) { c.At = time.Now() },
	} {
		c := &Context{Parent: context.WithValue(t.Context(), key{}, name), At: time.Now().Add(time.Hour)}
		look(c)
		if v := c.Value(key{}); v != name {
			t.Errorf("%s: the value is %v", name, v)
		}
		c.Cancel()
	}
}

// A context may be printed while others use it.
func TestContext_Printed(t *testing.T) {
	c, _ := newContext(t, time.Hour)
	var all sync.WaitGroup
	all.Go(func() { c.Done(); c.Cancel() })
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if s := fmt.Sprintf(verb, c); s != "lazyctx.Context" {
			t.Errorf("%s prints %s", verb, s)
		}
	}
	all.Wait()
	if s := fmt.Sprint(context.WithValue(c, key{}, "v")); !strings.HasPrefix(s, "lazyctx.Context.") {
		t.Error(s)
	}
}

// Whoever looks while it ends in several ways sees the same: one reason, that
// does not change, and its end, once there is a reason.
func TestContext_AtOnce(t *testing.T) {
	lost := errors.New("lost")
	for i := range 1000 {
		c, endParent := newContext(t, time.Duration(i%100+1)*time.Microsecond)
		var all sync.WaitGroup
		reasons := make(chan [2]error, 100)
		look := func(ctx context.Context) {
			for range 10 {
				if err := ctx.Err(); err != nil {
					reasons <- [2]error{err, context.Cause(ctx)}
					<-ctx.Done() // at once, or the test does not end
				}
			}
		}
		for range 3 {
			all.Go(func() { look(c) })
		}
		all.Go(func() {
			child, stop := context.WithCancel(c)
			defer stop()
			<-child.Done()
			look(child)
			look(c)
		})
		all.Go(func() { c.Cancel() })
		if i%2 == 0 {
			all.Go(func() { endParent(lost) })
		}
		all.Wait()
		close(reasons)
		first := <-reasons
		for r := range reasons {
			if r != first {
				t.Fatalf("it ended because of %v, and of %v", first, r)
			}
		}
	}
}
