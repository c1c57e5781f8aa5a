package xclient

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
)

// slowDialer has dials to some servers take a while.
func (w *world) slowDialer(after map[string]time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, name string) (net.Conn, error) {
		if !backoff.Sleep(ctx, after[name]) {
			return nil, ctx.Err()
		}
		return w.DialContext(ctx, network, name)
	}
}

// timed calls Work.Name, without a deadline, and returns how long that took.
func timed(t *testing.T, xc *XClient) time.Duration {
	t.Helper()
	begin := time.Now()
	name(t, xc)
	return time.Since(begin)
}

// TestA29_HangingServerAmongOthers: no call waits longer than patience for a
// server that does not answer a dial, and once one has, none does.
func TestA29_HangingServerAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		d := NewMultiServerDiscovery([]string{"pipe@dead", w.start("good")})
		xc := w.client(d)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if took := timed(t, xc); took > patience {
					t.Errorf("a call took %s", took)
				}
			})
		}
		wg.Wait()
		for range 10 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a later call took %s", took)
			}
		}
	})
}

// TestA29_HangingServerAndShortDeadlines: a call whose deadline is no later
// than its patience would be over gets to another server all the same, though
// two that hang are in its way.
func TestA29_HangingServerAndShortDeadlines(t *testing.T) {
	for _, timeout := range []time.Duration{patience / 100, patience / 2, patience, 2 * patience} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.hang("dead", true)
			w.hang("worse", true)
			d := NewMultiServerDiscovery([]string{"pipe@dead", w.start("good"), "pipe@worse"})
			for range 20 {
				xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Timeout: timeout})
				if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != nil {
					t.Errorf("with a timeout of %s: %v", timeout, err)
				}
				xc.Close()
			}
		})
	}
}

// TestA29_MostServersHang: each that a call has waited for costs it patience,
// and in the end it gets to one that answers, whichever it is.
func TestA29_MostServersHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		addrs := []string{w.start("good")}
		for i := range 7 {
			dead := fmt.Sprint("dead", i)
			w.hang(dead, true)
			addrs = append(addrs, "pipe@"+dead)
		}
		for range 10 {
			xc := w.client(NewMultiServerDiscovery(addrs))
			ctx, cancel := context.WithTimeout(context.Background(), 7*patience+1)
			if err := xc.Call(ctx, "Work.Name", 0, nil); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
}

// TestA29_SlowServerAndHangingOne: who has given up on the slow one, and waits
// for the hanging one, looks again.
func TestA29_SlowServerAndHangingOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		addrs := []string{w.start("slow"), "pipe@dead"}
		dialer := w.slowDialer(map[string]time.Duration{"slow": 3 * patience / 2})
		for range 10 {
			xc := New(NewMultiServerDiscovery(addrs), Config{Option: &geerpc.Option{Dialer: dialer}})
			if took := timed(t, xc); took > 3*patience {
				t.Errorf("a call took %s", took)
			}
			xc.Close()
		}
	})
}

// TestA30_OneOfTwoServersIsDead: it costs no call, neither when it is dead from
// the start nor when it dies.
func TestA30_OneOfTwoServersIsDead(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), "pipe@nobody"}))
	for range 100 {
		name(t, xc)
	}
	w.host("b").stop()
	eventually(t, "its connection has gone", func() bool { return w.connections("b") == 0 })
	for range 100 {
		if got := name(t, xc); got != "a" {
			t.Errorf("%s answered", got)
		}
	}
}

// TestEjectedServersBeforeUnreachableOnes: one of two servers is ejected, as
// the other one dies. Calls go to the one that is there.
func TestEjectedServersBeforeUnreachableOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		connectAll(t, xc)
		ejectNow(t, xc, "pipe@a")
		w.host("b").stop()
		w.hang("b", true)
		synctest.Wait() // its connection has gone
		for range 20 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a call took %s", took)
			}
			if got := name(t, xc); got != "a" {
				t.Errorf("%s answered", got)
			}
		}
	})
}

