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
