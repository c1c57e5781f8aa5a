package middleware

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

func TestTimeout(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name      string
		timeout   Timeout
		own, want time.Duration // zero: none
	}{
		{"zero", Timeout{}, 0, 0},
		{"zero, own", Timeout{}, second, second},
		{"negative", Timeout{-1, -1}, 0, 0},
		{"default", Timeout{Default: second}, 0, second},
		{"default, own", Timeout{Default: second}, 2 * second, 2 * second},
		{"max", Timeout{Max: second}, 0, second},
		{"max, own later", Timeout{Max: second}, 2 * second, second},
		{"max, own earlier", Timeout{Max: 2 * second}, second, second},
		{"default before max", Timeout{Default: second, Max: 2 * second}, 0, second},
		{"default after max", Timeout{Default: 3 * second, Max: 2 * second}, 0, 2 * second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if c.own > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.own)
				defer cancel()
			}
			c.timeout.Intercept(func(ctx context.Context, _ string, _, _ any) error {
				got := time.Duration(0)
				if deadline, ok := ctx.Deadline(); ok {
					got = time.Until(deadline)
				}
				if got != c.want {
					t.Errorf("%s: %v, want %v", c.name, got, c.want)
				}
				return nil
			})(ctx, "Arith.Add", nil, nil)
		})
	}
}

// TestTimeout_Call: a call over a connection ends in time, and when an interceptor that
// does not wait for it has returned.
func TestTimeout_Call(t *testing.T) {
	waiting := []geerpc.Interceptor{func(geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, _ string, _, _ any) error { <-ctx.Done(); return ctx.Err() }
	}}
	c := dialEcho(t, Echo{}, waiting, (&Timeout{Max: 20 * time.Millisecond}).Intercept)
	if code := geerpc.CodeOf(c.Call(t.Context(), "Echo.Say", "", nil)); code != geerpc.CodeDeadlineExceeded {
		t.Errorf("the call ended with %v", code)
	}
	ended := make(chan error, 1)
	leaving := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			go func() { ended <- next(ctx, serviceMethod, args, reply) }() // ends with ctx
			return nil
		}
	}
	c = dialEcho(t, Echo{}, waiting, (&Timeout{Max: time.Hour}).Intercept, leaving)
	c.Call(t.Context(), "Echo.Say", "", nil)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
}

// TestTimeout_Ends: the context ends when the time is up, and when the call has
// returned.
func TestTimeout_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		f := (&Timeout{Max: time.Second}).Intercept(func(ctx context.Context, serviceMethod string, args, reply any) error {
			kept = ctx
			return taking(time.Minute)(ctx, serviceMethod, args, reply)
		})
		if code := geerpc.CodeOf(f(t.Context(), "Arith.Add", nil, nil)); code != geerpc.CodeDeadlineExceeded {
			t.Errorf("the call ended with %v", code)
		}
		f = (&Timeout{Max: time.Second}).Intercept(func(ctx context.Context, _ string, _, _ any) error { kept = ctx; return nil })
		f(t.Context(), "Arith.Add", nil, nil)
		if kept.Err() != context.Canceled {
			t.Errorf("after the call its context has %v", kept.Err())
		}
	})
}

func BenchmarkTimeout(b *testing.B) { benchmark(b, (&Timeout{Max: time.Minute}).Intercept) }
