package xclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// flaky is an interceptor of attempts that fail on some servers.
type flaky struct {
	mu    sync.Mutex // guards what follows
	fails map[string]error
	calls map[string][]time.Time // attempts by server
}

func newFlaky() *flaky {
	return &flaky{fails: make(map[string]error), calls: make(map[string][]time.Time)}
}

// fail has attempts on servers fail with err, nil: succeed.
func (f *flaky) fail(err error, addrs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, addr := range addrs {
		f.fails[addr] = err
	}
}

func (f *flaky) intercept(geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, _ string, _, _ any) error {
		tried := callContextOf(ctx).tried
		addr := tried[len(tried)-1].Endpoint().Addr
		f.mu.Lock()
		defer f.mu.Unlock()
		f.calls[addr] = append(f.calls[addr], time.Now())
		return f.fails[addr]
	}
}

// since returns the attempts on a server since a time.
func (f *flaky) since(addr string, begin time.Time) (at []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.calls[addr] {
		if !t.Before(begin) {
			at = append(at, t.Sub(begin))
		}
	}
	return at
}

// flakyCluster returns an XClient of n servers a, b …, whose every attempt f
// decides.
func flakyCluster(t *testing.T, f *flaky, n int, c Config) (xc *XClient, d *MultiServersDiscovery, addrs []string) {
	w := newWorld(t)
	for i := range n {
		addrs = append(addrs, w.start(string(rune('a'+i))))
	}
	c.Option = &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{f.intercept}}
	if c.Balancer == nil {
		c.Balancer = RoundRobin()
	}
	d = NewMultiServerDiscovery(addrs)
	xc = New(d, c)
	t.Cleanup(func() { xc.Close() })
	connectAll(t, xc)
	return xc, d, addrs
}

// load makes n calls, one every so often.
func load(xc *XClient, n int, every time.Duration) (failures int) {
	for range n {
		if xc.Call(context.Background(), "Work.Name", 0, nil) != nil {
			failures++
		}
		time.Sleep(every)
	}
	return failures
}

// TestF64_FlappingServer is ejected after five failures in a row; gets a call a
// second after a pause, which doubles as long as that fails; and is back when
// one is answered.
func TestF64_FlappingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 4, Config{Retry: Retry{MaxAttempts: 1}})
		bad := addrs[2]
		load(xc, 8, time.Millisecond)
		f.fail(errLost, bad)
		begin := time.Now()
		if n := load(xc, 40, 0); n != DefaultEjectFailures {
			t.Errorf("%d calls failed before it was ejected", n)
		}
		load(xc, 6000, 10*time.Millisecond) // a minute
		at := f.since(bad, begin)[DefaultEjectFailures:]
		pause := float64(DefaultEjectBackoff)
		last := time.Duration(0)
		for i, probe := range at {
			if took := float64(probe - last); took < 0.8*pause || took > 1.2*pause+float64(100*time.Millisecond) {
				t.Errorf("probe %d after %s, want about %s", i, probe-last, time.Duration(pause))
			}
			pause, last = 2*pause, probe
		}
		if len(at) < 2 || len(at) > 3 { // after 5, 15, 35 s, and a fifth
			t.Errorf("%d probes in a minute: %v", len(at), at)
		}
		for _, st := range xc.Servers() {
			if st.Endpoint.Addr == bad && st.Why != "1 failure on probation" {
				t.Errorf("it is %s because of %q", st.State, st.Why)
			}
		}
		f.fail(nil, bad)
		load(xc, 5000, 10*time.Millisecond)
		again := time.Now()
		load(xc, 400, 10*time.Millisecond)
		if n := len(f.since(bad, again)); n != 100 {
			t.Errorf("it is well, and gets %d of 400 calls", n)
		}
	})
}

