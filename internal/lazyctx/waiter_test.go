package lazyctx

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaiter waits with one Waiter for contexts that end in every way, or not at all:
// each is waited for as if it were the first.
func TestWaiter(t *testing.T) {
	ways := []struct {
		name  string
		at    time.Duration // of the deadline; zero: none
		begin func(c *Context)
		end   func(c *Context, endParent func(error), ready chan<- struct{})
		want  error // of the context; nil: ready receives
		made  bool  // whether a context is made
	}{
		{name: "ready", at: time.Hour, end: func(_ *Context, _ func(error), ready chan<- struct{}) { ready <- struct{}{} }},
		{name: "cancelled", at: time.Hour, end: func(c *Context, _ func(error), _ chan<- struct{}) { c.Cancel() }, want: context.Canceled},
		{name: "parent ended", at: time.Hour, end: func(_ *Context, endParent func(error), _ chan<- struct{}) { endParent(nil) },
			want: context.Canceled},
		{name: "deadline", at: time.Hour, end: func(*Context, func(error), chan<- struct{}) { time.Sleep(time.Hour) },
			want: context.DeadlineExceeded},
		{name: "deadline that has passed", at: -1, end: func(*Context, func(error), chan<- struct{}) {},
			want: context.DeadlineExceeded},
		{name: "cancelled before", at: time.Hour, begin: func(c *Context) { c.Cancel() },
			end: func(*Context, func(error), chan<- struct{}) {}, want: context.Canceled},
		{name: "without a deadline", end: func(c *Context, _ func(error), _ chan<- struct{}) { c.Cancel() }, want: context.Canceled, made: true},
		{name: "made before", at: time.Hour, begin: func(c *Context) { c.Done() },
			end: func(c *Context, _ func(error), _ chan<- struct{}) { c.Cancel() }, want: context.Canceled, made: true},
		{name: "made meanwhile", at: time.Hour, end: func(c *Context, _ func(error), _ chan<- struct{}) { c.Done(); c.Cancel() },
			want: context.Canceled, made: true},
	}
	synctest.Test(t, func(t *testing.T) {
		w := NewWaiter()
		for range 2 {
			for _, way := range ways {
				c, endParent := newContext(t, 0)
				if way.at != 0 {
					c.At = time.Now().Add(way.at)
				}
				if way.begin != nil {
					way.begin(c)
				}
				ready, result := make(chan struct{}, 1), make(chan bool, 1)
				go func() { result <- w.Wait(c, ready) }() // ends with c
				synctest.Wait()
				way.end(c, endParent, ready)
				ended := time.Now()
				if received := <-result; received != (way.want == nil) {
					t.Errorf("%s: received: %v", way.name, received)
				}
				if late := time.Since(ended); late != 0 {
					t.Errorf("%s: noticed %v late", way.name, late)
				}
				if made := c.made.Load(); c.waiter.Load() != nil || !way.made && way.want == nil && made != nil {
					t.Errorf("%s: a waiter is left, or %v was made", way.name, made)
				}
				if err := c.Err(); err != way.want {
					t.Errorf("%s: the context has %v, want %v", way.name, err, way.want)
				}
				c.Cancel()
				if len(w.cancelled) > 0 {
					t.Errorf("%s: the next wait would end at once", way.name)
				}
			}
		}
	})
}

