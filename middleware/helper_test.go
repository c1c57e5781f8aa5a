package middleware

import (
	"context"
	"sync"
	"testing"

	"geerpc"
)

// works is a CallFunc that works at once.
func works(context.Context, string, any, any) error { return nil }

// call makes a call through an interceptor of which nothing matters but whether
// it passes.
func call(ctx context.Context, i geerpc.Interceptor) error {
	return i(works)(ctx, "Arith.Add", nil, nil)
}

// panics reports what f panics with, nil if it does not.
func panics(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// together calls f on so many goroutines, and waits for them.
func together(n int, f func(i int)) {
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { f(i) })
	}
	running.Wait()
}

// wantAllocs checks that a call through an interceptor makes at most so many
// allocations.
func wantAllocs(t *testing.T, most float64, i geerpc.Interceptor) {
	t.Helper()
	f := i(works)
	ctx := t.Context()
	got := testing.AllocsPerRun(1000, func() { f(ctx, "Arith.Add", nil, nil) })
	if got > most {
		t.Errorf("%v allocations a call, want at most %v", got, most)
	}
}

// benchmark measures calls through an interceptor, by one caller and by many.
func benchmark(b *testing.B, i geerpc.Interceptor) {
	f := i(works)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f(b.Context(), "Arith.Add", nil, nil)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				f(b.Context(), "Arith.Add", nil, nil)
			}
		})
	})
}
