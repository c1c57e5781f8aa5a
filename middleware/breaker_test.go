package middleware

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
)

var errDown error = &geerpc.Error{Code: geerpc.CodeUnavailable, Where: geerpc.OnLink, Ran: geerpc.RanMaybe}

// fails is a CallFunc that fails with what ctx has for it.
func fails(ctx context.Context, _ string, _, _ any) error {
	err, _ := ctx.Value(keyOf{}).(error)
	return err
}

// failing makes calls that fail with err, n times.
func failing(t *testing.T, b *Breaker, n int, err error) {
	f := b.Intercept(fails)
	for range n {
		f(context.WithValue(t.Context(), keyOf{}, err), "Arith.Add", nil, nil)
	}
}

func wantState(t *testing.T, b *Breaker, want BreakerState) {
	t.Helper()
	if got := b.States()["Arith.Add"]; got != want {
		t.Fatalf("the circuit is %v, want %v", got, want)
	}
}

// TestG69_ThousandWaiting: when a circuit becomes half-open, a thousand callers
// are there, and its probes pass. While they are under way, nobody else does.
func TestG69_ThousandWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{Probes: 5}
		failing(t, b, 20, errDown)
		wantState(t, b, BreakerOpen)
		time.Sleep(DefaultBreakerPause)
		var passed, refused atomic.Int64
		gate := make(chan struct{})
		f := b.Intercept(func(context.Context, string, any, any) error {
			passed.Add(1)
			<-gate
			return nil
		})
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				if err := f(t.Context(), "Arith.Add", nil, nil); err != nil {
					wantRefusal(t, err, geerpc.CodeUnavailable, "breaker", "half-open")
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if passed.Load() != 5 || refused.Load() != 995 {
			t.Errorf("%d probes pass and %d calls are refused, want 5 and 995", passed.Load(), refused.Load())
		}
		wantState(t, b, BreakerHalfOpen)
		close(gate)
		callers.Wait()
		wantState(t, b, BreakerClosed)
		failing(t, b, 19, errDown) // the count has begun anew
		wantState(t, b, BreakerClosed)
	})
}

// TestG69_ProbeFails: one failure opens the circuit again, and the outcome of the
// other probes means nothing any more.
func TestG69_ProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{}
		failing(t, b, 20, errDown)
		time.Sleep(DefaultBreakerPause)
		gate := make(chan struct{})
		slow := b.Intercept(func(context.Context, string, any, any) error { <-gate; return nil })
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() { slow(t.Context(), "Arith.Add", nil, nil) })
		}
		synctest.Wait()
		failing(t, b, 1, errDown)
		wantState(t, b, BreakerOpen)
		time.Sleep(DefaultBreakerPause)
		failing(t, b, 2, nil)
		close(gate)
		callers.Wait()
		wantState(t, b, BreakerHalfOpen)
		failing(t, b, 1, nil)
		wantState(t, b, BreakerClosed)
	})
}

// TestG69_ProbesWithoutOutcome: probes that are cancelled, that panic, or that hang
// keep the circuit from closing no longer than a second.
func TestG69_ProbesWithoutOutcome(t *testing.T) {
	for name, end := range map[string]func(context.Context) error{
		"cancelled": func(context.Context) error { return context.Canceled },
		"refused":   func(context.Context) error { return Refusal{By: "shed"}.refused(geerpc.CodeResourceExhausted) },
		"panics":    func(context.Context) error { panic("no probe") },
		"exits":     func(context.Context) error { runtime.Goexit(); return nil },
		"hangs":     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Breaker{}
				failing(t, b, 20, errDown)
				time.Sleep(DefaultBreakerPause)
				f := b.Intercept(func(ctx context.Context, _ string, _, _ any) error { return end(ctx) })
				ctx, leave := context.WithCancel(t.Context())
				var callers sync.WaitGroup
				for range 10 {
					callers.Go(func() {
						defer func() { recover() }()
						f(ctx, "Arith.Add", nil, nil)
					})
				}
				time.Sleep(time.Second)
				wantState(t, b, BreakerHalfOpen)
				for range DefaultBreakerProbes {
					failing(t, b, 1, nil)
					time.Sleep(time.Second)
				}
				wantState(t, b, BreakerClosed)
				leave()
				callers.Wait()
			})
		})
	}
}

