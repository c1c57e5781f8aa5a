package geerpc

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Many add, one at a time works, and each job is done once and after those
// that its own adder added before.
func TestCombiner(t *testing.T) {
	type work struct {
		adder, n int
		job      job[work]
	}
	const adders, each = 8, 2000
	var c combiner[work]
	var working atomic.Bool
	var latest [adders]int // of the one at work
	var wg sync.WaitGroup
	for adder := range adders {
		wg.Go(func() {
			for n := range each {
				w := &work{adder: adder, n: n + 1}
				w.job.of = w
				if !c.add(&w.job) {
					continue
				}
				if !working.CompareAndSwap(false, true) {
					t.Error("two at work")
				}
				for ended := false; !ended; {
					for w := c.take(); w != nil; w = c.take() {
						if w.n != latest[w.adder]+1 {
							t.Errorf("job %d of adder %d comes after %d", w.n, w.adder, latest[w.adder])
						}
						latest[w.adder] = w.n
					}
					working.Store(false)
					if ended = c.end(); !ended {
						working.Store(true)
					}
				}
			}
		})
	}
	wg.Wait()
	for adder, n := range latest {
		if n != each {
			t.Errorf("adder %d: %d jobs done of %d", adder, n, each)
		}
	}
}

// A job may be added again as soon as it has been taken.
func TestCombiner_Again(t *testing.T) {
	type work struct{ job job[work] }
	var c combiner[work]
	a, b := new(work), new(work)
	a.job.of, b.job.of = a, b
	if !c.add(&a.job) || c.add(&b.job) {
		t.Fatal("the first of two is not the one to work")
	}
	for i, want := range []*work{a, b, a, b} {
		got := c.take()
		if got != want {
			t.Fatalf("job %d is the wrong one", i)
		}
		if i < 2 && c.add(&got.job) {
			t.Fatal("told to work while another does")
		}
		if i < 3 && c.end() {
			t.Fatalf("ended after job %d", i)
		}
	}
	if c.take() != nil || !c.end() {
		t.Error("no end")
	}
	if !c.add(&a.job) {
		t.Error("nobody works after the end")
	}
}
