package xclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
)

func TestRetry_WhatIsRepeated(t *testing.T) {
	const never, maybe, yes = geerpc.RanNever, geerpc.RanMaybe, geerpc.RanYes
	tooLarge := geerpc.Errorf(geerpc.CodeResourceExhausted, "%w", codec.ErrTooLarge).(*geerpc.Error)
	tooLarge.Ran = never
	type repeats struct{ plain, idempotent bool }
	for _, c := range []struct {
		name string
		err  error
		want repeats
	}{
		{"unreachable", errRefused, repeats{true, true}},
		{"dial timeout", failed(geerpc.CodeDeadlineExceeded, geerpc.OnLink, never), repeats{true, true}},
		{"refused for a limit", failed(geerpc.CodeResourceExhausted, geerpc.InServer, never), repeats{true, true}},
		{"client shut down", geerpc.ErrShutdown, repeats{true, true}},
		{"connection lost", errLost, repeats{false, true}},
		{"handle timeout", failed(geerpc.CodeDeadlineExceeded, geerpc.InMethod, maybe), repeats{false, true}},
		{"conflict", failed(geerpc.CodeAborted, geerpc.InMethod, yes), repeats{false, true}},
		{"method is unavailable", failed(geerpc.CodeUnavailable, geerpc.InMethod, yes), repeats{false, true}},
		{"method is exhausted", failed(geerpc.CodeResourceExhausted, geerpc.InMethod, yes), repeats{}},
		{"method's own error", failed(geerpc.CodeUnknown, geerpc.InMethod, yes), repeats{}},
		{"arguments too large", tooLarge, repeats{}},
		{"bad arguments", errInvalid, repeats{}},
		{"no method", failed(geerpc.CodeNotFound, geerpc.InServer, never), repeats{}},
		{"wrong token", failed(geerpc.CodeUnauthenticated, geerpc.InServer, never), repeats{}},
		{"not allowed", failed(geerpc.CodePermissionDenied, geerpc.InServer, never), repeats{}},
		{"cancelled", failed(geerpc.CodeCanceled, geerpc.InClient, never), repeats{}},
		{"undecodable reply", failed(geerpc.CodeInternal, geerpc.InClient, yes), repeats{}},
		{"no servers", errNoServers, repeats{}},
		{"nobody's error", errors.New("from a Discovery"), repeats{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(ctx context.Context, repeated bool) {
				t.Helper()
				s := errorsAtOnce(c.err, nil)
				err := Retry{Backoff: -1}.Intercept(s.call)(ctx, "", nil, nil)
				if n, _ := s.attempts(); (n == 2) != repeated || repeated != (err == nil) {
					t.Errorf("%d attempts, %v; want it repeated: %v", n, err, repeated)
				}
				if err != nil && err != c.err {
					t.Errorf("the only attempt's error became %v", err)
				}
			}
			check(context.Background(), c.want.plain)
			check(Idempotent(context.Background()), c.want.idempotent)
			over, cancel := context.WithCancel(Idempotent(context.Background()))
			cancel()
			check(over, false)
		})
	}
}

func TestRetry_HowOften(t *testing.T) {
	for _, c := range []struct {
		name      string
		max, want int
	}{{"zero", 0, 3}, {"one", 1, 1}, {"negative", -1, 1}, {"two", 2, 2}, {"nine", 9, 9}} {
		s := errorsAtOnce(errRefused)
		Retry{MaxAttempts: c.max, Backoff: -1}.Intercept(s.call)(context.Background(), "", nil, nil)
		if n, _ := s.attempts(); n != c.want {
			t.Errorf("%s: %d attempts, want %d", c.name, n, c.want)
		}
	}
}

