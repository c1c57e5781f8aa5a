package geerpc

import (
	"sync"
	"testing"
	"testing/synctest"
)

// Many add, one sends, and each call is sent once and after those that its own caller
// added before. What is queued when the outbox is closed stays for take.
func TestOutbox(t *testing.T) {
	type number struct{ adder, n int }
	const adders, each = 8, 2000
	var o outbox
	var latest [adders]int // of the sender
	var adding, sender sync.WaitGroup
	send := func() {
		for w := o.take(); w != nil; w = o.take() {
			call := w.args.(number)
			if call.n != latest[call.adder]+1 {
				t.Errorf("call %d of caller %d comes after %d", call.n, call.adder, latest[call.adder])
			}
			latest[call.adder] = call.n
		}
	}
	started := false // a second sender would be a race here and at latest
	for adder := range adders {
		adding.Go(func() {
			for n := range each {
				w := new(clientCall)
				w.args = number{adder, n + 1}
				if o.add(w) {
					if started {
						t.Error("two senders")
					}
					started = true
					sender.Go(func() {
						for o.wait() {
							send()
						}
					})
				}
			}
		})
	}
	adding.Wait()
	o.close()
	sender.Wait()
	send()
	for adder, n := range latest {
		if n != each {
			t.Errorf("caller %d: %d calls sent of %d", adder, n, each)
		}
	}
}

// A call may be added again as soon as it has been taken, and the sender sleeps only
// when nothing is queued.
func TestOutbox_Again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		a, b := new(clientCall), new(clientCall)
		if !o.add(a) || o.add(b) {
			t.Fatal("the first of two is not the one that starts the sender")
		}
		for i, want := range []*clientCall{a, b, a, b} {
			if !o.wait() || !o.isBusy() {
				t.Fatalf("the sender is not to send call %d", i)
			}
			got := o.take()
			if got != want {
				t.Fatalf("call %d is the wrong one", i)
			}
			if i < 2 && o.add(got) {
				t.Fatal("told to start a second sender")
			}
		}
		woken := false
		go func() { woken = o.wait() }()
		synctest.Wait()
		if o.isBusy() {
			t.Error("busy with nothing")
		}
		if o.add(a) {
			t.Error("told to start a second sender")
		}
		synctest.Wait()
		if !woken || !o.isBusy() {
			t.Error("the sender still sleeps")
		}
		o.close()
		if o.wait() || o.take() != a {
			t.Error("closed: the sender goes on, or what is queued is lost")
		}
	})
}
