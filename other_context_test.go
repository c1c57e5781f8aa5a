package geerpc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// An interceptor that calls next with the context of another call, one that has
// ended or one in flight, does not run the method: what its caller is told of
// whether it ran would be told of the other call.
func TestG151_NextWithAnotherCallsContext(t *testing.T) {
	for _, inFlight := range []bool{false, true} {
		name := "ended"
		if inFlight {
			name = "in flight"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", framedJSON)
			ran := counted(e)
			gate := make(chan struct{})
			var open sync.Once
			defer open.Do(func() { close(gate) })
			first := make(chan context.Context, 1)
			e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
				if args.(Args).A == 0 {
					first <- ctx
					err := next(ctx, m, args, reply)
					if inFlight {
						<-gate
					}
					return err
				}
				return next(<-first, m, args, reply)
			})}
			client := e.dial(nil)
			call := client.Go("Test.Run", Args{}, nil, nil)
			eventually(t, "the first has run", func() bool { return ran.Load() == 1 })
			if !inFlight {
				<-call.Done
			}
			err := client.Call(t.Context(), "Test.Run", Args{A: 1}, nil)
			var typed *Error
			if !errors.As(err, &typed) || typed.Ran != RanNever || ran.Load() != 1 {
				t.Errorf("the method ran %d times more, and the caller is told %v", ran.Load()-1, err)
			}
			if inFlight {
				open.Do(func() { close(gate) })
				<-call.Done
			}
		})
	}
}

// An interceptor may give next a reply and a context of its own making.
func TestG151_NextWithAnotherReply(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var mine Reply
		err := next(ctx, m, args, &mine)
		*reply.(*Reply) = mine
		return err
	})}
	mustAdd(t, e.dial(nil))
}

// Replies without a byte have the same address: calls with them are not taken
// for each other.
func TestG151_EmptyReplies(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	both := make(chan struct{})
	RegisterFunc(e.Server, "Test.Meet", func(_ context.Context, args Args) (struct{}, error) {
		if args.A == 0 {
			both <- struct{}{}
		} else {
			<-both
		}
		return struct{}{}, nil
	})
	e.Interceptors = []Interceptor{func(next CallFunc) CallFunc { return next }}
	client := e.dial(nil)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	call := client.Go("Test.Meet", Args{}, nil, nil)
	if err := client.Call(ctx, "Test.Meet", Args{A: 1}, nil); err != nil {
		t.Error(err)
	}
	if <-call.Done; call.Error != nil {
		t.Error(call.Error)
	}
}