// TestRetry_Pauses: the pauses are random, between half of what is given here
// and all.
func TestRetry_Pauses(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		retry Retry
		err   error
		want  []time.Duration
	}{
		{"never ran", Retry{MaxAttempts: 9}, errRefused, []time.Duration{0, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms, 1000 * ms}},
		{"maybe ran", Retry{}, errLost, []time.Duration{50 * ms, 100 * ms}},
		{"own", Retry{MaxAttempts: 5, Backoff: 20 * ms, MaxBackoff: 30 * ms}, errLost, []time.Duration{20 * ms, 30 * ms, 30 * ms, 30 * ms}},
		{"more than the most", Retry{Backoff: time.Hour}, errLost, []time.Duration{1000 * ms, 1000 * ms}},
		{"no limit", Retry{Backoff: time.Hour, MaxBackoff: -1}, errLost, []time.Duration{time.Hour, 2 * time.Hour}},
		{"none", Retry{Backoff: -1}, errLost, []time.Duration{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := make(map[time.Duration]bool)
				for range 20 {
					s := errorsAtOnce(c.err)
					c.retry.Intercept(s.call)(Idempotent(context.Background()), "Work.Name", nil, nil)
					if len(s.begun) != len(c.want)+1 {
						t.Fatalf("%d attempts, want %d", len(s.begun), len(c.want)+1)
					}
					for i, want := range c.want {
						pause := s.begun[i+1].Sub(s.begun[i])
						if pause < want/2 || pause > want {
							t.Errorf("pause %d is %s, want %s to %s", i+1, pause, want/2, want)
						}
						seen[pause] = true
					}
				}
				if len(seen) < 20 && c.want[len(c.want)-1] > 0 {
					t.Errorf("there are only %d different pauses", len(seen))
				}
			})
		})
	}
}

// TestRetry_Deadline: a pause that would outlast the caller's deadline is not
// begun, and no attempt at or after the deadline.
func TestRetry_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := errorsAtOnce(errRefused)
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := Retry{}.Intercept(s.call)(ctx, "", nil, nil)
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %s", took)
		}
		wantError(t, err, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanNever)
		if n, _ := s.attempts(); n != 2 || !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "attempt 2: it failed") {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

func TestRetry_CancelledInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := errorsAtOnce(errLost)
		ctx, cancel := context.WithCancel(Idempotent(context.Background()))
		time.AfterFunc(time.Millisecond, cancel)
		begin := time.Now()
		err := Retry{}.Intercept(s.call)(ctx, "", nil, nil)
		if took := time.Since(begin); took != time.Millisecond {
			t.Errorf("it took %s", took)
		}
		wantError(t, err, geerpc.CodeCanceled, geerpc.OnLink, geerpc.RanMaybe)
		if n, _ := s.attempts(); n != 1 || !errors.Is(err, context.Canceled) || !errors.Is(err, errLost) {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

// TestRetry_Outcome: the error of several attempts is that of the last, and
// knows of all whether they ran.
func TestRetry_Outcome(t *testing.T) {
	fromMethod := failed(geerpc.CodeUnknown, geerpc.InMethod, geerpc.RanYes)
	fromOldServer := failed(geerpc.CodeUnknown, geerpc.InServer, geerpc.RanMaybe)
	conflict := failed(geerpc.CodeAborted, geerpc.InMethod, geerpc.RanYes)
	for _, c := range []struct {
		name string
		errs []error
		text string // in front of the last one's
		code geerpc.Code
		ran  geerpc.Ran
	}{
		{"never", []error{errRefused, errRefused, errRefused}, "rpc xclient: Work.Name: attempt 3: ", geerpc.CodeUnavailable, geerpc.RanNever},
		{"maybe", []error{errRefused, errLost, errRefused}, "rpc xclient: Work.Name: attempt 3: ", geerpc.CodeUnavailable, geerpc.RanMaybe},
		{"ran, then refused", []error{errRefused, conflict, errRefused}, "rpc xclient: Work.Name: attempt 3: ", geerpc.CodeUnavailable, geerpc.RanYes},
		{"lost, then answered", []error{errLost, errInvalid}, "rpc xclient: Work.Name: attempt 2: ", geerpc.CodeInvalidArgument, geerpc.RanMaybe},
		{"refused, then answered", []error{errRefused, errInvalid}, "", geerpc.CodeInvalidArgument, geerpc.RanNever},
		{"method's", []error{errRefused, fromMethod}, "", geerpc.CodeUnknown, geerpc.RanYes},
		{"old server's method's", []error{errRefused, fromOldServer}, "", geerpc.CodeUnknown, geerpc.RanMaybe},
		{"method's, each time", []error{conflict, conflict, conflict}, "", geerpc.CodeAborted, geerpc.RanYes},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := errorsAtOnce(c.errs...)
			err := Retry{Backoff: -1}.Intercept(s.call)(Idempotent(context.Background()), "Work.Name", nil, nil)
			last := c.errs[len(c.errs)-1]
			var e *geerpc.Error
			if !errors.As(err, &e) || e.Code != c.code || e.Ran != c.ran || !errors.Is(err, last) || err.Error() != c.text+last.Error() {
				t.Errorf("%v, %v; want %s%v, ran %v", err, e.Ran, c.text, last, c.ran)
			}
			if n, _ := s.attempts(); n != len(c.errs) {
				t.Errorf("%d attempts, want %d", n, len(c.errs))
			}
		})
	}
}

