package middleware

import (
	"context"
	"net"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/lazyctx"
)

// A costPart is a part of this package, as a service uses it. A side that it is not
// for is nil. The allocations are those that a call may make on each side.
type costPart struct {
	name           string
	client, server geerpc.Interceptor
	onClient       float64
	onServer       float64
}

// costParts returns all parts. They let all calls pass, and none has to wait.
func costParts() []costPart {
	leftOut, written := &Log{Logger: quiet(), Every: -1}, &Log{Logger: quiet(), Successes: -1}
	metrics, untraced, spans := new(Metrics), new(Trace), &Trace{Tracer: idle{}}
	timeout := (&Timeout{Max: time.Hour}).Intercept
	authorize := (&Authorize{Rules: []Rule{Allow("ann", "A.B"), Allow("*", "Echo.*")}}).Intercept
	limit, breaker := (&RateLimit{Calls: 1 << 30, Key: ByMethod}).Intercept, new(Breaker).Intercept
	fixed, adaptive := (&Concurrency{Limit: 100}).Intercept, new(Concurrency).Intercept
	shed, queue := new(Shed).Intercept, (&Shed{Concurrency: new(Concurrency)}).Intercept
	return []costPart{
		{"Log, left out", leftOut.Client, leftOut.Server, 0, 0},
		{"Log, a line", written.Client, written.Server, 0, 1},
		{"Metrics", metrics.Client, metrics.Server, 0, 0},
		{"Trace, no trace", untraced.Client, untraced.Server, 0, 0},
		{"Trace, a span", spans.Client, spans.Server, 9, 1},
		{"Authorize", nil, authorize, 0, 0},
		{"RateLimit", limit, limit, 0, 0},
		{"Breaker", breaker, breaker, 0, 0},
		{"Timeout", timeout, timeout, 1, 1},
		{"Shed", nil, shed, 0, 0},
		{"Shed, a queue", nil, queue, 0, 0},
		{"Concurrency, fixed", fixed, fixed, 0, 0},
		{"Concurrency, adaptive", adaptive, adaptive, 0, 0},
	}
}

// passing is an Interceptor that does nothing.
func passing(next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		return next(ctx, serviceMethod, args, reply)
	}
}

// idle is a Tracer whose spans cost nothing.
type idle struct{}

var idleSpan Span = idle{}

func (idle) Start(ctx context.Context, _ SpanStart) (context.Context, Span) { return ctx, idleSpan }
func (idle) TraceContext() TraceContext {
	return TraceContext{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Flags: FlagSampled}
}
func (idle) End(string, error) {}

// dialCost serves an Echo over TCP, and returns a client of it. All calls run in the same
// way: otherwise one that is not quick has a goroutine of its own.
func dialCost(t testing.TB, client, server []geerpc.Interceptor) *geerpc.Client {
	t.Helper()
	s := &geerpc.Server{Interceptors: server, Ordered: true}
	if err := s.Register(Echo{}); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis) // ends at Close
	t.Cleanup(func() { s.Close() })
	c, err := geerpc.Dial("tcp", lis.Addr().String(), &geerpc.Option{Interceptors: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// BenchmarkMiddleware measures each part around what a client and a server do with a
// call's context. The connection is left out: it costs more, and not always the same.
func BenchmarkMiddleware(b *testing.B) {
	benchmarkCost(b, "without", passing, passing)
	for _, p := range costParts() {
		benchmarkCost(b, p.name, p.client, p.server)
	}
}

func benchmarkCost(b *testing.B, name string, client, server geerpc.Interceptor) {
	if client != nil {
		f := client(waiting())
		b.Run("client/"+name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				f(ctx, "Echo.Say", nil, nil)
			}
		})
	}
	f := server(works)
	b.Run("server/"+name, func(b *testing.B) {
		// The loop runs in a server, since it is a call's context that tells its peer.
		c := dialCost(b, nil, []geerpc.Interceptor{func(geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, serviceMethod string, _, _ any) error {
				b.ReportAllocs()
				for b.Loop() {
					f(ctx, serviceMethod, nil, nil)
				}
				return nil
			}
		}})
		if err := c.Call(b.Context(), "Echo.Say", "", nil); err != nil {
			b.Error(err)
		}
	})
}

// waiting returns a CallFunc that waits for a call's end as a client does.
func waiting() geerpc.CallFunc {
	ready, waiter := make(chan struct{}, 1), lazyctx.NewWaiter()
	return func(ctx context.Context, _ string, _, _ any) error {
		ready <- struct{}{}
		if lazy, ok := ctx.(*lazyctx.Context); ok {
			waiter.Wait(lazy, ready)
			return nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
		}
		return nil
	}
}
