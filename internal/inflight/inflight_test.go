package inflight

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type call struct{ seq uint64 }

func (c *call) SetSeq(seq uint64) { c.seq = seq }

func newTable(limit int) *Table[*call] {
	t := New[*call](nil, func() {})
	t.SetLimit(limit)
	return t
}

// put adds a call, and waits for room.
func put(ctx context.Context, t *Table[*call], c *call, writeTurn *sync.Mutex) (seq uint64, err error) {
	for {
		if err := t.Admit(ctx); err != nil {
			return 0, err
		}
		writeTurn.Lock()
		err := t.Add(c, false)
		writeTurn.Unlock()
		if err != ErrFull {
			return c.seq, err
		}
	}
}

// eventually waits until ok reports true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) { // between two looks; nothing says when it comes true
		if time.Now().After(deadline) {
			t.Fatalf("timeout: %s", what)
		}
	}
}

// visited reports whether a call is there to be visited.
func visited(t *Table[*call], seq uint64) (found bool) {
	t.Visit(seq, func(*call) { found = true })
	return found
}

// A call that stays for long costs no memory and is still found; the seqs that
// would be in its place are left out.
func TestTable_SlowCall(t *testing.T) {
	table := newTable(0)
	slow, quick := new(call), new(call)
	table.Add(slow, false)
	var last uint64
	for range 100_000 {
		err := table.Add(quick, false)
		seq := quick.seq
		if err != nil || seq <= last || seq == slow.seq {
			t.Fatalf("seq %d after %d, %v", seq, last, err)
		}
		if got := table.Claim(seq); got != quick {
			t.Fatalf("seq %d is %v", seq, got)
		}
		if table.Claim(seq) != nil {
			t.Fatalf("seq %d claimed twice", seq)
		}
		last = seq
	}
	if places := len(table.calls.places); places > firstPlaces {
		t.Errorf("%d places for two calls", places)
	}
	if table.Claim(slow.seq) != slow || table.Len() != 0 {
		t.Error("the slow call is lost")
	}
}

// A reply with the seq 0, which no call has, leaves the calls alone: a place
// without a call has that seq too.
func TestTable_SeqZero(t *testing.T) {
	table := newTable(0)
	calls := make(map[uint64]*call)
	for range 80 {
		c := new(call)
		table.Add(c, false)
		calls[c.seq] = c
		if table.Claim(0) != nil || table.Abandon(0) || visited(table, 0) {
			t.Fatal("there is a call with seq 0")
		}
	}
	if n := table.Len(); n != len(calls) {
		t.Errorf("%d slots taken by %d calls", n, len(calls))
	}
	for seq, c := range calls {
		if table.Claim(seq) != c {
			t.Errorf("call %d is lost", seq)
		}
	}
}

// However many calls there are, each is found, and afterwards little is kept.
func TestTable_Many(t *testing.T) {
	const many = 10_000
	table := newTable(0)
	calls := map[uint64]*call{}
	for range many {
		c := new(call)
		table.Add(c, false)
		calls[c.seq] = c
	}
	if len(calls) != many || table.Len() != many {
		t.Fatalf("%d seqs for %d calls, %d in flight", len(calls), many, table.Len())
	}
	for seq, c := range calls {
		if seq%3 == 0 && (!table.Abandon(seq) || table.Abandon(seq) || table.Claim(seq) != nil) {
			t.Fatalf("seq %d: the caller has not left once", seq)
		} else if seq%3 != 0 && table.Claim(seq) != c {
			t.Fatalf("seq %d is another call", seq)
		}
	}
	if table.calls.places != nil {
		t.Error("a large ring is kept")
	}
}

// At the limit callers wait, no slot is lost and none given out twice, however
// they crowd.
func TestTable_Limit(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			table := newTable(limit)
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
						seq, err := put(ctx, table, new(call), &turn)
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
						table.Claim(seq)
					}
				})
			}
			wg.Wait()
			if n := table.Len(); n != 0 {
				t.Errorf("%d slots are lost", n)
			}
		})
	}
}

// A slot comes free, and again, before the goroutine that was woken for the
// first time has gone on, and is taken both times. The second wake-up must not
// stay behind: it would let somebody in who comes later, while the table is full.
func TestC160_WakeUpLeftBehind(t *testing.T) {
	table := newTable(1)
	table.Add(new(call), false)
	waited := make(chan struct{})
	go func() { table.wait(t.Context()); close(waited) }()
	eventually(t, "somebody waits", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		return table.waiting == 1
	})
	table.mu.Lock()
	table.wakeLocked()
	eventually(t, "it has been woken", func() bool { return len(table.admitting) == 0 })
	table.wakeLocked() // it waits for the lock, and counts as one that waits for a slot
	table.mu.Unlock()
	<-waited
	if len(table.admitting) != 0 {
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
func TestTable_Reserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(1)
		first, queued, other := new(call), new(call), new(call)
		table.Add(first, false)
		waited := make(chan struct{})
		go func() { table.Reserve(); close(waited) }()
		synctest.Wait()
		table.Claim(first.seq)
		<-waited
		if !table.mustWait() || !table.HasRoom() || table.Add(other, false) != ErrFull {
			t.Error("others are let in")
		}
		if err := table.Add(queued, true); err != nil {
			t.Error(err)
		}
		if table.HasRoom() {
			t.Error("there is room for two")
		}
		table.Claim(queued.seq)
		table.Release()
		if err := table.Add(other, false); err != nil {
			t.Error(err)
		}
	})
}

// When the table ends, each call is handed out once, and nobody gets in.
func TestTable_End(t *testing.T) {
	for range 300 {
		table := newTable(0)
		var turn sync.Mutex
		var wg sync.WaitGroup
		var added atomic.Int64
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := put(t.Context(), table, new(call), &turn); err != nil {
						return
					}
					added.Add(1)
				}
			})
		}
		for added.Load() < 100 {
			runtime.Gosched()
		}
		left := table.End()
		wg.Wait()
		if int64(len(left)) != added.Load() {
			t.Fatalf("%d calls added, %d left at the end", added.Load(), len(left))
		}
	}
}