// TestG67_AllFail: each call wants two attempts more, and gets a fifth of one.
func TestG67_AllFail(t *testing.T) {
	t.Parallel()
	for _, callers := range []int{1, 100} {
		t.Run(fmt.Sprint(callers, " callers"), func(t *testing.T) {
			const calls = 100_000
			var attempts atomic.Int64
			call := Retry{Backoff: -1}.Intercept(func(context.Context, string, any, any) error {
				attempts.Add(1)
				return errRefused
			})
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range calls / callers {
						call(context.Background(), "", nil, nil)
					}
				})
			}
			wg.Wait()
			if n := attempts.Load(); n != calls+calls/5 {
				t.Errorf("%d attempts for %d calls, want 20 %% more", n, calls)
			}
		})
	}
}

// TestG67_Budget: what may be made in ten seconds is limited.
func TestG67_Budget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		budget              float64
		good, failing, want int // calls, and attempts after the first
	}{
		{"young", 0, 0, 100, 100},
		{"young, then poor", 0, 0, 400, 100},
		{"paid for", 0, 500, 100, 120},
		{"paid for ahead", 0, 10_000, 2000, 2400},
		{"own", 0.01, 0, 100_000, 1000},
		{"more than all", 1e300, 0, 1000, 2000},
		{"no limit", -1, 0, 1000, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := errorsAtOnce(nil)
			s := errorsAtOnce(errRefused)
			next := good.call
			call := Retry{Backoff: -1, Budget: c.budget}.Intercept(func(ctx context.Context, m string, args, reply any) error {
				return next(ctx, m, args, reply)
			})
			for range c.good {
				call(context.Background(), "", nil, nil)
			}
			next = s.call
			for range c.failing {
				call(context.Background(), "", nil, nil)
			}
			if n, _ := s.attempts(); n-c.failing != c.want {
				t.Errorf("%d attempts after the first, want %d", n-c.failing, c.want)
			}
		})
	}
}

// TestD210_BudgetForgets: after an outage of two minutes a client of one call a
// second can have single faults made up for again. (It took 380 s.)
func TestD210_BudgetForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(int) bool { return true } // the attempt of a call with that number
		number := 0
		call := Retry{}.Intercept(func(context.Context, string, any, any) error {
			if number++; fails(number) {
				return errLost
			}
			return nil
		})
		seconds := func(n int) (failures int) {
			for range n {
				number = 0
				if call(Idempotent(context.Background()), "", nil, nil) != nil {
					failures++
				}
				time.Sleep(time.Second)
			}
			return failures
		}
		seconds(120)
		fails = func(number int) bool { return number == 1 }
		if failures := seconds(60); failures != 0 {
			t.Errorf("%d of 60 calls failed whose first attempt had", failures)
		}
	})
}

// TestD210_BudgetInAnOutage: a client of 100 calls a second makes each no more
// than 1.2 times, for as long as it takes.
func TestD210_BudgetInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		call := Retry{Backoff: -1}.Intercept(func(context.Context, string, any, any) error {
			attempts++
			return errLost
		})
		const calls = 12_000
		for range calls {
			call(Idempotent(context.Background()), "", nil, nil)
			time.Sleep(10 * time.Millisecond)
		}
		if most := calls*6/5 + retryFloor; attempts > most {
			t.Errorf("%d attempts for %d calls, want no more than %d", attempts, calls, most)
		}
	})
}

// Busy is a service that counts its calls and does not serve them.
type Busy struct{ calls atomic.Int64 }

