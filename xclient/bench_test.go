package xclient

import (
	"context"
	"fmt"
	"testing"

	"geerpc"
)

// nothing is a client's interceptor: a call of it costs next to nothing.
func nothing(geerpc.CallFunc) geerpc.CallFunc {
	return func(context.Context, string, any, any) error { return nil }
}

// BenchmarkCall shows what an XClient adds to a call, by a client that makes
// none.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b)
	opt := &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{nothing}}
	var addrs []string
	for i := range 10 {
		addrs = append(addrs, w.start(fmt.Sprint("s", i)))
	}
	for _, c := range []struct {
		name     string
		balancer Balancer
	}{{"Random", Random()}, {"RoundRobin", RoundRobin()}, {"LeastLoaded", LeastLoaded()}, {"ConsistentHash", ConsistentHash()}} {
		b.Run("balancer="+c.name, func(b *testing.B) {
			xc := New(NewMultiServerDiscovery(addrs), Config{Option: opt, Balancer: c.balancer})
			defer xc.Close()
			b.Run("callers=1", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("callers=many", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						xc.Call(context.Background(), "Work.Name", 0, nil)
					}
				})
			})
		})
	}
}

// TestAllocationBudget: an XClient adds one allocation to a call.
func TestAllocationBudget(t *testing.T) {
	w := newWorld(t)
	opt := &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{nothing}}
	xc := New(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}), Config{Option: opt})
	defer xc.Close()
	n := testing.AllocsPerRun(1000, func() { xc.Call(context.Background(), "Work.Name", nil, nil) })
	if n > 1 {
		t.Errorf("%v allocations a call", n)
	}
}
