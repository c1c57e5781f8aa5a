package lazyctx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/monotime"
)

// newClock returns a Clock, and what ends its parent.
func newClock(t *testing.T) (k *Clock, endParent context.CancelCauseFunc) {
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "parent's"))
	t.Cleanup(func() { cancel(nil) })
	return &Clock{Parent: parent}, cancel
}

// in returns a context of the clock with that much time, unless that is zero.
func (k *Clock) in(left time.Duration) *Clocked {
	c := &Clocked{Clock: k}
	if left != 0 {
		c.Due = monotime.Now() + left
	}
	return c
}

// However it ends, and whenever it is looked at: what a Clocked says has to be the same,
// and must not change; and its children end with it, for the same reason.
func TestClocked(t *testing.T) {
	looks := []look[*Clocked]{
		{"nothing", func(*Clocked) {}},
		{"Err", func(c *Clocked) { c.Err() }},
		{"Done", func(c *Clocked) { c.Done() }},
		{"child", func(c *Clocked) { derive(t, c) }},
		{"hub", func(c *Clocked) { c.Clock.derived.Store(1); c.Done(); derive(t, c) }},
	}
	eachEnding(t, looks, func(t *testing.T, e ending, before, after look[*Clocked]) {
		k, endParent := newClock(t)
		c := k.in(time.Second)
		before.do(c)
		direct, wrapped := derive(t, c)
		if err := c.Err(); err != nil || context.Cause(c) != nil {
			t.Fatalf("ended already: %v", err)
		}
		e.end(c, endParent)
		ended := time.Now()
		after.do(c)
		synctest.Wait()
		for range 2 {
			for _, ctx := range []context.Context{c, direct, wrapped} {
				wantDone(t, ctx, e.err, e.cause)
			}
			late, _ := derive(t, c)
			wantDone(t, late, e.err, e.cause)
			c.Cancel() // once more
			endParent(errors.New("closed"))
			time.Sleep(time.Hour)
		}
		if took := time.Since(ended); took != 2*time.Hour {
			t.Errorf("it took %v", took)
		}
	})
}

type otherKey struct{}

// derive returns a child of ctx, and one with another context in between.
func derive(t *testing.T, ctx context.Context) (direct, wrapped context.Context) {
	direct, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	wrapped, stop = context.WithTimeout(context.WithValue(ctx, otherKey{}, "a value"), 100*time.Hour)
	t.Cleanup(stop)
	return direct, wrapped
}

// The deadline that a context shows is the one that it has.
func TestClocked_Deadline(t *testing.T) {
	k, _ := newClock(t)
	for _, left := range []time.Duration{time.Nanosecond, time.Hour} {
		c := k.in(left)
		at, ok := c.Deadline()
		if off := monotime.At(at) - c.Due; !ok || off != 0 {
			t.Errorf("in %v: %v, %v off", left, at, off)
		}
		if again, _ := c.Deadline(); again != at {
			t.Errorf("in %v: %v, and then %v", left, at, again)
		}
		c.Cancel()
	}
	if at, ok := k.in(0).Deadline(); ok {
		t.Errorf("no deadline: %v", at)
	}
}

// A context that nobody has asked for Done costs the clock nothing, and its Err is right
// by the time alone.
func TestClocked_NobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newClock(t)
		c, other := k.in(time.Second), k.in(time.Second)
		time.Sleep(time.Second - 1)
		if err := c.Err(); err != nil {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := c.Err(); err != context.DeadlineExceeded {
			t.Errorf("Err %v", err)
		}
		if c.Cancel() {
			t.Error("nobody has needed it, although Err said that it had ended")
		}
		if !other.Cancel() || other.Err() != context.Canceled {
			t.Errorf("somebody has needed the other, or it has not ended: %v", other.Err())
		}
		if k.timer != nil || k.started || k.heap != nil {
			t.Error("the clock was started")
		}
		<-c.Done()
		<-other.Done()
	})
}

// Contexts with deadlines in any order, and without, are ended at their deadlines and no
// others, while some are cancelled. The clock's timer is the only one.
func TestClock_AnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, endParent := newClock(t)
		began := monotime.Now()
		var all sync.WaitGroup
		for i := range 1000 {
			c := k.in(time.Duration(rand.IntN(100)) * time.Second) // zero: without
			cancelled := rand.IntN(3) == 0
			at := time.Duration(rand.IntN(100_000)) * time.Millisecond
			k.derived.Store(int32(i % 2)) // a hub for every other
			done := c.Done()
			all.Go(func() {
				if cancelled {
					select {
					case <-done:
					case <-time.After(at):
						c.Cancel()
					}
				}
				<-done
				took, want := monotime.Now()-began, c.Due-began
				switch err := c.Err(); {
				case c.Due == 0 && !cancelled:
					if took != time.Hour || context.Cause(c) != errEnd {
						t.Errorf("without a deadline: ended after %v with %v", took, err)
					}
				case cancelled && (c.Due == 0 || at < want):
					if took != at || err != context.Canceled {
						t.Errorf("cancelled at %v: ended after %v with %v", at, took, err)
					}
				case took != want || err != context.DeadlineExceeded && at != want:
					t.Errorf("deadline at %v: ended after %v with %v", want, took, err)
				}
			})
			wantHeap(t, k)
		}
		for range 100 {
			time.Sleep(time.Second)
			synctest.Wait()
			wantHeap(t, k)
		}
		time.Sleep(time.Hour - (monotime.Now() - began))
		endParent(errEnd)
		all.Wait()
		if len(k.heap) > 0 {
			t.Errorf("%d contexts are left", len(k.heap))
		}
		c := k.in(time.Hour)
		if c.Done(); len(k.heap) > 0 || context.Cause(c) != errEnd {
			t.Errorf("a context after the end has %v", c.Err())
		}
	})
}