// TestBreaker_ClosesWithinASecond: however long the outage was.
func TestBreaker_ClosesWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{}
		for range 60_000 { // ten minutes
			failing(t, b, 1, errDown)
			time.Sleep(10 * time.Millisecond)
		}
		for range 100 {
			failing(t, b, 1, nil)
			time.Sleep(10 * time.Millisecond)
		}
		wantState(t, b, BreakerClosed)
		if n := b.Refused()["open"]; n < 58_000 {
			t.Errorf("%d calls were refused in ten minutes", n)
		}
	})
}

// TestBreaker_Share: the circuit opens at the share, at the volume, and by what
// the window has.
func TestBreaker_Share(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{Share: 0.3, MinCalls: 10, Window: time.Second}
		failing(t, b, 9, errDown)
		wantState(t, b, BreakerClosed) // too few calls
		time.Sleep(time.Second)
		failing(t, b, 8, nil)
		failing(t, b, 3, errDown) // 3 of 11
		wantState(t, b, BreakerClosed)
		time.Sleep(500 * time.Millisecond)
		failing(t, b, 1, errDown) // 4 of 12
		wantState(t, b, BreakerOpen)
		never := &Breaker{Share: -1}
		failing(t, never, 100, errDown)
		wantState(t, never, BreakerClosed)
	})
}

func TestServerFailed(t *testing.T) {
	late, stop := context.WithTimeout(t.Context(), time.Nanosecond)
	defer stop()
	<-late.Done()
	of := func(code geerpc.Code, where geerpc.Where, ran geerpc.Ran) error {
		return &geerpc.Error{Code: code, Where: where, Ran: ran}
	}
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want bool
	}{
		{"none", t.Context(), nil, false},
		{"lost", t.Context(), errDown, true},
		{"closed", t.Context(), geerpc.ErrShutdown, true},
		{"deadline", late, of(geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanMaybe), true},
		{"handle timeout", t.Context(), of(geerpc.CodeDeadlineExceeded, geerpc.InMethod, geerpc.RanMaybe), true},
		{"method at its deadline", late, geerpc.Errorf(geerpc.CodeDeadlineExceeded, "late"), true},
		{"method at its deadline, on the server", late, context.DeadlineExceeded, true},
		{"deadline of the method's own", t.Context(), geerpc.Errorf(geerpc.CodeDeadlineExceeded, "late"), false},
		{"unavailable, says the method", t.Context(), geerpc.Errorf(geerpc.CodeUnavailable, "gone"), false},
		{"panic", t.Context(), of(geerpc.CodeInternal, geerpc.InMethod, geerpc.RanYes), false},
		{"internal", t.Context(), of(geerpc.CodeInternal, geerpc.InServer, geerpc.RanMaybe), true},
		{"interceptor of the client", t.Context(), of(geerpc.CodeInternal, geerpc.InClient, geerpc.RanNever), false},
		{"overload", t.Context(), of(geerpc.CodeResourceExhausted, geerpc.InServer, geerpc.RanNever), true},
		{"too large to send", t.Context(), of(geerpc.CodeResourceExhausted, geerpc.InClient, geerpc.RanNever), false},
		{"too large", t.Context(), fmt.Errorf("%w: %w", of(geerpc.CodeResourceExhausted, geerpc.InServer, geerpc.RanNever), codec.ErrTooLarge), false},
		{"not found", t.Context(), of(geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever), false},
		{"plain", t.Context(), errors.New("no"), false},
	} {
		if got := ServerFailed(c.ctx, c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestBreaker_Uncounted: callers that leave, and what other middleware refused,
// neither open a circuit nor keep it closed.
func TestBreaker_Uncounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{}
		failing(t, b, 1000, context.Canceled)
		failing(t, b, 1000, Refusal{By: "rate limit"}.refused(geerpc.CodeResourceExhausted))
		gone, leave := context.WithCancel(t.Context())
		leave()
		b.Intercept(fails)(gone, "Arith.Add", nil, nil)
		wantState(t, b, BreakerClosed)
		failing(t, b, 20, errDown)
		wantState(t, b, BreakerOpen)
	})
}

