package geerpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// A Slow is an argument that takes its time to be encoded, which may be done
// more than once.
type Slow struct{ encode func() }

// GobEncode implements gob.GobEncoder.
func (s Slow) GobEncode() ([]byte, error) { return s.MarshalJSON() }

// GobDecode implements gob.GobDecoder.
func (Slow) GobDecode([]byte) error { return nil }

// MarshalJSON implements json.Marshaler.
func (s Slow) MarshalJSON() ([]byte, error) { s.encode(); return []byte(`{}`), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (Slow) UnmarshalJSON([]byte) error { return nil }

// A busyClient is one whose calls are sent together by a goroutine of the
// client, because another is in flight; and that goroutine is stuck in
// somebody's argument.
type busyClient struct {
	*Client
	release func()
	slow    chan error // of the call whose argument it is
	cancel  func()     // of that call
}

func newBusyClient(t *testing.T, e *env) *busyClient {
	t.Helper()
	RegisterFunc(e.Server, "Test.Slow", func(context.Context, Slow) (Reply, error) { return Reply{1}, nil })
	c := &busyClient{Client: e.dial(nil), slow: make(chan error, 1)}
	go c.Call(t.Context(), "Arith.Block", Args{}, nil) // ends with the test
	eventually(t, "a call in flight", func() bool { return c.pending.inFlight() == 1 })

	encoding, released := make(chan struct{}), make(chan struct{})
	c.release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(c.release)
	args := Slow{sync.OnceFunc(func() { close(encoding); <-released })}
	ctx, cancel := context.WithCancel(t.Context())
	c.cancel = cancel
	go func() { c.slow <- c.Call(ctx, "Test.Slow", args, nil) }()
	<-encoding
	return c
}

// queue makes a call that waits behind the slow one.
func (c *busyClient) queue(t *testing.T, ctx context.Context, reply *Reply) <-chan error {
	t.Helper()
	failed := make(chan error, 1)
	before := c.pending.inFlight()
	go func() { failed <- c.Call(ctx, "Arith.Add", Args{1, 2}, reply) }()
	eventually(t, "a call queued", func() bool { return c.pending.inFlight() == before+1 })
	return failed
}

// Somebody's argument that takes its time holds up nobody beyond their
// context, and what was not sent takes no slot.
func TestSlowArgument_OthersLeave(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		leaves := c.queue(t, ctx, new(Reply))
		var reply Reply
		stays := c.queue(t, t.Context(), &reply)
		cancel()
		wantError(t, <-leaves, CodeCanceled, InClient, RanNever)
		if n := c.pending.inFlight(); n != 3 {
			t.Errorf("%d slots are taken, by a blocked call, a slow and a queued one", n)
		}
		c.release()
		if err := <-c.slow; err != nil {
			t.Errorf("the slow call: %v", err)
		}
		if err := <-stays; err != nil || reply.C != 3 {
			t.Errorf("the call behind: %d, %v", reply.C, err)
		}
	})
}

// A caller does not leave while its arguments are being read.
func TestSlowArgument_ItsCallerWaits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		c.cancel()
		eventually(t, "the call abandoned", func() bool {
			s := c.pending.shard(2)
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.at(2).call == nil
		})
		var released atomic.Bool
		go func() { released.Store(true); c.release() }()
		wantError(t, <-c.slow, CodeCanceled, OnLink, RanMaybe)
		if !released.Load() {
			t.Error("Call returned while its arguments were being encoded")
		}
		mustAdd(t, c.Client)
	})
}

// A call that was in the queue when the connection was lost can't have run.
func TestSlowArgument_ConnectionLost(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		queued := c.queue(t, t.Context(), new(Reply))
		c.link.fail(io.ErrClosedPipe)
		err := <-queued
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
		if !errors.Is(err, ErrShutdown) {
			t.Errorf("%v does not wrap ErrShutdown", err)
		}
		c.release()
		if err := <-c.slow; err == nil {
			t.Error("the slow call succeeded")
		}
	})
}

// An argument that ends the goroutine in which it is encoded is one bad call.
func TestArgumentThatExits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		failed := make(chan error, 1)
		go func() { failed <- c.Call(t.Context(), "Test.Slow", Slow{runtime.Goexit}, nil) }()
		eventually(t, "the bad call queued", func() bool { return c.pending.inFlight() == 3 })
		var reply Reply
		behind := c.queue(t, t.Context(), &reply)
		c.release()
		wantError(t, <-failed, CodeInvalidArgument, InClient, RanNever)
		if err := <-behind; err != nil || reply.C != 3 {
			t.Errorf("the call behind: %d, %v", reply.C, err)
		}
		if err := <-c.slow; err != nil {
			t.Errorf("the call before: %v", err)
		}
	})
}

// A reply that ends the goroutine in which it is encoded is one bad call.
func TestReplyThatExits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Exit", func(context.Context, Args) (Slow, error) { return Slow{runtime.Goexit}, nil })
		client := e.dial(nil)
		for range 3 {
			wantError(t, client.Call(t.Context(), "Test.Exit", Args{}, nil), CodeInternal, InMethod, RanYes)
			mustAdd(t, client)
		}
	})
}

// An argument that ends its caller's goroutine, for no other call is in flight
// and the caller encodes it, keeps no slot.
func TestArgumentThatExits_Alone(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		for _, call := range []func(){
			func() { client.Call(t.Context(), "Arith.Add", Slow{runtime.Goexit}, nil) },
			func() { client.Go("Arith.Add", Slow{runtime.Goexit}, nil, nil) },
		} {
			ended := make(chan struct{})
			go func() { defer close(ended); call() }()
			<-ended
			if n := client.pending.inFlight(); n != 0 {
				t.Errorf("%d slots are taken", n)
			}
			mustAdd(t, client)
		}
	})
}

// textThatExits is an error that ends the goroutine of who asks for its text.
type textThatExits struct{}

func (textThatExits) Error() string { runtime.Goexit(); return "" }

// A method's error whose text ends the goroutine is one bad call.
func TestErrorThatExits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Exit", func(context.Context, Args) (Reply, error) { return Reply{}, textThatExits{} })
		client := e.dial(nil)
		wantError(t, client.Call(t.Context(), "Test.Exit", Args{}, nil), CodeInternal, InMethod, RanYes)
		mustAdd(t, client)
	})
}
