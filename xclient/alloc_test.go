//go:build !race

package xclient

import (
	"context"
	"fmt"
	"testing"
	"time"

	"geerpc"
)

// TestAllocationBudget_Timeouts: Timeout and AttemptTimeout add one allocation each. (The
// race detector empties pools at random.)
func TestAllocationBudget_Timeouts(t *testing.T) {
	w := newWorld(t)
	allocations := func(c Config) float64 {
		c.Option = &geerpc.Option{Dialer: w.DialContext}
		xc := New(NewMultiServerDiscovery([]string{w.start(fmt.Sprint(c.Timeout, c.AttemptTimeout))}), c)
		defer xc.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return testing.AllocsPerRun(1000, func() {
			if err := xc.Call(ctx, "Work.Name", 0, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	plain := allocations(Config{})
	for _, c := range []struct {
		name   string
		config Config
		budget float64
	}{
		{"Timeout", Config{Timeout: time.Minute}, 1},
		{"AttemptTimeout", Config{AttemptTimeout: time.Minute}, 1},
		{"both", Config{Timeout: time.Hour, AttemptTimeout: time.Minute}, 2},
	} {
		if more := allocations(c.config) - plain; more > c.budget {
			t.Errorf("%s: %v more allocations a call, the budget is %v", c.name, more, c.budget)
		}
	}
}
