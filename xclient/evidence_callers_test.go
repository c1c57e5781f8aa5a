package xclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestD201_ForkAndHedges: whoever is a little slower than another, and outrun
// each time, is not ejected for its silence.
func TestD201_ForkAndHedges(t *testing.T) {
	t.Parallel()
	t.Run("Fork", func(t *testing.T) {
		inBubble(t, 2, Config{}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
			actors[1].plays(takes(11 * time.Millisecond))
			for range 100 {
				if err := xc.Fork(context.Background(), "Stage.Play", 0, nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				if ejectedNow(xc) > 0 {
					t.Fatal("a server is ejected for being a millisecond slower")
				}
			}
		})
	})
	t.Run("Hedge", func(t *testing.T) {
		c := Config{Balancer: RoundRobin(), Hedge: Hedge{Delay: 20 * time.Millisecond}}
		inBubble(t, 10, c, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
			actors[0].plays(takes(35 * time.Millisecond))
			c := crowd{xc: xc, every: 10 * time.Millisecond, context: deadline(10 * time.Second)}
			for range 60 {
				c.call(time.Second)
				if ejectedNow(xc) > 0 {
					t.Fatal("a server that answers within 35 ms is ejected")
				}
			}
			c.wg.Wait()
		})
	})
}

// TestD202_HastyCaller: one caller with a key, whose deadlines are too short or
// who leaves too soon, has no healthy server ejected.
func TestD202_HastyCaller(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(time.Duration) func() (context.Context, context.CancelFunc){"deadline": once, "leaves": leaves} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 10, Config{Balancer: ConsistentHash(), Retry: Retry{MaxAttempts: 1}}, func(t *testing.T, xc *XClient, _ *world, _ []*actor) {
				c := crowd{xc: xc, every: 10 * time.Millisecond, context: once(time.Second)}
				hasty := crowd{xc: xc, every: 5 * time.Millisecond, context: func() (context.Context, context.CancelFunc) {
					ctx, cancel := wait(5 * time.Millisecond)()
					return WithHashKey(ctx, "mine"), cancel
				}}
				c.call(3 * time.Second)
				var wg sync.WaitGroup
				wg.Go(func() { hasty.call(30 * time.Second) })
				for range 30 {
					c.call(time.Second)
					if n := ejectedNow(xc); n > 0 {
						t.Errorf("%d of 10 healthy servers are ejected", n)
					}
				}
				wg.Wait()
				c.wg.Wait()
				hasty.wg.Wait()
			})
		})
	}
}

// TestD204_AllFailBetweenPolls: what the others did before everything failed says
// nothing of what they do now.
func TestD204_AllFailBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 10, Config{Retry: Retry{MaxAttempts: 1}})
		load(xc, 1000, time.Millisecond)
		xc.set.detectOutliers() // as each second
		f.fail(failed(geerpc.CodeUnavailable, geerpc.InServer, geerpc.RanNever), addrs...)
		load(xc, 90, time.Millisecond)
		if n := ejectedNow(xc); n > 0 {
			t.Errorf("%d of 10 are ejected, though all failed alike", n)
		}
	})
}

// TestD205_ProbationEnds: a server that was ejected is well again, but calls from
// before, or its probe, never end. It gets its calls back.
func TestD205_ProbationEnds(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			inBubble(t, 4, Config{Balancer: b.Balancer}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				forever, cancel := context.WithCancel(context.Background())
				c := crowd{xc: xc, every: 50 * time.Millisecond, context: func() (context.Context, context.CancelFunc) {
					return WithHashKey(forever, fmt.Sprint(rand.IntN(1000))), func() {}
				}}
				c.call(2 * time.Second)
				ejectNow(t, xc, actors[0].addr)
				actors[0].plays(hangs)
				before := actors[0].calls.Load()
				for i := 0; actors[0].calls.Load() == before && i < 600; i++ {
					c.call(100 * time.Millisecond)
				}
				actors[0].plays(takes(10 * time.Millisecond))
				before = actors[0].calls.Load()
				c.call(3 * time.Minute)
				if got := actors[0].calls.Load() - before; got < 3 { // few where calls in flight count, and one never ends
					t.Errorf("it has been well for three minutes, and got %d calls", got)
				}
				cancel()
				c.wg.Wait()
			})
		})
	}
}

