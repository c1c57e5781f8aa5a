package xclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestHedge: attempts are begun 10 ms after each other. When the call returns
// they have all ended, and what the caller gets is of one of them.
func TestHedge(t *testing.T) {
	const ms = time.Millisecond
	conflict := failed(geerpc.CodeAborted, geerpc.InMethod, geerpc.RanYes)
	hedge := Hedge{Delay: 10 * ms}
	three := Hedge{Delay: 10 * ms, MaxAttempts: 3}
	for _, c := range []struct {
		name   string
		hedge  Hedge
		lines  []line
		begun  []time.Duration // attempts
		took   time.Duration
		reply  string
		err    error // or what it wraps
		marked bool
	}{
		{"quick", hedge, []line{good(9*ms, "1")}, []time.Duration{0}, 9 * ms, "1", nil, true},
		{"not marked", hedge, []line{good(time.Hour, "1")}, []time.Duration{0}, time.Hour, "1", nil, false},
		{"zero", Hedge{}, []line{good(time.Hour, "1")}, []time.Duration{0}, time.Hour, "1", nil, true},
		{"negative", Hedge{Delay: -1}, []line{good(time.Hour, "1")}, []time.Duration{0}, time.Hour, "1", nil, true},
		{"one at most", Hedge{Delay: ms, MaxAttempts: 1}, []line{good(time.Hour, "1")}, []time.Duration{0}, time.Hour, "1", nil, true},
		{"second is first", hedge, []line{good(time.Hour, "1"), good(ms, "2")}, []time.Duration{0, 10 * ms}, 11 * ms, "2", nil, true},
		{"first is first", hedge, []line{good(15*ms, "1"), good(time.Hour, "2")}, []time.Duration{0, 10 * ms}, 15 * ms, "1", nil, true},
		{"two at most", hedge, []line{good(time.Hour, "1")}, []time.Duration{0, 10 * ms}, time.Hour, "1", nil, true},
		{"three", three, []line{good(time.Hour, "1"), good(time.Hour, "2"), good(ms, "3")},
			[]time.Duration{0, 10 * ms, 20 * ms}, 21 * ms, "3", nil, true},
		{"fails at once", hedge, []line{bad(ms, errRefused)}, []time.Duration{0}, ms, "", errRefused, true},
		{"first fails, second does not", hedge, []line{bad(12*ms, errLost), good(20*ms, "2")},
			[]time.Duration{0, 10 * ms}, 30 * ms, "2", nil, true},
		{"second fails, first does not", hedge, []line{good(20*ms, "1"), bad(ms, errRefused)},
			[]time.Duration{0, 10 * ms}, 20 * ms, "1", nil, true},
		{"second fails, third does not", three, []line{good(time.Hour, "1"), bad(ms, errRefused), good(ms, "3")},
			[]time.Duration{0, 10 * ms, 20 * ms}, 21 * ms, "3", nil, true},
		{"an error is an answer", hedge, []line{good(time.Hour, "1"), bad(ms, errInvalid)},
			[]time.Duration{0, 10 * ms}, 11 * ms, "", errInvalid, true},
		{"all fail", hedge, []line{bad(15*ms, conflict), bad(20*ms, errRefused)},
			[]time.Duration{0, 10 * ms}, 30 * ms, "", errRefused, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: c.lines}
				md := geerpc.Metadata{"kept": "yes"}
				ctx := geerpc.WithReplyMetadata(context.Background(), md)
				if c.marked {
					ctx = Idempotent(ctx)
				}
				reply, begin := "", time.Now()
				err := c.hedge.Intercept(s.call)(ctx, "", nil, &reply)
				if took := time.Since(begin); took != c.took || reply != c.reply || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("%q, %v after %s; want %q, %v after %s", reply, err, took, c.reply, c.err, c.took)
				}
				want := geerpc.Metadata{"kept": "yes"}
				if err == nil {
					want[reply] = reply
				}
				if !maps.Equal(md, want) {
					t.Errorf("reply metadata is %q, want %q", md, want)
				}
				var begun []time.Duration
				for _, at := range s.begun {
					begun = append(begun, at.Sub(begin))
				}
				if !slices.Equal(begun, c.begun) || s.ended != len(begun) {
					t.Errorf("attempts at %s, %d have ended; want them at %s", begun, s.ended, c.begun)
				}
			})
		})
	}
}