var errEnd = errors.New("the parent has ended")

// Nothing is left of a clock whose parent has ended: no timer, and nobody waits.
func TestClock_ParentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, endParent := newClock(t)
		var all sync.WaitGroup
		for i := range 10 {
			c := k.in(time.Duration(i) * time.Hour)
			all.Go(func() { <-c.Done(); wantDone(t, c, context.Canceled, errEnd) })
		}
		synctest.Wait()
		endParent(errEnd)
		all.Wait()
		if len(k.heap) > 0 || k.timer.Stop() {
			t.Errorf("%d contexts are left, or the timer", len(k.heap))
		}
	})
}

// A deadline that has passed needs no timer.
func TestClocked_TooLate(t *testing.T) {
	k, _ := newClock(t)
	c := k.in(-1)
	wantDone(t, c, context.DeadlineExceeded, context.DeadlineExceeded)
	if k.timer != nil {
		t.Error("a timer was made")
	}
}

// wantHeap checks that each context is where it says, and none is due before the one above.
func wantHeap(t *testing.T, k *Clock) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, c := range k.heap {
		if int(c.index) != i || i > 0 && c.before(k.heap[(i-1)/2]) {
			t.Fatalf("the heap is out of order at %d", i)
		}
	}
	if len(k.heap) > 0 && k.heap[0].Due != 0 && (k.due == 0 || k.due > k.heap[0].Due) {
		t.Fatal("the timer is late")
	}
}

// Children take a goroutine each only until the clock has seen one: after that, and as
// long as there are some, they are linked.
func TestClock_Children(t *testing.T) {
	k, _ := newClock(t)
	first := k.in(time.Hour)
	derive(t, first)
	goroutines := runtime.NumGoroutine()
	for range 3 * hubsAfterChild {
		c := k.in(time.Hour)
		for range 3 {
			derive(t, c)
		}
		defer c.Cancel()
	}
	if more := runtime.NumGoroutine() - goroutines; more > 0 {
		t.Errorf("%d more goroutines", more)
	}
	for range hubsAfterChild {
		c := k.in(time.Hour)
		c.Done()
		c.Cancel()
	}
	c := k.in(time.Hour)
	if c.Done(); c.hub != nil {
		t.Error("hubs are made although nobody has had a child for long")
	}
	c.Cancel()
	first.Cancel()
}

// The parent's values are there in every state.
func TestClocked_Value(t *testing.T) {
	for name, look := range map[string]func(c *Clocked){
		"nothing":               func(*Clocked) {},
		"watched":               func(c *Clocked) { c.Done() },
		"hub":                   func(c *Clocked) { c.Clock.noteDerived(); c.Done() },
		"hub and cancelled":     func(c *Clocked) { c.Clock.noteDerived(); c.Done(); c.Cancel() },
		"watched and cancelled": func(c *Clocked) { c.Done(); c.Cancel() },
		"cancelled":             func(c *Clocked) { c.Cancel() },
		"too late":              func(c *Clocked) { c.Due = monotime.Now() },
	} {
		k, _ := newClock(t)
		c := k.in(time.Hour)
		look(c)
		if v := c.Value(key{}); v != "parent's" {
			t.Errorf("%s: the value is %v", name, v)
		}
		child, _ := derive(t, c)
		if v := child.Value(key{}); v != "parent's" {
			t.Errorf("%s: the child's value is %v", name, v)
		}
		c.Cancel()
	}
}

// Whoever looks while contexts of a clock end in several ways sees the same: one reason,
// that does not change, and the end, once there is a reason.
func TestClocked_AtOnce(t *testing.T) {
	for i := range 2000 {
		k, endParent := newClock(t)
		c := k.in(time.Duration(i%100+1) * time.Microsecond)
		others := []*Clocked{k.in(time.Hour), k.in(time.Duration(i%70+1) * time.Microsecond), k.in(0)}
		k.derived.Store(int32(i % 3))
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
			child, stop := context.WithCancel(context.WithValue(c, key{}, i))
			defer stop()
			<-child.Done()
			look(child)
			look(c)
		})
		for _, other := range others {
			all.Go(func() { other.Done(); other.Cancel(); <-other.Done() })
		}
		all.Go(func() { c.Cancel() })
		if i%2 == 0 {
			all.Go(func() { endParent(errEnd) })
		}
		all.Wait()
		close(reasons)
		first := <-reasons
		for r := range reasons {
			if r != first {
				t.Fatalf("it ended because of %v, and of %v", first, r)
			}
		}
		if len(k.heap) > 0 {
			t.Fatalf("%d contexts are left", len(k.heap))
		}
	}
}

// A context may be printed while others use it.
func TestClocked_Printed(t *testing.T) {
	k, _ := newClock(t)
	c := k.in(time.Hour)
	var all sync.WaitGroup
	all.Go(func() { c.Done(); c.Cancel() })
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if s := fmt.Sprintf(verb, c); s != "lazyctx.Clocked" {
			t.Errorf("%s prints %s", verb, s)
		}
	}
	all.Wait()
}

// Asking for Done takes one allocation, its channel.
func TestClocked_Allocations(t *testing.T) {
	k, _ := newClock(t)
	c := new(Clocked)
	n := testing.AllocsPerRun(1000, func() {
		*c = Clocked{Clock: k, Due: monotime.Now() + time.Hour}
		c.Done()
		c.Err()
		c.Cancel()
	})
	if n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}
