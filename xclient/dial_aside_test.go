package xclient

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestD209_HangingDialHoldsUpNobody: a server joins two that are connected, and
// does not answer the dial.
func TestD209_HangingDialHoldsUpNobody(t *testing.T) {
	for _, b := range balancers {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.hang("dead", true)
			addrs := []string{w.start("a"), w.start("b")}
			d := NewMultiServerDiscovery(addrs)
			xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: b.Balancer})
			defer xc.Close()
			connectAll(t, xc)
			d.Update(append(addrs, "pipe@dead"))
			const callers = 64
			var late atomic.Int64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range 10 {
						if timed(t, xc) > 0 {
							late.Add(1)
						}
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			if n := late.Load(); n > 0 {
				t.Errorf("%s: %d calls of %d callers waited", b.name, n, callers)
			}
			if n := w.dialed("dead"); n != 1 {
				t.Errorf("%s: %d dials of the server that hangs", b.name, n)
			}
		})
	}
}

// TestD209_NewServerGetsItsShare: one that takes a while to connect to costs no
// call anything, and then has its share.
func TestD209_NewServerGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		addrs := []string{w.start("a"), w.start("b")}
		d := NewMultiServerDiscovery(addrs)
		dialer := w.slowDialer(map[string]time.Duration{"new": 300 * time.Millisecond})
		xc := New(d, Config{Option: &geerpc.Option{Dialer: dialer}, Balancer: RoundRobin()})
		defer xc.Close()
		connectAll(t, xc)
		d.Update(append(addrs, w.start("new")))
		for range 40 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a call took %s", took)
			}
			time.Sleep(10 * time.Millisecond)
		}
		before := w.calls("new")["new"]
		for range 30 {
			name(t, xc)
		}
		if n := w.calls("new")["new"] - before; n != 10 {
			t.Errorf("%d of 30 calls, want 10", n)
		}
	})
}

// TestD209_ColdStart: of two servers one hangs. A call that waits for it turns to
// the other one soon after that is connected.
func TestD209_ColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		dialer := w.slowDialer(map[string]time.Duration{"good": 50 * time.Millisecond})
		xc := New(NewMultiServerDiscovery([]string{"pipe@dead", w.start("good")}),
			Config{Option: &geerpc.Option{Dialer: dialer}, Balancer: RoundRobin()})
		defer xc.Close()
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if took := timed(t, xc); took > 50*time.Millisecond+reconsiderAfter {
					t.Errorf("a call took %s", took)
				}
			})
		}
		wg.Wait()
	})
}

// TestD209_ListReachesCallsThatWait: they wait for the only server, which hangs,
// when the list changes.
func TestD209_ListReachesCallsThatWait(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(addr string) (d Discovery, update func(addr string))
	}{
		{"ours", func(addr string) (Discovery, func(string)) {
			d := NewMultiServerDiscovery([]string{addr})
			return d, func(addr string) { d.Update([]string{addr}) }
		}},
		{"ours, with one more", func(addr string) (Discovery, func(string)) {
			d := NewMultiServerDiscovery([]string{addr})
			return d, func(more string) { d.Update([]string{addr, more}) }
		}},
		{"four methods", func(addr string) (Discovery, func(string)) {
			own := NewMultiServerDiscovery([]string{addr})
			d := struct{ Discovery }{own}
			return d, func(addr string) { own.Update([]string{addr}) }
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.hang("dead", true)
			d, update := test.make("pipe@dead")
			xc := w.client(d)
			done := make(chan error, 20)
			for range cap(done) {
				go func() { done <- xc.Call(t.Context(), "Work.Name", 0, nil) }()
			}
			time.Sleep(5*sweepInterval + 1)
			update(w.start("good"))
			begin := time.Now()
			for range cap(done) {
				if err := <-done; err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
			}
			if took := time.Since(begin); took > sweepInterval+reconsiderAfter {
				t.Errorf("%s: a call took %s after the list had changed", test.name, took)
			}
		})
	}
}

// TestD209_GreetsAndHangsUp: a server, or a proxy in front of it, accepts each
// connection, greets, and hangs up. It is dialled as one that can't be reached.
func TestD209_GreetsAndHangsUp(t *testing.T) {
	t.Parallel()
	for _, others := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			addrs := []string{w.start("rude")}
			if others {
				addrs = append(addrs, w.start("good"))
			}
			dialer := func(ctx context.Context, network, name string) (net.Conn, error) {
				conn, err := w.DialContext(ctx, network, name)
				if err != nil || name != "rude" {
					return conn, err
				}
				if others {
					time.AfterFunc(time.Microsecond, func() { conn.Close() })
					return conn, nil
				}
				return &rudeConn{Conn: conn}, nil
			}
			xc := New(NewMultiServerDiscovery(addrs), Config{Option: &geerpc.Option{Dialer: dialer}, Balancer: RoundRobin()})
			defer xc.Close()
			failed := 0
			for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if xc.Call(ctx, "Work.Name", 0, nil) != nil {
					failed++
				}
				cancel()
			}
			most := 20
			if !others {
				most = 70 // one a second, for calls that have nowhere else to go
			}
			if n := w.dialed("rude"); n > most || others && failed > 0 {
				t.Errorf("others: %v: %d dials in a minute, %d calls failed", others, n, failed)
			}
			t.Logf("others: %v: %d dials in a minute, %d calls failed", others, w.dialed("rude"), failed)
		})
	}
}

// A rudeConn hangs up at the first call: at what is sent after the greeting.
type rudeConn struct {
	net.Conn
	writes atomic.Int32
}

func (c *rudeConn) Write(p []byte) (int, error) {
	if c.writes.Add(1) > 1 {
		c.Close()
	}
	return c.Conn.Write(p)
}
