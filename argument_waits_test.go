package geerpc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// While an argument waits in its encoder nothing else is sent. Other calls wait
// under their contexts, what is in flight stays, and when the argument goes on so
// does everything.
func TestC165_ArgumentThatWaits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Slow", func(context.Context, Slow) (Reply, error) { return Reply{1}, nil })
		c := e.dial(nil)
		inFlight, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { first <- c.Call(inFlight, "Arith.Block", Args{}, nil) }()
		eventually(t, "a call is in flight", func() bool { return c.inFlight.Len() == 1 })
		encoding, goOn := make(chan struct{}), make(chan struct{})
		slow := make(chan error, 1)
		go func() {
			slow <- c.Call(context.Background(), "Test.Slow", Slow{sync.OnceFunc(func() { close(encoding); <-goOn })}, nil)
		}()
		<-encoding
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := c.Call(ctx, "Arith.Add", Args{1, 2}, new(Reply))
		wantError(t, err, CodeDeadlineExceeded, InClient, RanNever)
		close(goOn)
		if err := <-slow; err != nil {
			t.Error(err)
		}
		mustAdd(t, c)
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// An argument that calls the Client which encodes it gets no answer, but its
// context ends that call.
func TestC165_ArgumentThatCallsItsClient(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Slow", func(context.Context, Slow) (Reply, error) { return Reply{1}, nil })
		c := e.dial(nil)
		err := c.Call(t.Context(), "Test.Slow", Slow{func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			wantError(t, c.Call(ctx, "Arith.Add", Args{1, 2}, new(Reply)), CodeDeadlineExceeded, InClient, RanNever)
		}}, nil)
		if err != nil {
			t.Error(err)
		}
	})
}
