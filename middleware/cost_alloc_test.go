//go:build !race

package middleware

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"geerpc"
)

// The race detector adds allocations: these figures are without it.

// TestAllocation_Calls holds what each part adds to a call over a connection, both ends
// together: on a client, and on a server that has another interceptor anyway.
func TestAllocation_Calls(t *testing.T) {
	without := callAllocs(t, nil, nil)
	client, server := callAllocs(t, passing, nil), callAllocs(t, nil, passing)
	if client > without+0.5 || server > without+3.5 {
		t.Errorf("%v allocations without interceptors, %v with one on the client, %v with one on the server", without, client, server)
	}
	for _, p := range costParts() {
		if p.client != nil {
			if n := callAllocs(t, p.client, nil) - client; n > p.onClient+0.5 {
				t.Errorf("%s: %v allocations on the client, want %v", p.name, n, p.onClient)
			}
		}
		if n := callAllocs(t, nil, p.server) - server; n > p.onServer+0.5 {
			t.Errorf("%s: %v allocations on the server, want %v", p.name, n, p.onServer)
		}
	}
}

// callAllocs returns how many allocations a call makes, the least of several averages: at
// times the connection makes some of its own. It is no whole number, because at times the
// connection spares some, too.
func callAllocs(t *testing.T, client, server geerpc.Interceptor) float64 {
	t.Helper()
	var onClient, onServer []geerpc.Interceptor
	if client != nil {
		onClient = append(onClient, client)
	}
	if server != nil {
		onServer = append(onServer, server)
	}
	c := dialCost(t, onClient, onServer)
	ctx := t.Context()
	var args any = "hello"
	var reply string
	least := 1e9
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 12 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if err := c.Call(ctx, "Echo.Say", args, &reply); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/100)
	}
	return least
}

// TestAllocation_Refusals: to refuse a call costs two allocations, on every middleware
// that does.
func TestAllocation_Refusals(t *testing.T) {
	ctx := t.Context()
	expired, cancel := context.WithDeadline(ctx, time.Now())
	defer cancel()
	empty, open, full := &RateLimit{Calls: 1, Per: time.Hour}, &Breaker{Pause: time.Hour}, &Concurrency{Limit: 1}
	empty.Admit(ctx, "A.B")
	failing := open.Intercept(ended(&geerpc.Error{Code: geerpc.CodeUnavailable, Where: geerpc.InServer}))
	for range 2 * DefaultBreakerMinCalls {
		failing(ctx, "A.B", nil, nil)
	}
	if _, _, err := full.acquire(ctx, "", 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		ctx       context.Context
		intercept geerpc.Interceptor
	}{
		{"RateLimit", ctx, empty.Intercept},
		{"Breaker", ctx, open.Intercept},
		{"Concurrency", ctx, full.Intercept},
		{"Shed", expired, new(Shed).Intercept},
		{"Shed, a queue", ctx, (&Shed{Concurrency: full, Queue: -1}).Intercept},
		{"Authorize", ctx, new(Authorize).Intercept},
	} {
		f := c.intercept(works)
		var err error
		n := testing.AllocsPerRun(1000, func() { err = f(c.ctx, "A.B", nil, nil) })
		var r *Refusal
		if !errors.As(err, &r) || n > 2 {
			t.Errorf("%s: %v allocations, want 2; %v", c.name, n, err)
		}
	}
}

// TestAllocation_Traced holds what a trace costs that comes with a call, or goes on
// with one.
func TestAllocation_Traced(t *testing.T) {
	trace, _ := ParseTraceContext(parentA, "rojo=00f067aa0ba902b7")
	for _, c := range []struct {
		name string
		f    geerpc.CallFunc
		want float64
	}{
		{"client, no Tracer", new(Trace).Client(works), 4},
		{"client, a span", (&Trace{Tracer: idle{}}).Client(works), 5},
		{"server, no trace", new(Trace).Server(works), 0},
		{"server, a span", (&Trace{Tracer: idle{}}).Server(works), 1},
	} {
		ctx := WithTraceContext(t.Context(), trace)
		if n := testing.AllocsPerRun(1000, func() { c.f(ctx, "A.B", nil, nil) }); n > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, n, c.want)
		}
	}
}
