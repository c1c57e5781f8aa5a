package xclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// An actor is a server of which each call is played by a function.
type actor struct {
	addr  string
	host  *host
	calls atomic.Int64
	play  atomic.Pointer[func(ctx context.Context) error]
}

// Stage is what actors serve.
type Stage struct{ *actor }

func (s Stage) Play(ctx context.Context, _ int, _ *int) error {
	s.calls.Add(1)
	return (*s.play.Load())(ctx)
}

func (a *actor) plays(play func(ctx context.Context) error) { a.play.Store(&play) }

// cast starts n actors whose calls take 10 ms.
func cast(t testing.TB, w *world, n int) (actors []*actor, addrs []string) {
	for i := range n {
		name := fmt.Sprint("s", i)
		a := &actor{addr: w.start(name), host: w.host(name)}
		a.plays(takes(10 * time.Millisecond))
		if err := a.host.Register(Stage{a}); err != nil {
			t.Fatal(err)
		}
		actors, addrs = append(actors, a), append(addrs, a.addr)
	}
	return actors, addrs
}

// takes is a call that takes its time.
func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fails is a call that fails at once.
func fails(code geerpc.Code) func(context.Context) error {
	return func(context.Context) error { return geerpc.Errorf(code, "no") }
}

// hangs is a call without an end of its own.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A crowd makes calls at random times, whether earlier ones have ended or not.
type crowd struct {
	xc      *XClient
	every   time.Duration                                // on average
	context func() (context.Context, context.CancelFunc) // of a call

	wg            sync.WaitGroup
	calls, failed atomic.Int64
	mu            sync.Mutex // guards took
	took          []time.Duration
}

// call makes calls for so long, and returns how many there were.
func (c *crowd) call(d time.Duration) int64 {
	before := c.calls.Load()
	for begin := time.Now(); time.Since(begin) < d; time.Sleep(exponential(c.every)) {
		c.calls.Add(1)
		c.wg.Go(func() {
			ctx, cancel := c.context()
			defer cancel()
			begin := time.Now()
			if c.xc.Call(ctx, "Stage.Play", 0, nil) != nil {
				c.failed.Add(1)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.took = append(c.took, time.Since(begin))
		})
	}
	return c.calls.Load() - before
}

// once is a crowd's context with a deadline.
func once(d time.Duration) func() (context.Context, context.CancelFunc) {
	return func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(WithHashKey(context.Background(), fmt.Sprint(rand.IntN(1000))), d)
	}
}

// deadline is the same for calls that may be made again.
func deadline(d time.Duration) func() (context.Context, context.CancelFunc) {
	return func() (context.Context, context.CancelFunc) {
		ctx, cancel := once(d)()
		return Idempotent(ctx), cancel
	}
}

// leaves is a crowd's context without a deadline, that its caller cancels.
func leaves(d time.Duration) func() (context.Context, context.CancelFunc) {
	return func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
}

// inBubble runs a test with n actors in virtual time.
func inBubble(t *testing.T, n int, c Config, f func(t *testing.T, xc *XClient, w *world, actors []*actor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		actors, addrs := cast(t, w, n)
		var opt geerpc.Option
		if c.Option != nil {
			opt = *c.Option
		}
		opt.Dialer = w.DialContext
		c.Option = &opt
		xc := New(NewMultiServerDiscovery(addrs), c)
		defer xc.Close()
		f(t, xc, w, actors)
	})
}

// ejectedNow returns how many servers are ejected.
func ejectedNow(xc *XClient) int {
	xc.set.mu.Lock()
	defer xc.set.mu.Unlock()
	return xc.set.ejectedCount
}

// TestD201_LosingARaceIsNoFault: twenty servers that all get slow, past the
// hedges' delay, stay in. (Half of them were ejected.)
func TestD201_LosingARaceIsNoFault(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			c := Config{Balancer: b.Balancer, Hedge: Hedge{Delay: 20 * time.Millisecond}}
			inBubble(t, 20, c, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				c := crowd{xc: xc, every: 5 * time.Millisecond, context: deadline(10 * time.Second)}
				c.call(3 * time.Second)
				for _, a := range actors {
					a.plays(func(ctx context.Context) error { return takes(exponential(100 * time.Millisecond))(ctx) })
				}
				for range 10 {
					c.call(time.Second)
					if n := ejectedNow(xc); n != 0 {
						t.Fatalf("%d of %d servers are ejected", n, len(actors))
					}
				}
				c.wg.Wait()
			})
		})
	}
}