// TestHedge_Outcome: as with Retry, the error knows whether any attempt ran.
func TestHedge_Outcome(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []line
		want  string
		ran   geerpc.Ran
	}{
		{"one", []line{bad(time.Second, errLost)}, errLost.Error(), geerpc.RanMaybe},
		{"answered while another was running", []line{good(time.Hour, ""), bad(0, errInvalid)}, "rpc xclient: Work.Name: attempt 2: " + errInvalid.Error(), geerpc.RanMaybe},
		{"both", []line{bad(3*time.Second, errRefused)}, "rpc xclient: Work.Name: attempt 2: " + errRefused.Error(), geerpc.RanNever},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: c.lines}
				err := Hedge{Delay: 2 * time.Second}.Intercept(s.call)(Idempotent(context.Background()), "Work.Name", nil, nil)
				if err.Error() != c.want || ranOf(err) != c.ran {
					t.Errorf("%v, ran %v; want %s, ran %v", err, ranOf(err), c.want, c.ran)
				}
			})
		})
	}
}

// TestHedge_CallersContext ends all attempts.
func TestHedge_CallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{lines: []line{{after: time.Hour}}}
		ctx, cancel := context.WithTimeout(Idempotent(context.Background()), time.Second)
		defer cancel()
		begin := time.Now()
		err := Hedge{Delay: time.Millisecond}.Intercept(s.call)(ctx, "", nil, nil)
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || s.ended != 2 {
			t.Errorf("%v after %s, %d attempts have ended", err, took, s.ended)
		}
	})
}

// TestHedge_Panic: what happens on the goroutine of an attempt is an error.
func TestHedge_Panic(t *testing.T) {
	for _, c := range []struct {
		name, want string
		do         func()
	}{
		{"panic", "out of coffee", func() { panic("out of coffee") }},
		{"end of the goroutine", "ended its goroutine", runtime.Goexit},
	} {
		s := &script{lines: []line{{do: c.do}}}
		err := Hedge{Delay: time.Hour}.Intercept(s.call)(Idempotent(context.Background()), "Work.Name", nil, nil)
		wantError(t, err, geerpc.CodeInternal, geerpc.InClient, geerpc.RanMaybe)
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestHedge_Replies(t *testing.T) {
	hedge := Hedge{Delay: time.Hour}
	fill := func(_ context.Context, _ string, _, reply any) error {
		switch into := reply.(type) {
		case *map[string]int:
			*into = map[string]int{"a": 1}
		case *[]int:
			*into = append(*into, 1)
		case *any:
			*into = 1
		case nil:
		default:
			t.Errorf("reply is a %T", reply)
		}
		return nil
	}
	ctx := Idempotent(context.Background())
	m, s, a := map[string]int{"old": 1}, []int{7}, any(nil)
	for _, reply := range []any{nil, &m, &s, &a} {
		if err := hedge.Intercept(fill)(ctx, "", nil, reply); err != nil {
			t.Error(err)
		}
	}
	if len(m) != 1 || m["a"] != 1 || !slices.Equal(s, []int{1}) || a != any(1) {
		t.Errorf("replies are %v, %v and %v", m, s, a)
	}
	for _, reply := range []any{"", (*string)(nil), m} {
		wantError(t, hedge.Intercept(fill)(ctx, "", nil, reply), geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
	}
}

// TestHedge_Budget: when every call is slow, a fifth is hedged.
func TestHedge_Budget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls = 10_000
		s := &script{lines: []line{{after: 10 * time.Millisecond}}}
		call := Hedge{Delay: time.Millisecond, MaxAttempts: 3}.Intercept(s.call)
		for range calls {
			call(Idempotent(context.Background()), "", nil, nil)
		}
		if most := calls + calls/5 + hedgeFloor; s.ended > most || s.ended < most*49/50 || len(s.begun) != s.ended {
			t.Errorf("%d calls became %d", calls, s.ended)
		}
	})
}

// TestHedge_BudgetWithRetry: attempts that are slow and then fail are hedged and
// made again, within both budgets.
func TestHedge_BudgetWithRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls = 10_000
		s := &script{lines: []line{bad(10*time.Millisecond, errLost)}}
		call := Hedge{Delay: time.Millisecond}.Intercept(Retry{Backoff: -1}.Intercept(s.call))
		for range calls {
			call(Idempotent(context.Background()), "", nil, nil)
		}
		if share := float64(s.ended) / calls; share < 1.40 || share > 1.45 {
			t.Errorf("a call is made %.2f times, want 1.44", share)
		}
	})
}

// Slow is a service of which the first call hangs until it is cancelled.
type Slow struct {
	calls     atomic.Int64
	cancelled chan error
}

