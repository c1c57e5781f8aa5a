package geerpc

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// Calls that are done have no receiver yet when the client is shut down: Shutdown
// waits for one.
func TestD167_ShutdownWaitsForReceivers(t *testing.T) {
	const calls = 10
	slow := func(next CallFunc) CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			err := next(ctx, serviceMethod, args, reply)
			<-time.After(20 * time.Millisecond) // the connection may have ended by then
			return err
		}
	}
	for name, interceptors := range map[string][]Interceptor{"plain": nil, "interceptors": {slow}} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", "")
			var answered atomic.Int32
			RegisterFunc(e.Server, "Count.Add", func(_ context.Context, a Args) (Reply, error) {
				answered.Add(1)
				return Reply{a.A + a.B}, nil
			})
			c := e.dial(&Option{Interceptors: interceptors})
			done := make(chan *Call)
			for range calls {
				c.Go("Count.Add", Args{1, 2}, new(Reply), done)
			}
			eventually(t, "all are answered", func() bool { return answered.Load() == calls })
			ended := make(chan error, 1)
			go func() { ended <- c.Shutdown(t.Context()) }()
			<-c.ended
			for range calls {
				select {
				case call := <-done:
					if call.Error != nil || call.Reply.(*Reply).C != 3 {
						t.Errorf("%v, %v", call.Reply, call.Error)
					}
				case <-time.After(10 * time.Second): // instead of hanging
					t.Fatal("a call that was answered is never received")
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// If nobody receives, Shutdown returns with its context, and nothing is left.
func TestD167_ShutdownWithoutReceiver(t *testing.T) {
	e := newEnv(t, "tcp", "")
	c := e.dial(nil)
	c.Go("Arith.Add", Args{1, 2}, new(Reply), make(chan *Call))
	eventually(t, "it is answered", func() bool { return c.inFlight.Len() == 0 })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Shutdown(ctx) }()
	<-c.ended
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("Shutdown returned %v", err)
	}
}
