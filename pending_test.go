package geerpc

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func newPendingTable(limit int) *pendingTable {
	return &pendingTable{limit: limit, freed: make(chan struct{}, 1), drained: func() {}}
}

// A call that stays for long costs no memory and is still found; the seqs that
// would be in its place are left out.
func TestPendingTable_SlowCall(t *testing.T) {
	table := newPendingTable(0)
	slow, quick := new(waiter), new(waiter)
	slowSeq, _, _ := table.add(t.Context(), slow, nil)
	var last uint64
	for range 100_000 {
		seq, others, err := table.add(t.Context(), quick, nil)
		if err != nil || !others || seq <= last || seq == slowSeq {
			t.Fatalf("seq %d after %d, others %v, %v", seq, last, others, err)
		}
		if got := table.claim(seq); got != quick {
			t.Fatalf("seq %d is %v", seq, got)
		}
		if table.claim(seq) != nil {
			t.Fatalf("seq %d claimed twice", seq)
		}
		last = seq
	}
	if n := len(table.shard(slowSeq).places); n != keptPlaces {
		t.Errorf("%d places for two calls", n)
	}
	if table.claim(slowSeq) != slow || table.inFlight() != 0 {
		t.Error("the slow call is lost")
	}
}

// A reply with the seq 0, which no call has, leaves the calls alone: a place
// without a call has that seq too.
func TestPendingTable_SeqZero(t *testing.T) {
	table := newPendingTable(0)
	calls := make(map[uint64]*waiter)
	for range 10 * pendingShards {
		w := new(waiter)
		seq, _, _ := table.add(t.Context(), w, nil)
		calls[seq] = w
		if table.claim(0) != nil || table.abandon(0) || table.target(0) != nil {
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
		seq, _, _ := table.add(t.Context(), w, nil)
		calls[seq] = w
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
	for i := range table.shards {
		if n := len(table.shards[i].places); n > keptPlaces {
			t.Errorf("shard %d keeps %d places", i, n)
		}
	}
}

// At the limit callers wait, no slot is lost and none given out twice, however
// they crowd.
func TestPendingTable_Limit(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			table := newPendingTable(limit)
			holders := make(chan struct{}, limit)
			var wg sync.WaitGroup
			for caller := range 16 {
				wg.Go(func() {
					for i := range 500 {
						ctx, cancel := context.WithCancel(t.Context())
						if (i+caller)%5 == 0 {
							cancel()
						}
						seq, _, err := table.add(ctx, new(waiter), nil)
						cancel()
						if err != nil {
							continue
						}
						select {
						case holders <- struct{}{}:
						default:
							t.Errorf("more than %d calls in flight", limit)
						}
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

// When the table ends, each call is handed out once, and nobody gets in.
func TestPendingTable_End(t *testing.T) {
	for range 300 {
		table := newPendingTable(0)
		var wg sync.WaitGroup
		var added atomic.Int64
		for range 4 {
			wg.Go(func() {
				for {
					if _, _, err := table.add(t.Context(), new(waiter), nil); err != nil {
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
