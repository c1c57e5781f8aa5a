package middleware

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestConcurrency_Fixed: of a thousand calls at once exactly as many pass as have a
// slot or a place in the queue, never more at a time than there are slots.
func TestConcurrency_Fixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Concurrency{Limit: 7, Queue: 20, QueueTime: -1}
		var underWay, most, passed atomic.Int64
		f := c.Intercept(func(context.Context, string, any, any) error {
			n := underWay.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(time.Second)
			underWay.Add(-1)
			passed.Add(1)
			return nil
		})
		together(1000, func(int) {
			if err := f(t.Context(), "Arith.Add", nil, nil); err != nil {
				wantRefusal(t, err, geerpc.CodeResourceExhausted, "concurrency", "the queue is full")
			}
		})
		if passed.Load() != 27 || most.Load() != 7 {
			t.Errorf("%d calls passed, %d at a time", passed.Load(), most.Load())
		}
		if n := c.Refused()["the queue is full"]; n != 973 {
			t.Errorf("%d calls were refused", n)
		}
	})
}

// hold takes a slot until the test says so.
func hold(t *testing.T, c *Concurrency) (free func()) {
	gate := make(chan struct{})
	go c.Intercept(func(context.Context, string, any, any) error { <-gate; return nil })(t.Context(), "Arith.Add", nil, nil)
	synctest.Wait()
	return func() { close(gate); synctest.Wait() }
}

// TestConcurrency_Queue: calls get slots in their order, wait no longer than they
// may, and one that leaves costs no slot.
func TestConcurrency_Queue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Concurrency{Limit: 1, Queue: 10}
		free := hold(t, c)
		var order []int
		var mu sync.Mutex
		errs := make([]error, 5)
		gone, leave := context.WithCancel(t.Context())
		for i := range 5 {
			ctx := t.Context()
			if i == 2 {
				ctx = gone
			}
			go func() {
				errs[i] = c.Intercept(func(context.Context, string, any, any) error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
					return nil
				})(ctx, "Arith.Add", nil, nil)
			}()
			synctest.Wait()
			time.Sleep(DefaultQueueTime / 10)
		}
		leave()
		time.Sleep(DefaultQueueTime/2 + 1) // the first has waited for as long as it may
		free()
		if got := fmt.Sprint(order); got != "[1 3 4]" {
			t.Errorf("the order is %v", got)
		}
		wantRefusal(t, errs[0], geerpc.CodeResourceExhausted, "concurrency", "waited too long")
		var e *geerpc.Error
		if !errors.As(errs[2], &e) || e.Code != geerpc.CodeCanceled || e.Ran != geerpc.RanNever {
			t.Errorf("who left got %v", errs[2])
		}
		wantSlots(t, c, 0)
	})
}

// wantSlots checks how many slots are taken, and that nobody waits.
func wantSlots(t *testing.T, c *Concurrency, want int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.slots.entries {
		if e.state.underWay != want || e.state.queue.Len() != 0 {
			t.Errorf("%q: %d slots are taken, %d calls wait", key, e.state.underWay, e.state.queue.Len())
		}
	}
}

// TestConcurrency_LeavesAsGranted: calls leave the queue, by their context or their
// time, at the same moment as they get a slot. None is lost.
func TestConcurrency_LeavesAsGranted(t *testing.T) {
	c := &Concurrency{Limit: 3, Queue: 100, QueueTime: 100 * time.Microsecond}
	f := c.Intercept(func(context.Context, string, any, any) error {
		time.Sleep(rand.N(100 * time.Microsecond)) // what is looked for is a race of real timers
		return nil
	})
	together(50, func(int) {
		for range 200 {
			ctx, cancel := context.WithTimeout(context.Background(), rand.N(200*time.Microsecond))
			f(ctx, "Arith.Add", nil, nil)
			cancel()
		}
	})
	wantSlots(t, c, 0)
}