// TestBreaker_OnChange: the hook hears of each change, once.
func TestBreaker_OnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		b := &Breaker{OnChange: func(key string, from, to BreakerState) {
			heard = append(heard, fmt.Sprint(key, " ", from, " ", to))
		}}
		failing(t, b, 25, errDown)
		time.Sleep(time.Second)
		failing(t, b, 10, nil)
		want := []string{"Arith.Add closed open", "Arith.Add open half-open", "Arith.Add half-open closed"}
		if !reflect.DeepEqual(heard, want) {
			t.Errorf("heard %q", heard)
		}
	})
}

// TestG72_BreakerHooksPanic: a hook or an IsFailure that panics fails its own
// call; the circuit has changed all the same, and no probe is lost.
func TestG72_BreakerHooksPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		b := &Breaker{
			OnChange: func(string, BreakerState, BreakerState) { panic("no hook") },
			IsFailure: func(ctx context.Context, err error) bool {
				if bad {
					panic("no judge")
				}
				return ServerFailed(ctx, err)
			},
		}
		for range 100 {
			if p := panics(func() { failing(t, b, 1, errDown) }); p != "no judge" {
				t.Fatal(p)
			}
		}
		bad = false
		failing(t, b, 19, errDown)
		for _, want := range []BreakerState{BreakerOpen, BreakerHalfOpen} {
			if p := panics(func() { failing(t, b, 1, errDown) }); p != "no hook" {
				t.Fatal(p)
			}
			wantState(t, b, want)
			time.Sleep(DefaultBreakerPause)
		}
		failing(t, b, 2, nil)
		if p := panics(func() { failing(t, b, 1, nil) }); p != "no hook" {
			t.Fatal(p)
		}
		wantState(t, b, BreakerClosed)
	})
}

// TestBreaker_MaxKeys: circuits that are as good as new are forgotten.
func TestBreaker_MaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{MaxKeys: 100, Key: testKey}
		f := b.Intercept(works)
		for i := range 1000 {
			f(withKey(t.Context(), fmt.Sprint(i)), "Arith.Add", nil, nil)
		}
		if n := len(b.States()); n != 100 {
			t.Errorf("%d circuits are remembered", n)
		}
		time.Sleep(DefaultBreakerWindow)
		f(withKey(t.Context(), "late"), "Arith.Add", nil, nil)
		if n := len(b.States()); n != 99 {
			t.Errorf("%d circuits are remembered, though two were idle", n)
		}
	})
}

// TestBreaker_ForgetsOpen: circuits whose callers have gone are forgotten in the end,
// in whatever state, and keep no others.
func TestBreaker_ForgetsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{Key: testKey}
		fail := func(key string) {
			for range 20 {
				b.Intercept(func(context.Context, string, any, any) error { return errDown })(withKey(t.Context(), key), "", nil, nil)
			}
		}
		fail("open")
		fail("half-open")
		time.Sleep(DefaultBreakerPause)
		b.Intercept(works)(withKey(t.Context(), "half-open"), "", nil, nil)
		for i := range 10 {
			b.Intercept(works)(withKey(t.Context(), fmt.Sprint("closed", i)), "", nil, nil)
		}
		time.Sleep(DefaultBreakerWindow - 1)
		b.Intercept(works)(withKey(t.Context(), "new"), "", nil, nil)
		if states := b.States(); states["open"] != BreakerOpen || states["half-open"] != BreakerHalfOpen || len(states) != 13 {
			t.Errorf("%d circuits are remembered: %v", len(states), states)
		}
		time.Sleep(time.Second + 1)
		for range 20 {
			b.Intercept(works)(withKey(t.Context(), fmt.Sprint(time.Now())), "", nil, nil)
			time.Sleep(DefaultBreakerWindow)
		}
		if n := len(b.States()); n > 2 {
			t.Errorf("%d circuits are remembered: %v", n, b.States())
		}
	})
}

func TestBreaker_Allocs(t *testing.T) { wantAllocs(t, 0, (&Breaker{}).Intercept) }

func BenchmarkBreaker(b *testing.B) { benchmark(b, (&Breaker{}).Intercept) }