// TestWaiter_Parent waits for contexts whose parent is a Context too, and ends either in
// every way. Neither is made while the wait goes well.
func TestWaiter_Parent(t *testing.T) {
	ways := []struct {
		name       string
		at, parent time.Duration // deadlines of the context and its parent; zero: none
		end        func(c, parent *Context, endParent func(error), ready chan<- struct{})
		want       error // of the context; nil: ready receives
		made       bool  // whether the parent is made
	}{
		{name: "ready", at: time.Minute, parent: time.Hour, end: func(_, _ *Context, _ func(error), ready chan<- struct{}) { ready <- struct{}{} }},
		{name: "ready, no deadline above", at: time.Minute, end: func(_, _ *Context, _ func(error), ready chan<- struct{}) { ready <- struct{}{} }},
		{name: "deadline", at: time.Minute, parent: time.Hour, end: func(*Context, *Context, func(error), chan<- struct{}) { time.Sleep(time.Minute) },
			want: context.DeadlineExceeded},
		{name: "the same deadline", at: time.Hour, parent: time.Hour, end: func(*Context, *Context, func(error), chan<- struct{}) { time.Sleep(time.Hour) },
			want: context.DeadlineExceeded},
		{name: "an earlier deadline above", at: time.Hour, parent: time.Minute, end: func(*Context, *Context, func(error), chan<- struct{}) { time.Sleep(time.Minute) },
			want: context.DeadlineExceeded, made: true},
		{name: "cancelled", at: time.Minute, parent: time.Hour, end: func(c, _ *Context, _ func(error), _ chan<- struct{}) { c.Cancel() }, want: context.Canceled},
		{name: "parent cancelled", at: time.Minute, parent: time.Hour, end: func(_, parent *Context, _ func(error), _ chan<- struct{}) { parent.Cancel() },
			want: context.Canceled},
		{name: "both cancelled", at: time.Minute, parent: time.Hour, end: func(c, parent *Context, _ func(error), _ chan<- struct{}) { parent.Cancel(); c.Cancel() },
			want: context.Canceled},
		{name: "the parent's parent ended", at: time.Minute, parent: time.Hour, end: func(_, _ *Context, endParent func(error), _ chan<- struct{}) { endParent(nil) },
			want: context.Canceled},
		{name: "parent made before", at: time.Minute, parent: time.Hour, end: func(_, parent *Context, _ func(error), _ chan<- struct{}) { parent.Cancel() },
			want: context.Canceled, made: true},
		{name: "without a deadline", parent: time.Hour, end: func(_, parent *Context, _ func(error), _ chan<- struct{}) { parent.Cancel() },
			want: context.Canceled, made: true},
	}
	synctest.Test(t, func(t *testing.T) {
		w := NewWaiter()
		for range 2 {
			for _, way := range ways {
				parent, endParent := newContext(t, way.parent)
				c := &Context{Parent: parent}
				if way.at > 0 {
					c.At = time.Now().Add(way.at)
				}
				if way.name == "parent made before" {
					parent.Done()
				}
				ready, result := make(chan struct{}, 1), make(chan bool, 1)
				go func() { result <- w.Wait(c, ready) }() // ends with c
				synctest.Wait()
				if made := parent.made.Load() != nil; made != way.made || parent.waiter.Load() == nil && !made {
					t.Errorf("%s: the parent was made: %v", way.name, made)
				}
				way.end(c, parent, endParent, ready)
				ended := time.Now()
				if received := <-result; received != (way.want == nil) {
					t.Errorf("%s: received: %v", way.name, received)
				}
				if late := time.Since(ended); late != 0 {
					t.Errorf("%s: noticed %v late", way.name, late)
				}
				if err := c.Err(); err != way.want {
					t.Errorf("%s: the context has %v, want %v", way.name, err, way.want)
				}
				c.Cancel()
				parent.Cancel()
				if len(w.cancelled) > 0 || c.waiter.Load() != nil || parent.waiter.Load() != nil {
					t.Errorf("%s: something is left", way.name)
				}
			}
		}
	})
}

// TestWaiter_Two: of two who wait for one context, the second waits as for any other.
func TestWaiter_Two(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newContext(t, time.Hour)
		began := time.Now()
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if NewWaiter().Wait(c, nil) {
					t.Error("received from nil")
				}
			})
		}
		synctest.Wait()
		c.Cancel()
		all.Wait()
		if late := time.Since(began); late != 0 {
			t.Errorf("noticed %v late", late)
		}
	})
}

// TestWaiter_AtOnce: a context that ends while a wait begins or ends leaves nothing
// behind, neither in the context nor in the Waiter.
func TestWaiter_AtOnce(t *testing.T) {
	w := NewWaiter()
	for i := range 2000 {
		parent, endParent := newContext(t, time.Duration(rand.N(100))*time.Microsecond)
		c := parent
		var all sync.WaitGroup
		if i%7 < 4 {
			c = &Context{Parent: parent, At: parent.At.Add(time.Duration(-i%3) * time.Microsecond)}
			all.Go(func() { parent.Cancel() })
		}
		ready := make(chan struct{}, 1)
		all.Go(func() { c.Cancel() })
		if i%2 == 0 {
			all.Go(func() { endParent(errors.New("lost")) })
		}
		if i%3 == 0 {
			all.Go(func() { <-c.Done() })
		}
		if i%5 == 0 {
			all.Go(func() { ready <- struct{}{} })
		}
		if received := w.Wait(c, ready); !received && c.Err() == nil {
			t.Fatal("it ended, and the context has not")
		}
		all.Wait()
		if c.waiter.Load() != nil || parent.waiter.Load() != nil || len(w.cancelled) > 0 {
			t.Fatal("something is left")
		}
	}
}

// TestWaiter_Allocations: waiting makes nothing.
func TestWaiter_Allocations(t *testing.T) {
	w, ready := NewWaiter(), make(chan struct{}, 1)
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := testing.AllocsPerRun(1000, func() {
		c := &Context{Parent: parent, At: time.Now().Add(time.Hour)}
		ready <- struct{}{}
		w.Wait(c, ready)
		c.Cancel()
	})
	if n > 1 {
		t.Errorf("%v allocations, want 1, of the Context", n)
	}
}
