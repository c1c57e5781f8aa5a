package geerpc

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Many add, one at a time sends, and each call is sent once and after those that
// its own caller added before.
func TestOutbox(t *testing.T) {
	type number struct{ adder, n int }
	const adders, each = 8, 2000
	var o outbox
	var working atomic.Bool
	var latest [adders]int // of the one at work
	var wg sync.WaitGroup
	for adder := range adders {
		wg.Go(func() {
			for n := range each {
				w := new(clientCall)
				w.args = number{adder, n + 1}
				if !o.add(w) {
					continue
				}
				if !working.CompareAndSwap(false, true) {
					t.Error("two senders")
				}
				for ended := false; !ended; {
					for w := o.take(); w != nil; w = o.take() {
						call := w.args.(number)
						if call.n != latest[call.adder]+1 {
							t.Errorf("call %d of caller %d comes after %d", call.n, call.adder, latest[call.adder])
						}
						latest[call.adder] = call.n
					}
					working.Store(false)
					if ended = o.stopSender(); !ended {
						working.Store(true)
					}
				}
			}
		})
	}
	wg.Wait()
	for adder, n := range latest {
		if n != each {
			t.Errorf("caller %d: %d calls sent of %d", adder, n, each)
		}
	}
}

// A call may be added again as soon as it has been taken.
func TestOutbox_Again(t *testing.T) {
	var o outbox
	a, b := new(clientCall), new(clientCall)
	if !o.add(a) || o.add(b) {
		t.Fatal("the first of two is not the one to work")
	}
	for i, want := range []*clientCall{a, b, a, b} {
		got := o.take()
		if got != want {
			t.Fatalf("call %d is the wrong one", i)
		}
		if i < 2 && o.add(got) {
			t.Fatal("told to work while another does")
		}
		if i < 3 && o.stopSender() {
			t.Fatalf("ended after call %d", i)
		}
	}
	if o.take() != nil || !o.stopSender() {
		t.Error("no end")
	}
	if !o.add(a) {
		t.Error("nobody works after the end")
	}
}
