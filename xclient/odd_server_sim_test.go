package xclient

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geerpc"
)

// An oddity is what is wrong with one server of ten.
type oddity struct {
	name  string
	begin func(w *world, a *actor) // before the first call
	later func(w *world, a *actor) // after a third of the time; nil: nothing
}

var oddities = []oddity{
	{"slow", func(_ *world, a *actor) { a.plays(takes(100 * time.Millisecond)) }, nil},
	{"failing", func(_ *world, a *actor) { a.plays(fails(geerpc.CodeInternal)) }, nil},
	{"refusing", func(_ *world, a *actor) {
		a.host.Interceptors = []geerpc.Interceptor{func(geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, _ string, _, _ any) error { return fails(geerpc.CodeResourceExhausted)(ctx) }
		}}
	}, nil},
	{"hanging", func(_ *world, a *actor) { a.plays(hangs) }, nil},
	{"cold", func(_ *world, a *actor) {
		var warm atomic.Bool
		a.plays(func(ctx context.Context) error {
			if warm.Swap(true) {
				return takes(10 * time.Millisecond)(ctx)
			}
			return takes(900 * time.Millisecond)(ctx)
		})
	}, nil},
	{"returning", func(w *world, a *actor) { w.hang(a.host.work.name, true) },
		func(w *world, a *actor) { w.hang(a.host.work.name, false) }},
}

// TestSimulation_OneOddServer shows how each balancer does, in an XClient with
// all defaults, when one server of ten is odd from the first call on: how many
// calls are lost, how long they take, and what share the odd one gets in the
// last third of 15 s. Run with -v to see the table.
func TestSimulation_OneOddServer(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	fmt.Fprintf(&table, "%-10s %-15s %6s %6s %8s %8s  %s\n", "", "", "calls", "lost", "p50", "p99", "the odd one's share")
	for _, o := range oddities {
		for _, b := range balancers {
			inBubble(t, 10, Config{Balancer: b.Balancer, Option: &geerpc.Option{ConnectTimeout: time.Second}}, func(t *testing.T, xc *XClient, w *world, actors []*actor) {
				odd := actors[3]
				o.begin(w, odd)
				c := crowd{xc: xc, every: 10 * time.Millisecond, context: once(time.Second)}
				c.call(5 * time.Second)
				if o.later != nil {
					o.later(w, odd)
				}
				c.call(5 * time.Second)
				before := odd.calls.Load()
				calls := c.call(5 * time.Second)
				share := float64(odd.calls.Load()-before) / float64(calls)
				c.wg.Wait()
				slices.Sort(c.took)
				fmt.Fprintf(&table, "%-10s %-15s %6d %6d %5d ms %5d ms  %s\n", o.name, b.name, c.calls.Load(), c.failed.Load(),
					c.took[len(c.took)/2].Milliseconds(), c.took[len(c.took)*99/100].Milliseconds(), bar(share))
				// A server that hangs loses those calls that come in its first second, and a
				// few others: 16 on average, with a standard deviation of 3.
				if lost := c.failed.Load(); o.name != "failing" && lost > 42 {
					t.Errorf("%s, %s: %d calls are lost", o.name, b.name, lost)
				}
			})
		}
	}
	t.Logf("of ten servers, one is odd\n%s", &table)
}
