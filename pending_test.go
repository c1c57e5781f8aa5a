package geerpc

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func newPendingTable(limit int) *pendingTable {
	return &pendingTable{limit: limit, freed: make(chan struct{}, 1), room: make(chan struct{}, 1), drained: func() {}}
}

// put adds a call, waiting for room.
func (t *pendingTable) put(ctx context.Context, w *waiter, turn *sync.Mutex) (seq uint64, err error) {
	for {
		if err := t.admit(ctx); err != nil {
			return 0, err
		}
		turn.Lock()
		err := t.add(w, false)
		turn.Unlock()
		if err != errFull {
			return w.seq, err
		}
	}
}

// A call that stays for long costs no memory and is still found; the seqs that
// would be in its place are left out.
func TestPendingTable_SlowCall(t *testing.T) {
	table := newPendingTable(0)
	slow, quick := new(waiter), new(waiter)
	table.add(slow, false)
	var last uint64
	for range 100_000 {
		err := table.add(quick, false)
		seq := quick.seq
		if err != nil || seq <= last || seq == slow.seq {
			t.Fatalf("seq %d after %d, %v", seq, last, err)
		}
		if got := table.claim(seq); got != quick {
			t.Fatalf("seq %d is %v", seq, got)
		}
		if table.claim(seq) != nil {
			t.Fatalf("seq %d claimed twice", seq)
		}
		last = seq
	}
	if table.most != 2 {
		t.Errorf("%d calls at a time", table.most)
	}
	if table.claim(slow.seq) != slow || table.inFlight() != 0 {
		t.Error("the slow call is lost")
	}
}

// A reply with the seq 0, which no call has, leaves the calls alone: a place
// without a call has that seq too.
func TestPendingTable_SeqZero(t *testing.T) {
	table := newPendingTable(0)
	calls := make(map[uint64]*waiter)
	for range 80 {
		w := new(waiter)
		table.add(w, false)
		calls[w.seq] = w
		if table.claim(0) != nil || table.abandon(0) || table.copyTarget(0) != nil {
			t.Fatal("there is a call with seq 0")
		}
	}
	if n := table.inFlight(); n != len(calls) {
		t.Errorf("%d slots taken by %d calls", n, len(calls))
	}
	for seq, w := range calls {
		if table.claim(seq) != w {
			t.Errorf("call %d is lost", seq)
		}
	}
}

// However many calls there are, each is found, and afterwards little is kept.
func TestPendingTable_Many(t *testing.T) {
	const many = 10_000
	table := newPendingTable(0)
	calls := map[uint64]*waiter{}
	for range many {
		w := new(waiter)
		table.add(w, false)
		calls[w.seq] = w
	}
	if len(calls) != many || table.inFlight() != many {
		t.Fatalf("%d seqs for %d calls, %d in flight", len(calls), many, table.inFlight())
	}
	for seq, w := range calls {
		if seq%3 == 0 && (!table.abandon(seq) || table.abandon(seq) || table.claim(seq) != nil) {
			t.Fatalf("seq %d: the caller has not left once", seq)
		} else if seq%3 != 0 && table.claim(seq) != w {
			t.Fatalf("seq %d is another call", seq)
		}
	}
	if table.bySeq != nil {
		t.Error("a large map is kept")
	}
}

// At the limit callers wait, no slot is lost and none given out twice, however
// they crowd.
func TestPendingTable_Limit(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			table := newPendingTable(limit)
			holders := make(chan struct{}, limit)
			var turn sync.Mutex
			var wg sync.WaitGroup
			for caller := range 16 {
				wg.Go(func() {
					for i := range 500 {
						ctx, cancel := context.WithCancel(t.Context())
						if (i+caller)%5 == 0 {
							cancel()
						}
						seq, err := table.put(ctx, new(waiter), &turn)
						cancel()
						if err != nil {
							continue
						}
						select {
						case holders <- struct{}{}:
						default:
							t.Errorf("more than %d calls in flight", limit)
						}
						runtime.Gosched()
						<-holders
						table.claim(seq)
					}
				})
			}
			wg.Wait()
			if n := table.inFlight(); n != 0 {
				t.Errorf("%d slots are lost", n)
			}
		})
	}
}

// A slot comes free, and again, before the goroutine that was woken for the
// first time has gone on, and is taken both times. The second wake-up must not
// stay behind: it would let somebody in who comes later, while the table is full.
func TestC160_WakeUpLeftBehind(t *testing.T) {
	table := newPendingTable(1)
	table.add(new(waiter), false)
	waited := make(chan struct{})
	go func() { table.wait(t.Context()); close(waited) }()
	eventually(t, "somebody waits", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		return table.waiting == 1
	})
	table.mu.Lock()
	table.wakeLocked()
	eventually(t, "it has been woken", func() bool { return len(table.freed) == 0 })
	table.wakeLocked() // it waits for the lock, and counts as one that waits for a slot
	table.mu.Unlock()
	<-waited
	if len(table.freed) != 0 {
		t.Error("nobody waits, and a wake-up is left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // a select picks one or the other
		if err := table.wait(ctx); err == nil {
			t.Fatal("let in while the table is full")
		}
	}
}

// Slots that come free while the sender waits for one are the sender's.
func TestPendingTable_Reserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newPendingTable(1)
		first, queued, other := new(waiter), new(waiter), new(waiter)
		table.add(first, false)
		waited := make(chan struct{})
		go func() { table.reserve(); close(waited) }()
		synctest.Wait()
		table.claim(first.seq)
		<-waited
		if !table.isFull() || !table.hasRoom() || table.add(other, false) != errFull {
			t.Error("others are let in")
		}
		if err := table.add(queued, true); err != nil {
			t.Error(err)
		}
		if table.hasRoom() {
			t.Error("there is room for two")
		}
		table.claim(queued.seq)
		table.release()
		if err := table.add(other, false); err != nil {
			t.Error(err)
		}
	})
}

// When the table ends, each call is handed out once, and nobody gets in.
func TestPendingTable_End(t *testing.T) {
	for range 300 {
		table := newPendingTable(0)
		var turn sync.Mutex
		var wg sync.WaitGroup
		var added atomic.Int64
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := table.put(t.Context(), new(waiter), &turn); err != nil {
						return
					}
					added.Add(1)
				}
			})
		}
		for added.Load() < 100 {
			runtime.Gosched()
		}
		left := table.end()
		wg.Wait()
		if int64(len(left)) != added.Load() {
			t.Fatalf("%d calls added, %d left at the end", added.Load(), len(left))
		}
	}
}