// TestG72_SlotsAfterPanics: a slot is given back whatever happens to its call.
func TestG72_SlotsAfterPanics(t *testing.T) {
	c := &Concurrency{Limit: 1}
	for _, end := range []func(){func() { panic("no call") }, runtime.Goexit} {
		var done sync.WaitGroup
		done.Go(func() {
			defer func() { recover() }()
			c.Intercept(func(context.Context, string, any, any) error { end(); return nil })(t.Context(), "Arith.Add", nil, nil)
		})
		done.Wait()
		wantSlots(t, c, 0)
	}
	bad := &Concurrency{Key: func(context.Context, string) string { panic("no key") }}
	if p := panics(func() { call(t.Context(), bad.Intercept) }); p != "no key" {
		t.Error(p)
	}
}

// TestConcurrency_MaxKeys: keys with calls under way are not forgotten, so nobody
// gets more slots by making up keys. Others are.
func TestConcurrency_MaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Concurrency{Limit: 1, Key: testKey, MaxKeys: 3}
		gate := make(chan struct{})
		begin := func(key string) (err error) {
			ended := make(chan struct{})
			go func() {
				err = c.Intercept(func(context.Context, string, any, any) error { <-gate; return nil })(withKey(t.Context(), key), "", nil, nil)
				close(ended)
			}()
			synctest.Wait()
			select {
			case <-ended:
				return err
			default:
				return nil
			}
		}
		for _, key := range []string{"a", "b", "c"} {
			if err := begin(key); err != nil {
				t.Fatal(err)
			}
		}
		wantRefusal(t, begin("d"), geerpc.CodeResourceExhausted, "concurrency", "too many keys")
		wantRefusal(t, begin("a"), geerpc.CodeResourceExhausted, "concurrency", "all slots are taken")
		close(gate)
		synctest.Wait()
		for i := range 1000 {
			if err := begin(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(c.Limits()); n != 3 {
			t.Errorf("%d keys are remembered", n)
		}
	})
}

// TestConcurrency_MaxKeysIdle: however many keys have calls under way, and whichever
// came first, a new key is let in as long as one has none.
func TestConcurrency_MaxKeysIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Concurrency{Limit: 1, Key: testKey, MaxKeys: 20}
		gate := make(chan struct{})
		wait := c.Intercept(func(context.Context, string, any, any) error { <-gate; return nil })
		for i := range 19 {
			go wait(withKey(t.Context(), fmt.Sprint("busy", i)), "", nil, nil)
			synctest.Wait()
		}
		f := c.Intercept(works)
		for i := range 100 {
			if err := f(withKey(t.Context(), fmt.Sprint("new", i)), "", nil, nil); err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
			if i%3 == 0 { // refused, and still not forgotten
				err := f(withKey(t.Context(), fmt.Sprint("busy", i%19)), "", nil, nil)
				wantRefusal(t, err, geerpc.CodeResourceExhausted, "concurrency", "all slots are taken")
			}
		}
		close(gate)
		synctest.Wait()
		if n := len(c.Limits()); n != 20 {
			t.Errorf("%d keys are remembered", n)
		}
		time.Sleep(time.Hour)
		for i := range 20 {
			f(withKey(t.Context(), fmt.Sprint("late", i)), "", nil, nil)
			time.Sleep(2 * time.Minute)
		}
		if n := len(c.Limits()); n > 2 {
			t.Errorf("%d keys are remembered, though one was used of late", n)
		}
	})
}

func TestConcurrency_Unlimited(t *testing.T) {
	c := &Concurrency{Limit: -1}
	if err := call(t.Context(), c.Intercept); err != nil || len(c.Limits()) != 0 {
		t.Errorf("%v, %v", err, c.Limits())
	}
}

func TestConcurrency_Allocs(t *testing.T) {
	wantAllocs(t, 1, (&Concurrency{}).Intercept)
	wantAllocs(t, 1, (&Concurrency{Limit: 10}).Intercept)
}

func BenchmarkConcurrency(b *testing.B) {
	b.Run("fixed", func(b *testing.B) { benchmark(b, (&Concurrency{Limit: 1000}).Intercept) })
	b.Run("adaptive", func(b *testing.B) { benchmark(b, (&Concurrency{Min: 1000}).Intercept) })
}
