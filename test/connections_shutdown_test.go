package test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
)

// drainRound has callers call in loops over two connections, shuts the server
// down under them, and checks that each call either succeeded, having run
// once, or never ran.
func drainRound(t *testing.T, transport string, c codec.Type) {
	e := newEnv(t, transport, c)
	var mu sync.Mutex
	ran := map[int]int{} // guarded by mu
	geerpc.RegisterFunc(e.Server, "Test.Run", func(_ context.Context, args Args) (Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		ran[args.A]++
		return Reply{args.A}, nil
	})
	var succeeded sync.Map
	var calls atomic.Int64
	var callers sync.WaitGroup
	for range 2 {
		client := e.dial(nil)
		for range 3 {
			callers.Go(func() {
				for {
					n := int(calls.Add(1))
					var reply Reply
					err := client.Call(context.Background(), "Test.Run", Args{A: n}, &reply)
					var typed *geerpc.Error
					switch {
					case err == nil && reply.C == n:
						succeeded.Store(n, true)
					case errors.As(err, &typed) && typed.Ran == geerpc.RanNever && typed.Code == geerpc.CodeUnavailable:
						return
					default:
						t.Errorf("call %d: reply %d, %v, ran %v: %v", n, reply.C, geerpc.CodeOf(err), typed.Ran, err)
						return
					}
				}
			})
		}
	}
	for calls.Load() < 20 {
		<-time.After(10 * time.Microsecond) // let them get going
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	callers.Wait()
	for n := range int(calls.Load()) {
		n++
		_, ok := succeeded.Load(n)
		if got := ran[n]; ok && got != 1 || !ok && got != 0 {
			t.Errorf("call %d: succeeded %v, ran %d times", n, ok, got)
		}
	}
}

// D42: Shutdown under load. The race is between a caller that has registered
// its call and not sent it yet, and the goaway that arrives meanwhile: whatever
// the client sends behind its own goaway the server is entitled to drop with
// the connection, and the caller would have to be told "maybe".
func TestD42_ShutdownUnderLoad(t *testing.T) {
	for transport, rounds := range map[string]int{"pipe": 1000, "tcp": 100, "tls": 30} {
		t.Run(transport, func(t *testing.T) {
			for i := range rounds {
				t.Run("", func(t *testing.T) { drainRound(t, transport, codecs[i%len(codecs)]) })
				if t.Failed() {
					t.Fatalf("in round %d, %s", i, codecs[i%len(codecs)])
				}
			}
		})
	}
}

// D42: calls in flight are served to their end, however long that takes, and
// new ones are turned away meanwhile.
func TestD42_CallsInFlight(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		release, running := make(chan struct{}), make(chan struct{}, 1)
		geerpc.RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
			running <- struct{}{}
			<-release
			return Reply{42}, ctx.Err()
		})
		client := e.dial(nil)
		var reply Reply
		call := client.Go("Test.Wait", Args{}, &reply, nil)
		<-running
		done := make(chan error, 1)
		go func() { done <- e.Shutdown(context.Background()) }()
		eventually(t, "client has heard", func() bool { return !client.IsAvailable() })
		err := client.Call(context.Background(), "Arith.Add", Args{}, nil)
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		if !errors.Is(err, geerpc.ErrShutdown) {
			t.Errorf("%v is not ErrShutdown", err)
		}
		if _, err := e.tryDial(nil); err == nil {
			t.Error("a new connection was accepted")
		}
		select {
		case err := <-done:
			t.Fatalf("Shutdown has returned %v with a call in flight", err)
		default:
		}
		close(release)
		if <-call.Done; call.Error != nil || reply.C != 42 {
			t.Errorf("the call in flight: %d, %v", reply.C, call.Error)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); !errors.Is(err, geerpc.ErrShutdown) {
			t.Errorf("after Shutdown: %v", err)
		}
	})
}

