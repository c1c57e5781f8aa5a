package geerpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// C21: a method that ignores its context costs its caller no more than the
// deadline, and its late reply is dropped.
func TestC21_MethodIgnoresItsContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		release, running := make(chan struct{}), make(chan struct{}, 1)
		RegisterFunc(e.Server, "Test.Stubborn", func(context.Context, Args) (Reply, error) {
			running <- struct{}{}
			<-release
			return Reply{666}, nil
		})
		client := e.dial(nil)
		ctx := &expiring{context.Background(), make(chan struct{})}
		reply := Reply{1}
		call := make(chan error, 1)
		go func() { call <- client.Call(ctx, "Test.Stubborn", Args{}, &reply) }()
		<-running
		close(ctx.done)
		if err := <-call; CodeOf(err) != CodeDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Call: %v", err)
		}
		close(release)
		eventually(t, "slot free", func() bool {
			return client.inFlight.Len() == 0
		})
		if reply.C != 1 {
			t.Errorf("the reply was written after Call had returned: %d", reply.C)
		}
		if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
			t.Errorf("the next call: %d, %v", reply.C, err)
		}
	})
}

// An expiring is a context whose deadline comes when done is closed: on a busy machine
// a time could pass before the method has begun.
type expiring struct {
	context.Context
	done chan struct{}
}

func (c *expiring) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }

func (c *expiring) Done() <-chan struct{} { return c.done }

func (c *expiring) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// The handle timeout answers the caller in time; the slot stays taken until
// the method has returned, so that methods never pile up beyond the limit.
func TestHandleTimeout_KeepsTheSlot(t *testing.T) {
	for _, where := range []string{"server", "client"} {
		t.Run(where, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.MaxInFlight = 1
			opt := &Option{}
			if where == "server" {
				e.HandleTimeout = 200 * time.Millisecond
			} else {
				opt.HandleTimeout = 200 * time.Millisecond
			}
			release, ended := make(chan struct{}), make(chan struct{}, 1)
			RegisterFunc(e.Server, "Test.Stubborn", func(ctx context.Context, _ Args) (Reply, error) {
				<-ctx.Done()
				ended <- struct{}{}
				<-release
				return Reply{}, nil
			})
			client := e.dial(opt)
			err := client.Call(context.Background(), "Test.Stubborn", Args{}, nil)
			wantError(t, err, CodeDeadlineExceeded, InMethod, RanMaybe)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not DeadlineExceeded", err)
			}
			<-ended // its context has
			err = client.Call(context.Background(), "Arith.Add", Args{}, nil)
			wantError(t, err, CodeResourceExhausted, InServer, RanNever)
			close(release)
			eventually(t, "slot free", func() bool {
				return client.Call(context.Background(), "Arith.Add", Args{}, nil) == nil
			})
		})
	}
}

// C26: cancel races with each step of a call, from before it is sent to after
// its reply is there. Each call has exactly one outcome, and the reply is
// written only if that is success: a write after Call has returned would be a
// data race here, for the reply is read at once.
func TestC26_CancelAtAnyMoment(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		var callers sync.WaitGroup
		var succeeded, canceled atomic.Int64
		for range 8 {
			callers.Go(func() {
				// How long a call takes is found out on the way: half of them
				// are to be caught.
				span := 100 * time.Microsecond
				for i := range 100 {
					ctx, cancel := context.WithCancel(context.Background())
					time.AfterFunc(rand.N(span), cancel)
					var reply Reply
					err := client.Call(ctx, "Arith.Add", Args{i, 1}, &reply)
					switch {
					case err == nil && reply.C == i+1:
						succeeded.Add(1)
						span -= span / 4
					case errors.Is(err, context.Canceled) && CodeOf(err) == CodeCanceled && reply.C == 0:
						canceled.Add(1)
						span += span/4 + 1
					default:
						t.Errorf("round %d: %d, %v", i, reply.C, err)
					}
					reply.C = -1
					cancel()
				}
			})
		}
		callers.Wait()
		if succeeded.Load() < 50 || canceled.Load() < 50 {
			t.Errorf("%d calls succeeded, %d were canceled: that is no race", succeeded.Load(), canceled.Load())
		}
		eventually(t, "all slots free", func() bool {
			return client.inFlight.Len() == 0
		})
		if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

// C26: before, and long after.
func TestC26_CancelBeforeAndAfter(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		ctx, cancel := context.WithCancel(context.Background())
		var reply Reply
		if err := client.Call(ctx, "Arith.Add", Args{1, 2}, &reply); err != nil {
			t.Fatal(err)
		}
		cancel()
		if reply.C != 3 {
			t.Errorf("the reply has become %d", reply.C)
		}
		wantError(t, client.Call(ctx, "Arith.Add", Args{1, 2}, nil), CodeCanceled, InClient, RanNever)
	})
}

// A Counter counts the calls of a method that takes no context.
type Counter struct{ calls atomic.Int64 }

// Count counts a call.
func (c *Counter) Count(Args, *Reply) error { c.calls.Add(1); return nil }