// TestD205_BackSoon: once a server is on probation it is back within seconds, also
// where the Balancer would not pick it. (It took 50 s with LeastLoaded.)
func TestD205_BackSoon(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			inBubble(t, 5, Config{Balancer: b.Balancer}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				c := crowd{xc: xc, every: 10 * time.Millisecond, context: once(5 * time.Second)}
				c.call(2 * time.Second)
				actors[0].plays(hangs)
				ejectNow(t, xc, actors[0].addr)
				actors[0].plays(takes(10 * time.Millisecond))
				for ejectedNow(xc) > 0 {
					c.call(100 * time.Millisecond)
				}
				before, begin := actors[0].calls.Load(), time.Now()
				for actors[0].calls.Load()-before < 20 && time.Since(begin) < time.Minute {
					c.call(100 * time.Millisecond)
				}
				if d := time.Since(begin); d > 5*time.Second {
					t.Errorf("it has had twenty calls %s after it was admitted", d)
				}
				c.wg.Wait()
			})
		})
	}
}

// TestD203_LongCalls: a server with calls that take long by their nature is not
// ejected, and gets others.
func TestD203_LongCalls(t *testing.T) {
	t.Parallel()
	for _, long := range []int{1, 5} {
		t.Run(fmt.Sprint(long), func(t *testing.T) {
			inBubble(t, 4, Config{}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				c := crowd{xc: xc, every: 10 * time.Millisecond, context: deadline(time.Second)}
				c.call(3 * time.Second)
				c.wg.Wait()
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				actors[0].plays(hangs)
				s, _ := xc.set.server(actors[0].addr)
				for range long {
					wg.Go(func() { xc.callServer(ctx, s, "Stage.Play", 0, nil) })
				}
				synctest.Wait()
				actors[0].plays(takes(10 * time.Millisecond))
				actors[0].calls.Store(0)
				c.call(time.Minute)
				if n := actors[0].calls.Load(); n == 0 || long == 1 && n < 100 || s.health.is(ejected|probation) {
					t.Errorf("with %d long calls it gets %d others; ejected or on probation: %v", long, n, s.health.is(ejected|probation))
				}
				cancel()
				wg.Wait()
				c.wg.Wait()
			})
		})
	}
}

// TestD206_OtherServices: how fast servers of another service are says nothing of
// how fast these should be. (The slow one of three got a third of the calls.)
func TestD206_OtherServices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		actors, addrs := cast(t, w, 9)
		var list []Endpoint
		for i, addr := range addrs {
			e := Endpoint{Addr: addr, Services: []string{"Stage"}}
			if i >= 3 {
				e.Services = []string{"Cache"}
				actors[i].plays(takes(100 * time.Microsecond))
				if err := actors[i].host.RegisterName("Cache", Stage{actors[i]}); err != nil {
					t.Fatal(err)
				}
			}
			list = append(list, e)
		}
		d, err := NewEndpoints(list)
		if err != nil {
			t.Fatal(err)
		}
		xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}})
		defer xc.Close()
		actors[0].plays(takes(2 * time.Second))
		slow, calls := int64(0), 0
		for begin := time.Now(); time.Since(begin) < 2*time.Minute; time.Sleep(50 * time.Millisecond) {
			for range 5 {
				xc.Call(mustEnd(t, time.Second), "Cache.Play", 0, nil)
			}
			before := actors[0].calls.Load()
			xc.Call(context.Background(), "Stage.Play", 0, nil)
			calls++
			slow += actors[0].calls.Load() - before
		}
		t.Logf("the slow server got %d of %d calls", slow, calls)
		if slow*20 > int64(calls) {
			t.Errorf("the slow server got %d of %d calls", slow, calls)
		}
	})
}

// TestD222_FourMethods: a Discovery that has only the four methods goes on naming
// a server that is ejected. It is asked again.
func TestD222_FourMethods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		actors, addrs := cast(t, w, 4)
		xc := New(&fourMethods{addrs: addrs}, Config{Option: &geerpc.Option{Dialer: w.DialContext}})
		defer xc.Close()
		c := crowd{xc: xc, every: 10 * time.Millisecond, context: deadline(10 * time.Second)}
		c.call(time.Second)
		ejectNow(t, xc, actors[0].addr)
		before := actors[0].calls.Load()
		c.call(time.Second)
		if n := actors[0].calls.Load() - before; n > 0 {
			t.Errorf("a server that is ejected gets %d calls", n)
		}
		c.call(time.Minute)
		c.wg.Wait()
		if n := actors[0].calls.Load() - before; n < 1000 {
			t.Errorf("it gets %d calls in a minute, with its probation over", n)
		}
		if n := c.failed.Load(); n > 0 {
			t.Errorf("%d calls failed", n)
		}
	})
}
