package geerpc

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// The calls of a connection have deadlines in any order, or none; some callers leave, and
// in the end the connection is closed. Each method's context ends when it must and says
// why, whether the method waits for it, for one derived from it, or for something else.
func TestC75_ManyDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const closed, late = time.Hour, time.Millisecond
		began := time.Now()
		e := newEnv(t, "pipe", codec.GobType)
		var methods sync.WaitGroup
		wait := map[int]func(ctx context.Context, until time.Duration){
			0: func(ctx context.Context, _ time.Duration) { <-ctx.Done() },
			1: func(ctx context.Context, _ time.Duration) {
				child, cancel := context.WithTimeout(context.WithValue(ctx, callKey{}, 1), 2*closed)
				defer cancel()
				<-child.Done()
				if child.Err() != ctx.Err() || context.Cause(child) != context.Cause(ctx) {
					t.Errorf("the child ended with %v, %v", child.Err(), context.Cause(child))
				}
			},
			2: func(_ context.Context, until time.Duration) { time.Sleep(until + late) },
		}
		RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, args Args) (Reply, error) {
			methods.Add(1)
			defer methods.Done()
			until := time.Duration(args.A)
			if err := ctx.Err(); err != nil {
				t.Errorf("it has ended at once: %v", err)
			}
			wait[args.B%3](ctx, until)
			if args.B%3 == 2 {
				until += late
			}
			want := context.DeadlineExceeded
			if _, ok := ctx.Deadline(); !ok || args.B%2 == 1 {
				want = context.Canceled
			}
			if took := time.Since(began); took != until || ctx.Err() != want {
				t.Errorf("call %d ended after %v with %v, want %v, %v", args.B, took, ctx.Err(), until, want)
			}
			return Reply{}, nil
		})
		client := e.dial(nil)
		var callers sync.WaitGroup
		for i := range 500 {
			until := time.Duration(1+rand.IntN(100_000)) * time.Millisecond
			ctx, cancel := context.WithTimeout(context.Background(), until)
			switch {
			case i%5 == 0: // to the end
				ctx, cancel = context.WithCancel(context.Background())
				until = closed
			case i%2 == 1: // its caller leaves
				ctx, cancel = context.WithTimeout(context.Background(), until+closed)
				defer time.AfterFunc(until, cancel).Stop()
			}
			callers.Go(func() {
				defer cancel()
				client.Call(ctx, "Test.Wait", Args{int(until), i}, nil)
			})
		}
		time.Sleep(closed)
		client.Close()
		callers.Wait()
		methods.Wait()
	})
}

// A handle timeout begins when the server comes to a call, which may have waited for a
// slot behind others; a caller's time runs from when the call came.
func TestHandleTimeout_BehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{HandleTimeout: time.Second, MaxInFlight: 1}
		RegisterFunc(s, "Test.Nap", func(ctx context.Context, _ int) (bool, error) {
			time.Sleep(400 * time.Millisecond)
			return true, ctx.Err()
		})
		near, far := net.Pipe()
		go s.ServeCodec(far, codec.NewJSONRPCServer)
		const calls = 6
		go io.WriteString(near, strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"Test.Nap","params":[1]}`+"\n", calls))
		answers := bufio.NewReader(near)
		for range calls {
			if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, `"result":true`) {
				t.Errorf("answered %q, %v", line, err)
			}
		}
		near.Close()
		s.Close()
	})
}

// Each call has the time that its caller gave it, whatever came long before.
func TestDeadlines_LongAfterOthers(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		left := make(chan time.Duration, 1)
		RegisterFunc(e.Server, "Test.Left", func(ctx context.Context, _ Args) (Reply, error) {
			at, _ := ctx.Deadline()
			left <- time.Until(at)
			return Reply{}, nil
		})
		client := e.dial(nil)
		for i := range 3 {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := client.Call(ctx, "Test.Left", Args{}, nil); err != nil {
				t.Fatal(err)
			}
			if lost := time.Minute - <-left; lost > time.Since(began) {
				t.Errorf("call %d lost %v of its time, and took %v", i, lost, time.Since(began))
			}
			cancel()
			time.Sleep(10 * time.Millisecond)
			if err := client.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}
