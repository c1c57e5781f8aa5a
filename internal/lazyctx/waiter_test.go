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
		c, endParent := newContext(t, time.Duration(rand.N(100))*time.Microsecond)
		ready := make(chan struct{}, 1)
		var all sync.WaitGroup
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
		if c.waiter.Load() != nil || len(w.cancelled) > 0 {
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