// Get answers with the how manieth call it is.
func (s *Slow) Get(ctx context.Context, _ int, reply *int64) error {
	if *reply = s.calls.Add(1); *reply == 1 {
		<-ctx.Done()
		s.cancelled <- context.Cause(ctx)
		return ctx.Err()
	}
	return nil
}

// TestG68_OneResult: the method runs on two servers, the caller gets one reply,
// and the other server hears that nobody waits any more.
func TestG68_OneResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow := &Slow{cancelled: make(chan error, 1)}
		var addrs []string
		for _, name := range []string{"a", "b"} {
			addrs = append(addrs, w.start(name))
			if err := w.host(name).Register(slow); err != nil {
				t.Fatal(err)
			}
		}
		xc := w.client(NewMultiServerDiscovery(addrs))
		connectAll(t, xc)
		var reply int64
		begin := time.Now()
		err := Hedge{Delay: 20 * time.Millisecond}.Intercept(xc.Call)(Idempotent(context.Background()), "Slow.Get", 0, &reply)
		if took := time.Since(begin); err != nil || reply != 2 || took != 20*time.Millisecond {
			t.Errorf("%d, %v after %s", reply, err, took)
		}
		if err := <-slow.cancelled; err == nil || slow.calls.Load() != 2 || time.Since(begin) != 20*time.Millisecond {
			t.Errorf("%v after %s, %d calls", err, time.Since(begin), slow.calls.Load())
		}
		for _, name := range []string{"a", "b"} {
			if w.connections(name) != 1 {
				t.Errorf("%s has %d connections: a call was cancelled with its connection", name, w.connections(name))
			}
		}
		var text string
		if err := xc.Call(context.Background(), "Work.Name", 0, &text); err != nil {
			t.Error(err)
		}
		if reply != 2 {
			t.Errorf("the reply is %d by now", reply)
		}
	})
}

// TestG68_ArgumentsInUse: the call does not return as long as the loser's
// arguments are being encoded, and begins nothing meanwhile.
func TestG68_ArgumentsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		encoded := false
		var attempts atomic.Int64
		call := Hedge{Delay: time.Millisecond, MaxAttempts: 3}.Intercept(func(context.Context, string, any, any) error {
			if attempts.Add(1) == 1 {
				time.Sleep(time.Second) // whatever the context says
				encoded = true
			}
			return nil
		})
		if err := call(Idempotent(context.Background()), "", nil, nil); err != nil || !encoded || attempts.Load() != 2 {
			t.Errorf("%v, the loser has ended: %v, %d attempts", err, encoded, attempts.Load())
		}
	})
}

// TestHedge_AroundRetry is their order in an XClient.
func TestHedge_AroundRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{lines: []line{{after: time.Hour}, {err: errRefused}, {reply: "3"}}}
		var reply string
		call := Hedge{Delay: time.Second}.Intercept(Retry{}.Intercept(s.call))
		begin := time.Now()
		err := call(Idempotent(context.Background()), "", nil, &reply)
		if took := time.Since(begin); err != nil || reply != "3" || took != time.Second || s.ended != 3 {
			t.Errorf("%q, %v after %s, %d attempts", reply, err, took, s.ended)
		}
	})
}

func BenchmarkHedge(b *testing.B) {
	call := Hedge{Delay: time.Second}.Intercept(func(context.Context, string, any, any) error { return nil })
	for name, ctx := range map[string]context.Context{"marked": Idempotent(context.Background()), "not marked": context.Background()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var reply int
			for b.Loop() {
				call(ctx, "Work.Name", nil, &reply)
			}
		})
	}
}

// A server whose methods hang is found out, also when all of its calls are
// outrun by hedges.
func TestF64_HungServerBehindHedges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var addrs []string
		for i := range 4 {
			addrs = append(addrs, w.start(fmt.Sprint("s", i)))
			if i > 0 {
				close(w.host(fmt.Sprint("s", i)).work.gate)
			}
		}
		xc := New(NewMultiServerDiscovery(addrs), Config{
			Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: RoundRobin(), Hedge: Hedge{Delay: 50 * time.Millisecond},
		})
		defer xc.Close()
		failed := 0 // beyond the budget of hedges
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if xc.Call(Idempotent(ctx), "Work.Wait", 0, nil) != nil {
				failed++
			}
			cancel()
		}
		if n := w.host("s0").work.calls.Load(); n > 200 {
			t.Errorf("in a minute the server that hangs has got %d calls", n)
		}
		if failed > 2 {
			t.Errorf("%d calls failed", failed)
		}
	})
}
