package readturn

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func nobodyMissed() bool { return false }

// await runs Await in a goroutine, and returns where its result comes.
func await(t *Turn, end <-chan struct{}, interrupt func()) <-chan End {
	result := make(chan End, 1)
	go func() { result <- t.Await(end, interrupt) }()
	return result
}

func mustBorrow(t *testing.T, turn *Turn, want bool) {
	t.Helper()
	if got := turn.Borrow(); got != want {
		t.Fatalf("Borrow is %v", got)
	}
}

func TestUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := New(nobodyMissed)
		mustBorrow(t, turn, false)
		turn.Lend()
		begun := time.Now()
		if end := turn.Await(nil, nil); end != Unused {
			t.Errorf("the loan ended with %v", end)
		}
		if took := time.Since(begun); took > 2*Look {
			t.Errorf("it took %v", took)
		}
		mustBorrow(t, turn, false)
	})
}

func TestLoanGoesOnWhileUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := New(nobodyMissed)
		turn.Lend()
		result := await(turn, nil, nil)
		for range 100 {
			mustBorrow(t, turn, true)
			mustBorrow(t, turn, false)
			time.Sleep(Look / 2)
			turn.GiveBack()
		}
		if turn.Borrows() != 100 {
			t.Errorf("it was borrowed %d times", turn.Borrows())
		}
		if end := <-result; end != Unused {
			t.Errorf("the loan ended with %v", end)
		}
	})
}

func TestInterrupted(t *testing.T) {
	for _, giveBack := range []func(*Turn){(*Turn).GiveBack, (*Turn).HandOver} {
		synctest.Test(t, func(t *testing.T) {
			turn := New(nobodyMissed)
			turn.Lend()
			interrupted := make(chan struct{})
			mustBorrow(t, turn, true)
			result := await(turn, nil, func() { close(interrupted) })
			begun := time.Now()
			<-interrupted
			if took := time.Since(begun); took > 2*Look {
				t.Errorf("it was interrupted after %v", took)
			}
			giveBack(turn)
			if end := <-result; end != Interrupted {
				t.Errorf("the loan ended with %v", end)
			}
			mustBorrow(t, turn, false)
		})
	}
}

func TestReturned(t *testing.T) {
	for name, giveBack := range map[string]func(*Turn){
		"Recall":   (*Turn).Recall,
		"HandOver": func(turn *Turn) { turn.Borrow(); turn.HandOver() },
		"missed": func(turn *Turn) {
			turn.Borrow()
			turn.missed = func() bool { return true }
			turn.GiveBack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn := New(nobodyMissed)
				turn.Lend()
				giveBack(turn)
				mustBorrow(t, turn, false)
				begun := time.Now()
				if end := turn.Await(nil, nil); end != Returned || time.Since(begun) > 0 {
					t.Errorf("the loan ended with %v after %v", end, time.Since(begun))
				}
			})
		})
	}
}

func TestRecallLeavesABorrowerAlone(t *testing.T) {
	turn := New(nobodyMissed)
	turn.Recall() // it is not on loan: nothing happens
	turn.Lend()
	mustBorrow(t, turn, true)
	turn.Recall()
	select {
	case <-turn.back:
		t.Fatal("the turn was recalled from a borrower")
	default:
	}
	turn.GiveBack()
	mustBorrow(t, turn, true)
}

func TestLendWhereSomebodyWaits(t *testing.T) {
	turn := New(func() bool { return true })
	turn.Lend()
	mustBorrow(t, turn, false)
	if end := turn.Await(nil, nil); end != Returned {
		t.Errorf("the loan ended with %v", end)
	}
}

func TestEnd(t *testing.T) {
	for _, borrow := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			turn := New(nobodyMissed)
			turn.Lend()
			end := make(chan struct{})
			want := Unused
			if borrow {
				mustBorrow(t, turn, true)
				want = Interrupted
			}
			begun := time.Now()
			result := await(turn, end, turn.HandOver)
			close(end)
			if got := <-result; got != want || time.Since(begun) > 0 {
				t.Errorf("the loan ended with %v after %v, want %v at once", got, time.Since(begun), want)
			}
		})
	}
}

// TestOneAtATime has many goroutines borrow and recall the turn while its owner lends it
// again and again. The race detector sees whether two have it at a time.
func TestOneAtATime(t *testing.T) {
	var waiting atomic.Int32
	turn := New(func() bool { return waiting.Load() > 2 })
	guarded, stop := 0, make(chan struct{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				waiting.Add(1)
				switch {
				case i == 7:
					turn.Recall()
				case turn.Borrow():
					guarded++
					if i%2 == 0 {
						turn.GiveBack()
					} else {
						turn.HandOver()
					}
				}
				waiting.Add(-1)
			}
		})
	}
	for range 2000 {
		guarded++
		turn.Lend()
		turn.Await(nil, func() {})
	}
	close(stop)
	wg.Wait()
	if guarded < 2000 {
		t.Errorf("it was used %d times", guarded)
	}
}