// TestD201_LosersAreNotFast: a server whose calls are all outrun after 33 ms
// doesn't look as if they took no longer. (It kept half of the picks.)
func TestD201_LosersAreNotFast(t *testing.T) {
	inBubble(t, 2, Config{Hedge: Hedge{Delay: 3 * time.Millisecond}}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
		actors[0].plays(takes(2 * time.Second))
		actors[1].plays(takes(30 * time.Millisecond))
		c := crowd{xc: xc, every: 50 * time.Millisecond, context: deadline(10 * time.Second)}
		c.call(5 * time.Second) // while there is an advance on hedges
		c.wg.Wait()
		slow, _ := xc.set.server(actors[0].addr)
		fast, _ := xc.set.server(actors[1].addr)
		t.Logf("the slow server shows %s, the fast one %s", slow.Latency(), fast.Latency())
		if slow.Latency() < 6*fast.Latency() { // 17 times as much on average, with a standard deviation of 1.5
			t.Errorf("the slow server shows %s, the fast one %s", slow.Latency(), fast.Latency())
		}
	})
}

// TestD202_FastFailer draws no more calls than its fair share, be its errors
// the method's or the server's. (It was 40 % of five.)
func TestD202_FastFailer(t *testing.T) {
	t.Parallel()
	for _, code := range []geerpc.Code{geerpc.CodeInternal, geerpc.CodeUnavailable} {
		t.Run(code.String(), func(t *testing.T) {
			inBubble(t, 5, Config{Retry: Retry{MaxAttempts: 1}}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				actors[2].plays(fails(code))
				c := crowd{xc: xc, every: 2 * time.Millisecond, context: deadline(time.Second)} // five in flight
				calls := c.call(20 * time.Second)
				c.wg.Wait()
				share := float64(actors[2].calls.Load()) / float64(calls)
				t.Logf("it got %.1f %%", 100*share)
				if share > 0.25 || share < 0.1 { // with a standard deviation of 0.3 %
					t.Errorf("the server that fails at once got %.1f %% of the calls, its fair share is 20", 100*share)
				}
				if n := ejectedNow(xc); n != 0 {
					t.Errorf("%d servers are ejected for what their methods said", n)
				}
			})
		})
	}
}

// settles has the crowd make calls for ten seconds, and then for so long, in which
// less than one call in a hundred may fail.
func (c *crowd) settles(t *testing.T, d time.Duration) {
	t.Helper()
	c.call(10 * time.Second)
	before := c.failed.Load()
	calls := c.call(d)
	c.wg.Wait()
	failed := c.failed.Load() - before
	t.Logf("%d calls failed in the first 10 s, %d of %d after that", before, failed, calls)
	if 100*failed > calls {
		t.Errorf("%d of %d calls failed", failed, calls)
	}
}

// TestD202_Refuser: a server whose limiter refuses all calls at once costs less
// than one call in a hundred, once it is known.
func TestD202_Refuser(t *testing.T) {
	t.Parallel()
	for _, code := range []geerpc.Code{geerpc.CodeResourceExhausted, geerpc.CodeUnavailable} {
		t.Run(code.String(), func(t *testing.T) {
			inBubble(t, 5, Config{Retry: Retry{MaxAttempts: 1}}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				actors[2].host.Interceptors = []geerpc.Interceptor{func(geerpc.CallFunc) geerpc.CallFunc {
					return func(ctx context.Context, _ string, _, _ any) error { return fails(code)(ctx) }
				}}
				c := crowd{xc: xc, every: 5 * time.Millisecond, context: deadline(time.Second)}
				c.settles(t, 15*time.Second)
			})
		})
	}
}

// TestD202_Deadlocked: of a server with a method that hangs, behind a handle
// timeout, and that is full soon. (It was never ejected, and made a fifth of all
// calls fail.)
func TestD202_Deadlocked(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				actors, addrs := cast(t, w, 5)
				release := make(chan struct{})
				defer close(release)
				bad := actors[2]
				bad.host.HandleTimeout, bad.host.MaxInFlight = 100*time.Millisecond, 20
				bad.plays(func(context.Context) error { <-release; return nil })
				xc := New(NewMultiServerDiscovery(addrs), Config{Balancer: b.Balancer,
					Option: &geerpc.Option{Dialer: w.DialContext}, Retry: Retry{MaxAttempts: 1}})
				defer xc.Close()
				c := crowd{xc: xc, every: 5 * time.Millisecond, context: deadline(500 * time.Millisecond)}
				c.settles(t, 20*time.Second)
			})
		})
	}
}

// TestD202_ServiceMissing: a server that does not have the service yet, as in a
// rolling upgrade, loses no call that another can take. (393 of 400 failed.)
func TestD202_ServiceMissing(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				_, addrs := cast(t, w, 1)
				xc := New(NewMultiServerDiscovery([]string{addrs[0], w.start("old")}), Config{Balancer: b.Balancer,
					Option: &geerpc.Option{Dialer: w.DialContext}})
				defer xc.Close()
				c := crowd{xc: xc, every: 5 * time.Millisecond, context: deadline(time.Second)}
				c.call(2 * time.Second)
				c.wg.Wait()
				if n := c.failed.Load(); n != 0 {
					t.Errorf("%d of %d calls failed", n, c.calls.Load())
				}
				err := xc.Call(context.Background(), "Stage.Missing", 0, nil)
				wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
			})
		})
	}
}

