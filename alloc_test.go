//go:build !race

package geerpc

import (
	"context"
	"testing"
	"time"

	"geerpc/codec"
)

// A call allocates no more than this on both ends together. On gob it is the
// reply on the server, and two in reflect. The race detector empties pools at
// random: these figures are without it.
func TestAllocationBudget(t *testing.T) {
	budgets := map[codec.Type]float64{codec.GobType: 4, codec.JsonType: 30, framedJSON: 14}
	for c, budget := range budgets {
		t.Run(string(c), func(t *testing.T) {
			client := newEnv(t, "tcp", c).dial(nil)
			var args any = Args{1, 2}
			var reply Reply
			n := testing.AllocsPerRun(2000, func() {
				if err := client.Call(context.Background(), "Arith.Add", args, &reply); err != nil {
					t.Fatal(err)
				}
			})
			if n > budget {
				t.Errorf("%v allocations a call, the budget is %v", n, budget)
			}
		})
	}
}

// TestAllocation_Deadline: a deadline costs the caller's own context (its channel
// included), and on the server the method's context and the channel that the method asks
// for. The context is an argument too, which reflect wants to have in memory.
func TestAllocation_Deadline(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	if err := e.RegisterName("Test", watcher{}); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	var args any = Args{1, 2}
	var reply Reply
	n := testing.AllocsPerRun(2000, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.Call(ctx, "Test.Add", args, &reply); err != nil {
			t.Fatal(err)
		}
	})
	if budget := 4.0 + 5 + 3; n > budget {
		t.Errorf("%v allocations a call, the budget is %v", n, budget)
	}
}

type watcher struct{}

// Add adds, unless it is too late.
func (watcher) Add(ctx context.Context, args Args, reply *Reply) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	default:
		reply.C = args.A + args.B
		return nil
	}
}

// TestAllocation_Admit: to be asked costs no memory.
func TestAllocation_Admit(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.Admit = append(e.Admit, func(ctx context.Context, _ string) error {
		_, _ = ctx.Deadline()
		return ctx.Err()
	})
	e.dial(nil)
	c := e.onlyConn()
	if n := testing.AllocsPerRun(100, func() { c.admit("Arith.Add", time.Second, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
