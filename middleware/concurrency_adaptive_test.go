package middleware

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A resource does so many calls at a time, each in a random time around took, and
// has all others wait, first come, first served, whether or not their callers are
// still there.
type resource struct {
	slots chan struct{}
	took  atomic.Int64
}

func newResource(slots int, took time.Duration) *resource {
	r := &resource{slots: make(chan struct{}, slots)}
	r.took.Store(int64(took))
	return r
}

func (r *resource) call(ctx context.Context, _ string, _, _ any) error {
	r.slots <- struct{}{}
	took := time.Duration(r.took.Load())
	time.Sleep(took/2 + rand.N(took))
	<-r.slots
	return ctx.Err()
}

// offer is load from outside, whatever becomes of it: so many calls a second.
func offer(t *testing.T, c *Concurrency, r *resource, rate int, length, deadline time.Duration) (good int64) {
	var inTime atomic.Int64
	var calls sync.WaitGroup
	f := c.Intercept(r.call)
	for range int(length.Seconds() * float64(rate)) {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if f(ctx, "Arith.Add", nil, nil) == nil {
				inTime.Add(1)
			}
		})
		time.Sleep(time.Second / time.Duration(rate))
	}
	calls.Wait()
	return inTime.Load()
}

// TestConcurrency_Adaptive: ten slots of 10 ms are a capacity of a thousand calls a second.
func TestConcurrency_Adaptive(t *testing.T) {
	for _, c := range []struct {
		name        string
		rate        int
		deadline    time.Duration
		least, most int // limit, the median of the last ten seconds
		share       float64
	}{
		{"half of it", 500, time.Second, 4, 40, 0.9},
		{"mild overload", 1100, time.Second, 8, 40, 0.85},
		{"twice", 2000, time.Second, 8, 40, 0.85},
		{"three times", 3000, time.Second, 8, 40, 0.85},
		{"twice, short deadlines", 2000, 40 * time.Millisecond, 8, 40, 0.85},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &Concurrency{}
				r := newResource(10, 10*time.Millisecond)
				offer(t, l, r, c.rate, 10*time.Second, c.deadline)
				limits := medianLimit(l, 10*time.Second)
				good := offer(t, l, r, c.rate, 10*time.Second, c.deadline)
				got, share := <-limits, float64(good)/10/float64(min(c.rate, 1000))
				t.Logf("limit %d, %.0f %% of what was possible", got, 100*share)
				if got < c.least || got > c.most || share < c.share {
					t.Errorf("the limit is %d, want %d to %d; %.0f %% of what was possible, want %.0f %%", got, c.least, c.most, 100*share, 100*c.share)
				}
			})
		})
	}
}

// medianLimit looks at the limit ten times a second for some time, beside the caller. It is lower for a moment now and
// then, when the limiter measures how long a call takes that need not wait.
func medianLimit(c *Concurrency, length time.Duration) <-chan int {
	median := make(chan int, 1)
	go func() { // ends with the length
		var seen []int
		for range int(length.Seconds() * 10) {
			time.Sleep(time.Second / 10)
			seen = append(seen, c.Limits()[""])
		}
		slices.Sort(seen)
		median <- seen[len(seen)/2]
	}()
	return median
}

// TestConcurrency_MildOverload: for five minutes there is a tenth more than can be
// done. The limit does not creep up, and calls do not become slower.
func TestConcurrency_MildOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Concurrency{}
		r := newResource(4, 20*time.Millisecond)
		offer(t, l, r, 220, 10*time.Second, time.Second)
		for minute := range 5 {
			limits := medianLimit(l, time.Minute)
			good := offer(t, l, r, 220, time.Minute, 120*time.Millisecond)
			if got := <-limits; got > 15 || float64(good) < 0.85*200*60 {
				t.Errorf("after %d minutes the limit is %d, and %d calls of 12,000 were good", minute+1, got, good)
			}
		}
	})
}

// TestConcurrency_AllTimeOut: nothing is ever answered, so no latency says that
// there is too much; the limit goes to its floor, and comes back.
func TestConcurrency_AllTimeOut(t *testing.T) {
	for name, before := range map[string]time.Duration{"from the start": 0, "after good times": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &Concurrency{Min: 2}
				r := newResource(10, 10*time.Millisecond)
				offer(t, l, r, 900, before, time.Second)
				hang := l.Intercept(func(ctx context.Context, _ string, _, _ any) error {
					<-ctx.Done()
					return ctx.Err()
				})
				var calls sync.WaitGroup
				for range 10_000 { // ten seconds
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
						defer cancel()
						hang(ctx, "Arith.Add", nil, nil)
					})
					time.Sleep(time.Millisecond)
				}
				calls.Wait()
				if got := l.Limits()[""]; got != 2 {
					t.Errorf("the limit is %d, want the floor", got)
				}
				offer(t, l, r, 900, 20*time.Second, time.Second)
				if good := offer(t, l, r, 900, 10*time.Second, time.Second); good < 8000 {
					t.Errorf("%d calls of 9,000 are good after the outage; the limit is %v", good, l.Limits())
				}
			})
		})
	}
}

// TestConcurrency_Slower: when everything takes five times as long, for good,
// that becomes the baseline.
func TestConcurrency_Slower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Concurrency{}
		r := newResource(20, 10*time.Millisecond)
		offer(t, l, r, 1900, 20*time.Second, time.Second)
		r.took.Store(int64(50 * time.Millisecond))
		offer(t, l, r, 600, 20*time.Second, time.Second)
		limits := medianLimit(l, 20*time.Second)
		good := offer(t, l, r, 600, 20*time.Second, time.Second)
		if got := <-limits; got < 16 || got > 100 || good < 7200 {
			t.Errorf("the limit is %d; %d of 8,000 calls are good", got, good)
		}
	})
}

// TestConcurrency_SaysNothing: what is cancelled, refused or fails changes no limit,
// and a caller without time for an answer does not either.
func TestConcurrency_SaysNothing(t *testing.T) {
	var l adaptiveLimit
	l.prepare(0, 0)
	at := time.Duration(0)
	feed := func(n int, took time.Duration, said load) {
		for range n {
			at += 10 * time.Millisecond
			l.begin(at-took, 16)
			l.end(at, took, said, 16)
		}
	}
	feed(100, 10*time.Millisecond, answered)
	want := l
	feed(1000, 0, saysNothing)
	feed(1000, 9*time.Millisecond, overloaded)
	if l != want {
		t.Errorf("the limit is %+v, want %+v", l, want)
	}
	feed(100, 20*time.Millisecond, overloaded)
	if l.now() >= want.now() {
		t.Errorf("the limit is still %d", l.now())
	}
}

// TestConcurrency_FloorAndCeiling: whatever the samples, the limit stays in its
// range.
func TestConcurrency_FloorAndCeiling(t *testing.T) {
	var l adaptiveLimit
	l.prepare(3, 50)
	at := time.Duration(0)
	for range 200_000 {
		at += rand.N(100 * time.Millisecond)
		l.reached = rand.N(2) == 0
		l.begin(at, rand.N(60))
		l.end(at, rand.N(time.Second), load(rand.N(3)), rand.N(60))
		if n := l.now(); n < 3 || n > 50 {
			t.Fatalf("the limit is %d", n)
		}
	}
}