// The hook is told of each change, in order; the call that causes one does not wait for
// it, and its panic costs nothing.
func TestEjection_OnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		var told []string
		release := make(chan struct{})
		onChange := func(e Endpoint, from, to ServerState) {
			<-release
			told = append(told, fmt.Sprintf("%s: %s to %s", e.Addr, from, to))
			panic("a hook that panics")
		}
		xc, _, addrs := flakyCluster(t, f, 2, Config{Retry: Retry{MaxAttempts: 1}, Ejection: Ejection{OnChange: onChange}})
		load(xc, 8, time.Millisecond)
		f.fail(errLost, addrs[0])
		load(xc, 20, time.Millisecond)
		if st := xc.Servers()[0]; st.State != StateEjected {
			t.Fatalf("%s while the hook blocks", st.State)
		}
		close(release)
		load(xc, 1000, 10*time.Millisecond) // the first ejection ends, and a probe fails
		f.fail(nil, addrs[0])
		load(xc, 2000, 10*time.Millisecond) // the second ends, and a probe is answered
		synctest.Wait()
		want := []string{
			addrs[0] + ": ready to ejected", addrs[0] + ": ejected to on probation",
			addrs[0] + ": on probation to ejected", addrs[0] + ": ejected to on probation",
			addrs[0] + ": on probation to ready",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// TestF64_ProbesUntilOneIsAnswered: a server that comes back gets a call a
// second as long as nobody knows how the first one ends.
func TestF64_ProbesUntilOneIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 2, Config{Retry: Retry{MaxAttempts: 1}})
		load(xc, 2, 0)
		ejectNow(t, xc, addrs[0])
		f.fail(failed(geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever), addrs[0]) // which says nothing
		time.Sleep(2 * DefaultEjectBackoff)
		begin := time.Now()
		load(xc, 1000, 10*time.Millisecond)
		at := f.since(addrs[0], begin)
		if len(at) != 10 {
			t.Errorf("%d probes in ten seconds: %v", len(at), at)
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; d < probeInterval || d > probeInterval+20*time.Millisecond {
				t.Errorf("probe %d after %s", i, d)
			}
		}
	})
}

// TestF64_AtMostHalf of the servers are ejected, whatever their number, and
// those that have left don't count.
func TestF64_AtMostHalf(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 5: 2} { // all but one fail
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlaky()
				xc, d, addrs := flakyCluster(t, f, n, Config{Retry: Retry{MaxAttempts: 1}})
				load(xc, n, 0)
				f.fail(errLost, addrs[:max(n-1, 1)]...)
				load(xc, 100*n, time.Millisecond)
				ejectedOf := func() (out []string) {
					for _, addr := range addrs {
						if s, _ := xc.set.server(addr); !s.health.fit() {
							out = append(out, addr)
						}
					}
					return out
				}
				out := ejectedOf()
				if len(out) != want {
					t.Errorf("%d are ejected, want %d", len(out), want)
				}
				d.Update(append([]string{"pipe@new1", "pipe@new2"}, addrs...))
				d.Update(addrs)
				load(xc, 1, 0)
				d.Update(slices.DeleteFunc(slices.Clone(addrs), func(addr string) bool { return slices.Contains(out, addr) }))
				load(xc, 1, 0)
				d.Update(addrs)
				connectAll(t, xc)
				load(xc, 100*n, time.Millisecond)
				if again := ejectedOf(); len(again) != want {
					t.Errorf("%d are ejected after the first have left and come, want %d", len(again), want)
				}
				f.fail(nil, addrs...)
				time.Sleep(2 * DefaultEjectBackoff)
				load(xc, 10*n, 2*time.Second)
				if back := ejectedOf(); len(back) != 0 || xc.set.ejectedCount != 0 {
					t.Errorf("%v are ejected in the end, %d by count", back, xc.set.ejectedCount)
				}
			})
		})
	}
}

// TestF64_LateFailures of calls from before an ejection don't eject a server
// that has come back.
func TestF64_LateFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		name(t, xc)
		name(t, xc)
		var wg sync.WaitGroup
		for range 100 { // as many wait on each server
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				xc.Call(ctx, "Work.Wait", 0, nil)
			})
		}
		synctest.Wait()
		close(w.host("b").work.gate)
		ejectNow(t, xc, "pipe@a")
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		wg.Wait() // a's calls have failed
		if s, _ := xc.set.server("pipe@a"); !s.health.fit() {
			t.Error("it is ejected again for calls from before")
		}
	})
}