// Do fails, having run.
func (b *Busy) Do(int, *int) error {
	b.calls.Add(1)
	return geerpc.Errorf(geerpc.CodeUnavailable, "too much to do")
}

// TestG67_OnTheServers counts there.
func TestG67_OnTheServers(t *testing.T) {
	w := newWorld(t)
	var busy Busy
	var addrs []string
	for _, name := range []string{"a", "b", "c"} {
		addrs = append(addrs, w.start(name))
		if err := w.host(name).Register(&busy); err != nil {
			t.Fatal(err)
		}
	}
	xc := New(NewMultiServerDiscovery(addrs), Config{
		Option:   &geerpc.Option{Dialer: w.DialContext},
		Retry:    Retry{Backoff: -1},
		Ejection: Ejection{Failures: -1},
	})
	defer xc.Close()
	call := xc.Call
	const calls = 1000
	for range calls {
		wantError(t, call(Idempotent(context.Background()), "Busy.Do", 0, nil), geerpc.CodeUnavailable, geerpc.InMethod, geerpc.RanYes)
	}
	if n := busy.calls.Load(); n != calls+calls/5 {
		t.Errorf("%d calls became %d", calls, n)
	}
	busy.calls.Store(0)
	for range calls {
		call(context.Background(), "Busy.Do", 0, nil)
	}
	if n := busy.calls.Load(); n != calls {
		t.Errorf("%d calls that are not marked became %d", calls, n)
	}
}

// TestA30_RetryFindsTheOther: of two servers one is dead, and no call fails.
func TestA30_RetryFindsTheOther(t *testing.T) {
	w := newWorld(t)
	call := w.client(NewMultiServerDiscovery([]string{w.start("a"), "pipe@dead"})).Call
	for range 100 {
		var reply string
		if err := call(context.Background(), "Work.Name", 0, &reply); err != nil || reply != "a" {
			t.Fatalf("%q, %v", reply, err)
		}
	}
}

// TestA29_RetryAfterADialThatHangs: the limit of the dial ends, and the
// caller's context does not.
func TestA29_RetryAfterADialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		d := NewMultiServerDiscovery([]string{w.start("a"), "pipe@dead"})
		xc := NewXClient(d, RoundRobinSelect, &geerpc.Option{ConnectTimeout: time.Second, Dialer: w.DialContext})
		defer xc.Close()
		call := xc.Call
		for range 4 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			var reply string
			if err := call(ctx, "Work.Name", 0, &reply); err != nil || reply != "a" {
				t.Errorf("%q, %v", reply, err)
			}
			cancel()
		}
	})
}

// TestRetry_ConnectionLost: a call in flight on a server that dies may have
// run. It is made again if it is marked, and not otherwise.
func TestRetry_ConnectionLost(t *testing.T) {
	for _, marked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
			ctx := context.Background()
			if marked {
				ctx = Idempotent(ctx)
			}
			var reply string
			done := make(chan error, 1)
			go func() { done <- Retry{}.Intercept(xc.Call)(ctx, "Work.Wait", 0, &reply) }() // ends with the test at the latest
			synctest.Wait()
			killed, other := w.host("a"), w.host("b")
			if other.work.calls.Load() > 0 {
				killed, other = other, killed
			}
			close(other.work.gate)
			killed.stop()
			err := <-done
			if !marked {
				wantError(t, err, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
			} else if err != nil || reply != other.work.name {
				t.Errorf("%q, %v", reply, err)
			}
			if n := killed.work.calls.Load() + other.work.calls.Load(); n > 1 && !marked {
				t.Errorf("it ran %d times", n)
			}
		})
	}
}

// TestRetry_Free: a call that ends well allocates nothing here.
func TestRetry_Free(t *testing.T) {
	call := Retry{}.Intercept(func(context.Context, string, any, any) error { return nil })
	ctx, reply := context.Background(), new(string)
	if n := testing.AllocsPerRun(1000, func() { call(ctx, "Work.Name", nil, reply) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRetry(b *testing.B) {
	ctx := context.Background()
	call := Retry{}.Intercept(func(context.Context, string, any, any) error { return nil })
	b.Run("one caller", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call(ctx, "Work.Name", nil, nil)
		}
	})
	b.Run("many callers", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call(ctx, "Work.Name", nil, nil)
			}
		})
	})
}
