package middleware

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc"
)

// TestMetrics_ScrapeUnderLoad reads metrics all the time while 128 callers work:
// whatever a scrape sees agrees with itself and with those before it, and at the
// end no call is missing.
func TestMetrics_ScrapeUnderLoad(t *testing.T) {
	const callers, calls = 128, 300
	m := &Metrics{ServerMethods: []string{"A.B"}}
	good, bad := m.Server(works), m.Server(ended(io.EOF))
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for range calls {
				good(t.Context(), "A.B", nil, nil)
				bad(t.Context(), "A.C", nil, nil)
			}
		})
	}
	done := make(chan struct{})
	go func() { // ends with the callers
		running.Wait()
		close(done)
	}()
	before := make(map[string]float64)
	for under := true; under; {
		select {
		case <-done:
			under = false
		default:
		}
		now := samples(t, m)
		for key, value := range now {
			if strings.HasPrefix(key, "rpc_") && value < before[key] {
				t.Fatalf("%s goes from %v to %v", key, before[key], value)
			}
			if inf := strings.Replace(key, `_count{`, `_bucket{`, 1); inf != key && now[strings.TrimSuffix(inf, "}")+`,le="+Inf"}`] != value {
				t.Fatalf("%s is %v, and its last bucket is not", key, value)
			}
			if strings.Contains(key, "in_flight") && (value < 0 || value > callers) {
				t.Fatalf("%s is %v", key, value)
			}
		}
		before = now
	}
	wantSamples(t, m, map[string]float64{
		`rpc_server_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="OK"}`:                           callers * calls,
		`rpc_server_call_duration_seconds_count{rpc_method="A.C",rpc_status_code="UNKNOWN",error_type="UNKNOWN"}`: callers * calls,
		`geerpc_server_calls_in_flight{rpc_method="A.B"}`:                                                         0,
	})
}

// TestMetrics_FirstCallsAtOnce holds that no call is missing where the first calls
// of a method meet.
func TestMetrics_FirstCallsAtOnce(t *testing.T) {
	for range 500 {
		m := new(Metrics)
		f := m.Client(works)
		together(16, func(int) { f(t.Context(), "A.B", nil, nil) })
		const key = `rpc_client_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="OK"}`
		if n := samples(t, m)[key]; n != 16 {
			t.Fatalf("%v calls of 16", n)
		}
	}
}

// BenchmarkMetrics has 128 callers of one method, or each of its own, with and
// without a scrape each millisecond, which is 15,000 times what is usual.
func BenchmarkMetrics(b *testing.B) {
	for _, scrapes := range []string{"no scrapes", "a scrape each ms"} {
		b.Run("one method, "+scrapes, func(b *testing.B) {
			m := new(Metrics)
			benchmarkMetrics(b, m, scrapes != "no scrapes", m.Server(works))
		})
	}
	b.Run("one caller", func(b *testing.B) {
		f := new(Metrics).Server(works)
		b.ReportAllocs()
		for b.Loop() {
			f(b.Context(), "Arith.Add", nil, nil)
		}
	})
	b.Run("errors", func(b *testing.B) {
		f := new(Metrics).Server(ended(geerpc.Errorf(geerpc.CodeAborted, "no")))
		b.ReportAllocs()
		for b.Loop() {
			f(b.Context(), "Arith.Add", nil, nil)
		}
	})
	b.Run("scrape of 100 methods", func(b *testing.B) {
		m := new(Metrics)
		for i := range 100 {
			m.ServerMethods = append(m.ServerMethods, "Arith.Add"+strings.Repeat("x", i))
		}
		b.ReportAllocs()
		for b.Loop() {
			m.WriteText(io.Discard)
		}
	})
}

func benchmarkMetrics(b *testing.B, m *Metrics, scrape bool, f geerpc.CallFunc) {
	ctx, stop := context.WithCancel(b.Context())
	var scraper sync.WaitGroup
	if scrape {
		scraper.Go(func() {
			for ticks := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-ticks.C {
				m.WriteText(io.Discard)
			}
		})
	}
	b.ReportAllocs()
	b.SetParallelism(64) // 128 callers on two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f(ctx, "Arith.Add", nil, nil)
		}
	})
	stop()
	scraper.Wait()
}