// TestEjection_ServerHasLeft: its last calls fail, which concerns nobody.
func TestEjection_ServerHasLeft(t *testing.T) {
	f := newFlaky()
	xc, d, addrs := flakyCluster(t, f, 4, Config{})
	load(xc, 4, 0)
	s, _ := xc.set.server(addrs[0])
	d.Update(addrs[1:])
	load(xc, 1, 0)
	for range 10 {
		s.judge(s.record.End(s.record.Begin(attempt.Now(), false), attempt.Ending{Outcome: attempt.Lost, At: attempt.Now()}))
	}
	if xc.set.ejectedCount != 0 || s.health.readmitTimer != nil {
		t.Errorf("%d servers are ejected, a timer runs: %v", xc.set.ejectedCount, s.health.readmitTimer != nil)
	}
}

// TestEjection_WhatCounts as a failure of the server.
func TestEjection_WhatCounts(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"lost", errLost, true},
		{"unavailable, says the server", failed(geerpc.CodeUnavailable, geerpc.InServer, geerpc.RanNever), true},
		{"too late", failed(geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanMaybe), true},
		{"unavailable, says the method", failed(geerpc.CodeUnavailable, geerpc.InMethod, geerpc.RanYes), false},
		{"not found", failed(geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever), false},
		{"cancelled", failed(geerpc.CodeCanceled, geerpc.OnLink, geerpc.RanMaybe), false},
		{"not sent", errNoServers, false},
		{"not typed", errors.New("no"), false},
		{"well", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFlaky()
			xc, _, addrs := flakyCluster(t, f, 2, Config{Retry: Retry{MaxAttempts: 1}})
			f.fail(test.err, addrs[0])
			load(xc, 30, 0)
			if s, _ := xc.set.server(addrs[0]); s.health.fit() == test.want {
				t.Errorf("ejected: %v", !s.health.fit())
			}
		})
	}
}

// TestEjection_Off never ejects.
func TestEjection_Off(t *testing.T) {
	f := newFlaky()
	xc, _, addrs := flakyCluster(t, f, 2, Config{Retry: Retry{MaxAttempts: 1}, Ejection: Ejection{Failures: -1}})
	f.fail(errLost, addrs[0])
	if n := load(xc, 100, 0); n != 50 {
		t.Errorf("%d of 100 calls failed", n)
	}
}

// TestG67_RetriesOfAnXClient: every server fails, and gets at most a fifth more
// calls than are made, or a hundred in ten seconds.
func TestG67_RetriesOfAnXClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 4, Config{})
		f.fail(errLost, addrs...)
		const calls = 2000
		begin := time.Now()
		for range calls {
			if xc.Call(Idempotent(context.Background()), "Work.Name", 0, nil) == nil {
				t.Error("a call went well")
			}
		}
		attempts := 0
		for _, addr := range addrs {
			attempts += len(f.since(addr, begin))
		}
		if most := calls*6/5 + retryFloor; attempts > most || attempts < calls*6/5 {
			t.Errorf("%d attempts for %d calls, want up to %d", attempts, calls, most)
		}
	})
}

// TestEjection_HastyCalls among others: their deadlines pass, and the answers
// that the others get in between keep the server in.
func TestEjection_HastyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 2, Config{Retry: Retry{MaxAttempts: 1}})
		for range 100 {
			f.fail(failed(geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanMaybe), addrs...)
			load(xc, 2*(DefaultEjectFailures-1), 0)
			f.fail(nil, addrs...)
			load(xc, 2, 0)
		}
		if xc.set.ejectedCount != 0 {
			t.Errorf("%d servers are ejected", xc.set.ejectedCount)
		}
	})
}