// D43: each order in which a server can be ended.
func TestD43_Ends(t *testing.T) {
	blocked := func(t *testing.T, e *env) (*geerpc.Client, *geerpc.Call) {
		running := make(chan struct{}, 1)
		geerpc.RegisterFunc(e.Server, "Test.Block", func(ctx context.Context, _ Args) (Reply, error) {
			running <- struct{}{}
			<-ctx.Done()
			return Reply{}, ctx.Err()
		})
		client := e.dial(nil)
		call := client.Go("Test.Block", Args{}, nil, nil)
		<-running
		return client, call
	}
	tests := map[string]func(t *testing.T, e *env){
		"Shutdown twice": func(t *testing.T, e *env) {
			e.dial(nil)
			for range 2 {
				if err := e.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}
		},
		"two Shutdowns at a time": func(t *testing.T, e *env) {
			e.dial(nil)
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if err := e.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		},
		"Close during Shutdown": func(t *testing.T, e *env) {
			client, call := blocked(t, e)
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(context.Background()) }()
			eventually(t, "client has heard", func() bool { return !client.IsAvailable() })
			e.Close()
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			<-call.Done
			wantError(t, call.Error, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
		},
		"Close twice": func(t *testing.T, e *env) {
			_, call := blocked(t, e)
			if err := errors.Join(e.Close(), e.Close()); err != nil {
				t.Error(err)
			}
			<-call.Done
			wantError(t, call.Error, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
		},
		"Shutdown with an expired context": func(t *testing.T, e *env) {
			_, call := blocked(t, e)
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := e.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v", err)
			}
			<-call.Done
			wantError(t, call.Error, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
		},
		"context ends during Shutdown": func(t *testing.T, e *env) {
			client, call := blocked(t, e)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(ctx) }()
			eventually(t, "client has heard", func() bool { return !client.IsAvailable() })
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v", err)
			}
			<-call.Done
			wantError(t, call.Error, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
		},
		"silent connections": func(t *testing.T, e *env) {
			var silent []net.Conn
			for range 5 {
				silent = append(silent, e.bare())
			}
			e.dial(nil) // they have been accepted before it
			if err := e.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			for _, conn := range silent {
				conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a silent connection: %v", err)
				}
			}
		},
		"Shutdown of an idle server": func(t *testing.T, e *env) {
			e.start()
			if err := e.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-e.served; err != geerpc.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
			e.served <- nil // for the cleanup
		},
	}
	for name, test := range tests {
		for _, transport := range []string{"pipe", "tcp", "tls"} {
			t.Run(name+"/"+transport, func(t *testing.T) { test(t, newEnv(t, transport, codec.GobType)) })
		}
	}
}

// D43: a server that has been ended serves no more, whichever way it is asked.
func TestD43_BeforeServe(t *testing.T) {
	for name, end := range map[string]func(*geerpc.Server) error{
		"Shutdown": func(s *geerpc.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*geerpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			s := geerpc.NewServer()
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			lis := geerpc.NewPipeListener()
			if err := s.Serve(lis); err != geerpc.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
			if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is still open: %v", err)
			}
			near, far := net.Pipe()
			go s.ServeConn(far) // ends with the connection
			_, err := geerpc.NewClient(near, nil)
			if err == nil || geerpc.CodeOf(err) != geerpc.CodeUnavailable {
				t.Errorf("ServeConn: %v", err)
			}
		})
	}
}

// A connection that comes while the server drains and says nothing does not
// hold up Shutdown for minutes.
func TestD43_SilentConnectionWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		c := e.dial(nil)
		call := c.Go("Arith.Block", Args{}, nil, nil)
		synctest.Wait()
		begin := time.Now()
		shut := make(chan error, 1)
		go func() { shut <- e.Shutdown(context.Background()) }()
		synctest.Wait()
		near, far := net.Pipe()
		defer near.Close()
		go e.ServeConn(far)
		synctest.Wait()
		c.Close()
		<-call.Done
		if err := <-shut; err != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
	})
}

// What is to happen on Shutdown happens first, while calls are still taken, and
// once.
func TestOnShutdown(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	client := e.dial(nil)
	type key struct{}
	times := 0
	e.OnShutdown(func(ctx context.Context) {
		times++
		if err := client.Call(ctx, "Arith.Add", Args{}, nil); err != nil || ctx.Value(key{}) == nil {
			t.Errorf("a call while the server prepares to leave: %v", err)
		}
	})
	for range 2 {
		if err := e.Shutdown(context.WithValue(context.Background(), key{}, true)); err != nil {
			t.Error(err)
		}
	}
	if times != 1 {
		t.Errorf("called %d times", times)
	}
}

// One that takes long, such as one that leaves a registry that hangs, delays
// no other: here each waits for the other.
func TestOnShutdown_SideBySide(t *testing.T) {
	var s geerpc.Server
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	first, second := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) func(context.Context) {
		return func(ctx context.Context) {
			close(mine)
			select {
			case <-other:
			case <-ctx.Done():
				t.Error("one hook waits for the other to return")
			}
		}
	}
	s.OnShutdown(meet(first, second))
	s.OnShutdown(meet(second, first))
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
