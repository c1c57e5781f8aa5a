package budget

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(0.5, 2)
		for range 10 {
			b.AddCall()
		}
		if left := b.Left(); left != 5 {
			t.Errorf("10 calls allow %v further attempts, want 5", left)
		}
		for range 6 {
			b.Spend()
		}
		if made, refused := b.Counts(); made != 5 || refused != 1 {
			t.Errorf("%d made and %d refused, want 5 and 1", made, refused)
		}
		time.Sleep(window * time.Second)
		if left := b.Left(); left != 2 {
			t.Errorf("%v left when the calls are forgotten, want the floor", left)
		}
		if left := New(-1, 0).Left(); !math.IsInf(left, 1) {
			t.Errorf("without a limit %v are left", left)
		}
	})
}

// Many calls come at the moment at which another second begins: each counts.
func TestBudget_EachCallCounts(t *testing.T) {
	const callers, calls = 8, 2
	for range 2000 {
		synctest.Test(t, func(t *testing.T) {
			b := New(1, 0)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range calls {
						time.Sleep(time.Second)
						b.AddCall()
					}
				})
			}
			wg.Wait()
			if left := b.Left(); left != callers*calls {
				t.Fatalf("%v of %d calls are counted", left, callers*calls)
			}
		})
	}
}