// TestD203_HungServer: one of five gives no answers any more, and its callers
// have no deadline. Some are cancelled: then its share falls. Others wait: none
// joins them once the server is ejected. (Its share grew to 41 % in a minute;
// 4,452 calls were stuck.)
func TestD203_HungServer(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		t.Run(b.name+"/callers leave", func(t *testing.T) {
			inBubble(t, 5, Config{Balancer: b.Balancer}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				c := crowd{xc: xc, every: 20 * time.Millisecond, context: leaves(time.Second)}
				c.call(5 * time.Second)
				actors[2].plays(hangs)
				c.call(10 * time.Second)
				before := actors[2].calls.Load()
				calls := c.call(40 * time.Second)
				c.wg.Wait()
				got := actors[2].calls.Load() - before
				t.Logf("it got %d of %d calls", got, calls)
				if got*20 > calls { // 0.7 % on average
					t.Errorf("it got %d of %d calls", got, calls)
				}
			})
		})
		t.Run(b.name+"/callers wait", func(t *testing.T) {
			inBubble(t, 5, Config{Balancer: b.Balancer}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
				forever, cancel := context.WithCancel(context.Background())
				c := crowd{xc: xc, every: 20 * time.Millisecond, context: func() (context.Context, context.CancelFunc) {
					return WithHashKey(forever, fmt.Sprint(rand.IntN(1000))), func() {}
				}}
				c.call(5 * time.Second)
				actors[2].plays(hangs)
				before := actors[2].calls.Load()
				for begin := time.Now(); ejectedNow(xc) == 0 && time.Since(begin) < 30*time.Second; {
					c.call(100 * time.Millisecond)
				}
				stuck, ejected := actors[2].calls.Load()-before, ejectedNow(xc) > 0
				c.call(60 * time.Second)
				joined := actors[2].calls.Load() - before - stuck
				t.Logf("%d calls are stuck when it is ejected or shunned, %d have joined since", stuck, joined)
				// A server that is shunned for its calls in flight gets another one now and
				// then, until it is ejected.
				if ejected && joined > 0 || stuck+joined > 2*DefaultEjectFailures && !ejected {
					t.Errorf("%d calls have joined the %d that are stuck; ejected: %v", joined, stuck, ejected)
				}
				cancel()
				c.wg.Wait()
			})
		})
	}
}

// TestD204_OneEvent: all connections break at once, with 200 calls in flight on
// ten servers. None is ejected. (Five were.)
func TestD204_OneEvent(t *testing.T) {
	t.Parallel()
	for _, connections := range []int{1, 3} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			inBubble(t, 10, Config{Connections: connections, Balancer: RoundRobin(), Retry: Retry{MaxAttempts: 1}},
				func(t *testing.T, xc *XClient, w *world, actors []*actor) {
					for _, a := range actors {
						a.plays(takes(time.Second))
					}
					c := crowd{xc: xc, every: 5 * time.Millisecond, context: deadline(10 * time.Second)}
					c.call(3 * time.Second)
					w.cut()
					synctest.Wait()
					if n := ejectedNow(xc); n != 0 {
						t.Errorf("%d servers are ejected", n)
					}
					c.call(3 * time.Second)
					c.wg.Wait()
					if c.failed.Load() < 100 {
						t.Errorf("%d calls failed only: nothing was tried", c.failed.Load())
					}
				})
		})
	}
}

// TestD205_WaitingForASlot: calls that wait to their deadline for a slot among
// the calls in flight are late because of the server.
func TestD205_WaitingForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		actors, addrs := cast(t, w, 3)
		bad := actors[1]
		bad.host.MaxInFlight = 2
		release := make(chan struct{})
		defer close(release)
		bad.plays(func(context.Context) error { <-release; return nil })
		xc := New(NewMultiServerDiscovery(addrs), Config{Balancer: RoundRobin(),
			Option: &geerpc.Option{Dialer: w.DialContext}, Retry: Retry{MaxAttempts: 1}})
		defer xc.Close()
		for range 2 { // they take the slots, and their callers wait
			s, err := xc.set.server(bad.addr)
			if err != nil {
				t.Fatal(err)
			}
			go xc.callServer(context.Background(), s, "Stage.Play", 0, nil) // ends with the server
		}
		synctest.Wait()
		c := crowd{xc: xc, every: 10 * time.Millisecond, context: deadline(100 * time.Millisecond)}
		c.call(time.Second)
		c.wg.Wait()
		if ejectedNow(xc) != 1 {
			t.Errorf("%d servers are ejected after %d calls failed", ejectedNow(xc), c.failed.Load())
		}
	})
}