// ejectNow ejects a server.
func ejectNow(t *testing.T, xc *XClient, addr string) {
	t.Helper()
	s, err := xc.set.server(addr)
	if err != nil {
		t.Fatal(err)
	}
	xc.set.mu.Lock()
	xc.set.ejectLocked(s, "a test")
	xc.set.mu.Unlock()
	if s.health.fit() {
		t.Fatalf("%s is not ejected", addr)
	}
}

// TestHedge_FirstAttemptWaitsForDial: the second goes to another server, and
// does not wait for the same dial.
func TestHedge_FirstAttemptWaitsForDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		d := NewMultiServerDiscovery([]string{"pipe@dead", w.start("good")})
		for range 10 {
			xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Hedge: Hedge{Delay: 10 * time.Millisecond}})
			begin := time.Now()
			if err := xc.Call(Idempotent(context.Background()), "Work.Name", 0, nil); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 10*time.Millisecond {
				t.Errorf("a call took %s", took)
			}
			xc.Close()
		}
	})
}

// A pickerFunc is a user's Balancer and Picker.
type pickerFunc func(servers []*Server) *Server

func (f pickerFunc) Picker(servers []*Server) Picker {
	if f == nil {
		return nil
	}
	return boundPicker{f, servers}
}

type boundPicker struct {
	pick    pickerFunc
	servers []*Server
}

func (p boundPicker) Pick(context.Context) *Server { return p.pick(p.servers) }

// TestBalancerThatPicksNone fails the call, typed, and nothing else.
func TestBalancerThatPicksNone(t *testing.T) {
	for _, test := range []struct {
		name string
		Balancer
	}{
		{"no picker", pickerFunc(nil)},
		{"no server", pickerFunc(func([]*Server) *Server { return nil })},
		{"a server from nowhere", pickerFunc(func([]*Server) *Server { return NewServer(Endpoint{Addr: "pipe@a"}) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
			xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: test.Balancer})
			defer xc.Close()
			err := xc.Call(context.Background(), "Work.Name", 0, nil)
			wantError(t, err, geerpc.CodeInternal, geerpc.InClient, geerpc.RanNever)
		})
	}
}

// TestBalancerThatPanics: its caller gets the panic, and others go on.
func TestBalancerThatPanics(t *testing.T) {
	w := newWorld(t)
	d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
	bad := true
	balancer := pickerFunc(func(servers []*Server) *Server {
		if bad {
			panic("no idea")
		}
		return servers[0]
	})
	xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: balancer})
	defer xc.Close()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		xc.Call(context.Background(), "Work.Name", 0, nil)
	}()
	if call := <-xc.Go("Work.Name", 0, nil, nil).Done; geerpc.CodeOf(call.Error) != geerpc.CodeInternal {
		t.Error(call.Error)
	}
	bad = false
	name(t, xc)
}

// TestLeastLoaded_ServerBeingDialled: calls that wait for a connection count,
// so that others don't all join them.
func TestLeastLoaded_ServerBeingDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		addrs := []string{"pipe@slow", "pipe@slower"}
		w.hang("slow", true)
		w.hang("slower", true)
		xc := New(NewMultiServerDiscovery(addrs), Config{Option: &geerpc.Option{Dialer: w.DialContext}})
		defer xc.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		const callers = 20
		var wg sync.WaitGroup
		for range callers { // each of them picks when the one before has its answer, or waits
			wg.Go(func() { xc.Call(ctx, "Work.Wait", 0, nil) })
			synctest.Wait()
		}
		for _, addr := range addrs {
			s, _ := xc.set.server(addr)
			if n := s.InFlight(); n < callers/2-1 || n > callers/2+1 {
				t.Errorf("%d of %d calls wait for %s", n, callers, addr)
			}
		}
		cancel()
		wg.Wait()
	})
}