// C26: a call that waits on the server for another one does not run when its
// caller has left by then, whether its method takes a context or not.
func TestC26_CancelWhileQueuedOnTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", "")
		e.Ordered = true
		counter := new(Counter)
		if err := e.Register(counter); err != nil {
			t.Fatal(err)
		}
		client := e.dial(nil)
		first, release := context.WithCancel(t.Context())
		ended := make(chan error, 3)
		go func() { ended <- client.Call(first, "Arith.Block", Args{}, nil) }()
		synctest.Wait()
		cancelled, cancel := context.WithCancel(t.Context())
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		for _, ctx := range []context.Context{cancelled, late} {
			go func() { ended <- client.Call(ctx, "Counter.Count", Args{}, nil) }()
			synctest.Wait()
		}
		cancel()
		time.Sleep(2 * time.Second)
		release()
		for range cap(ended) {
			if err := <-ended; err == nil {
				t.Error("a call succeeded")
			}
		}
		if err := client.Call(t.Context(), "Counter.Count", Args{}, nil); err != nil {
			t.Error(err)
		}
		if n := counter.calls.Load(); n != 1 {
			t.Errorf("%d calls ran, one of them has a caller", n)
		}
	})
}

// A16 and C26: a cancel ends the method's context, and that method's alone.
func TestC26_CancelReachesTheMethod(t *testing.T) {
	for _, transport := range transports {
		for _, c := range codecs {
			t.Run(transport+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, transport, c)
				causes, running := make(chan error, 2), make(chan struct{}, 2)
				RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, args Args) (Reply, error) {
					running <- struct{}{}
					<-ctx.Done()
					causes <- ctx.Err()
					return Reply{}, ctx.Err()
				})
				client := e.dial(nil)
				other := client.Go("Test.Wait", Args{}, nil, nil)
				<-running
				ctx, cancel := context.WithCancel(context.Background())
				failed := make(chan error, 1)
				go func() { failed <- client.Call(ctx, "Test.Wait", Args{}, nil) }()
				<-running
				cancel()
				wantError(t, <-failed, CodeCanceled, OnLink, RanMaybe)
				if err := <-causes; err != context.Canceled {
					t.Errorf("the method's context: %v", err)
				}
				select {
				case <-other.Done:
					t.Errorf("the other call ended as well: %v", other.Error)
				case err := <-causes:
					t.Errorf("the other method's context ended as well: %v", err)
				default:
				}
			})
		}
	}
}

// C27: a storm of calls that are cancelled at once. Whatever the client does,
// methods stay within the limit, and when it is over nothing is left.
func TestC27_CancelStorm(t *testing.T) {
	const callers, rounds, most = 50, 2000, 64
	e := newEnv(t, "tcp", framedJSON)
	e.MaxInFlight = most
	var running, peak, begun atomic.Int64
	RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
		begun.Add(1)
		n := running.Add(1)
		defer running.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		<-ctx.Done()
		return Reply{}, ctx.Err()
	})
	client := e.dial(nil)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				call := make(chan error, 1)
				go func() { call <- client.Call(ctx, "Test.Wait", Args{}, nil) }()
				if rand.IntN(2) == 0 {
					cancel()
				} else {
					time.AfterFunc(time.Duration(rand.IntN(100))*time.Microsecond, cancel)
				}
				if err := <-call; !errors.Is(err, context.Canceled) {
					t.Errorf("Call: %v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	t.Log(begun.Load(), "of", callers*rounds, "methods begun, at most", peak.Load(), "at a time")
	if peak.Load() > most {
		t.Errorf("%d methods ran at a time, allowed are %d", peak.Load(), most)
	}
	eventually(t, "all methods have ended", func() bool { return running.Load() == 0 })
	var reply Reply
	if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
		t.Errorf("after the storm: %d, %v", reply.C, err)
	}
}

// A deadline ends the method's context when it ends the caller's, however late
// the clocks of the two think it is: what travels is the time left.
func TestDeadline_Travels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", codec.GobType)
		lived := make(chan time.Duration, 1)
		RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
			start := time.Now()
			<-ctx.Done()
			lived <- time.Since(start)
			return Reply{}, ctx.Err()
		})
		client := e.dial(nil)
		ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
		defer cancel()
		if err := client.Call(ctx, "Test.Wait", Args{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if d := <-lived; d != 7*time.Second {
			t.Errorf("the method had %v, want 7s", d)
		}
		client.Close()
		e.Close()
	})
}

// Deadline or cancellation: a method sees what its caller saw.
func TestA16_DeadlineIsNoCancellation(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		ended := make(chan error, 10)
		RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return Reply{}, nil
		})
		client := e.dial(nil)
		var callers sync.WaitGroup
		for range cap(ended) {
			callers.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				defer cancel()
				client.Call(ctx, "Test.Wait", Args{}, nil)
			})
		}
		callers.Wait()
		e.Shutdown(t.Context()) // the methods have returned: those that were called, for a busy machine may be too late
		close(ended)
		for err := range ended {
			if err != context.DeadlineExceeded {
				t.Errorf("at its deadline the method sees %v", err)
			}
		}
	})
}