// TestD205_LateByItsOwnWord: a method that notices the caller's deadline, and
// says so in time, has been late all the same.
func TestD205_LateByItsOwnWord(t *testing.T) {
	inBubble(t, 3, Config{Balancer: RoundRobin(), Retry: Retry{MaxAttempts: 1}}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
		actors[1].plays(func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			time.Sleep(time.Until(deadline) - time.Millisecond)
			return context.DeadlineExceeded
		})
		c := crowd{xc: xc, every: 10 * time.Millisecond, context: deadline(100 * time.Millisecond)}
		c.call(2 * time.Second)
		c.wg.Wait()
		if ejectedNow(xc) != 1 {
			t.Errorf("%d servers are ejected after %d calls failed", ejectedNow(xc), c.failed.Load())
		}
		actors[1].plays(fails(geerpc.CodeDeadlineExceeded)) // one of its own, of a call to somebody else
		actors[2].plays(fails(geerpc.CodeDeadlineExceeded))
		c.call(20 * time.Second)
		if ejectedNow(xc) != 0 {
			t.Errorf("%d servers are ejected for what their methods said", ejectedNow(xc))
		}
		c.wg.Wait()
	})
}

// TestD205_HashKeepsTheNextServer: while a key's server is on probation, its
// calls all go to the same other one.
func TestD205_HashKeepsTheNextServer(t *testing.T) {
	inBubble(t, 10, Config{Balancer: ConsistentHash()}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
		ctx := WithHashKey(context.Background(), "a key")
		xc.Call(ctx, "Stage.Play", 0, nil)
		connectAll(t, xc)
		where := func() (here []int) {
			for i, a := range actors {
				if a.calls.Swap(0) > 0 {
					here = append(here, i)
				}
			}
			return here
		}
		where()
		xc.Call(ctx, "Stage.Play", 0, nil)
		home := where()[0]
		ejectNow(t, xc, actors[home].addr)
		xc.Call(ctx, "Stage.Play", 0, nil)
		next := where()[0]
		actors[home].plays(hangs) // so that it stays on probation
		time.Sleep(DefaultEjectBackoff * 6 / 5)
		probe, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		go xc.Call(probe, "Stage.Play", 0, nil) // ends with its context
		synctest.Wait()
		if here := where(); len(here) != 1 || here[0] != home {
			t.Fatalf("the first call went to %v, and not home, to %d", here, home)
		}
		for range 20 {
			xc.Call(ctx, "Stage.Play", 0, nil)
		}
		if here := where(); len(here) != 1 || here[0] != next {
			t.Errorf("calls went to %v, want %d only", here, next)
		}
	})
}

// TestD205_OneProbeAtATime, and while calls without a deadline hang it is one
// that has a deadline soon.
func TestD205_OneProbeAtATime(t *testing.T) {
	inBubble(t, 3, Config{Balancer: RoundRobin(), Ejection: Ejection{Silence: time.Hour}, Retry: Retry{MaxAttempts: 1}},
		func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
			actors[0].plays(hangs)
			for range 3 {
				xc.Call(mustEnd(t, 100*time.Millisecond), "Stage.Play", 0, nil)
			}
			ejectNow(t, xc, actors[0].addr)
			time.Sleep(DefaultEjectBackoff * 6 / 5)
			synctest.Wait()
			before := actors[0].calls.Load()
			c := crowd{xc: xc, every: 10 * time.Millisecond, context: func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), 4*time.Second)
			}}
			c.call(3500 * time.Millisecond)
			if n := actors[0].calls.Load() - before; n != 1 {
				t.Errorf("%d probes at a time", n)
			}
			c.wg.Wait()
		})
}

// mustEnd returns a context that ends in time.
func mustEnd(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestD206_ColdStart: a server whose first call takes a second is back soon.
// (It got no calls for 90 s.)
func TestD206_ColdStart(t *testing.T) {
	inBubble(t, 5, Config{}, func(t *testing.T, xc *XClient, _ *world, actors []*actor) {
		cold := actors[2]
		cold.plays(takes(time.Second))
		c := crowd{xc: xc, every: 20 * time.Millisecond, context: deadline(5 * time.Second)}
		c.call(200 * time.Millisecond)
		cold.plays(takes(10 * time.Millisecond))
		before := cold.calls.Load()
		begin := time.Now()
		for cold.calls.Load() < before+20 && time.Since(begin) < 5*time.Minute {
			c.call(100 * time.Millisecond)
		}
		t.Logf("it has had twenty calls more after %s", time.Since(begin))
		if time.Since(begin) > 45*time.Second { // mostly it is 2 or 9
			t.Errorf("it took %s until the server had its calls", time.Since(begin))
		}
		c.wg.Wait()
	})
}
