package geerpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted registers Test.Run, which counts how often it runs.
func counted(e *env) *atomic.Int32 {
	var ran atomic.Int32
	RegisterFunc(e.Server, "Test.Run", func(context.Context, Args) (Reply, error) {
		ran.Add(1)
		return Reply{}, nil
	})
	return &ran
}

// An interceptor that panics, or ends its goroutine, before it calls next has
// kept the method from running, and the caller is told so.
func TestG123_InterceptorsEndBeforeTheMethod(t *testing.T) {
	cases := []struct {
		name  string
		f     func(next func())
		where Where
		ran   Ran
	}{
		{"panic before", func(func()) { panic("out of tea") }, InServer, RanNever},
		{"exit before", func(func()) { runtime.Goexit() }, InServer, RanNever},
		{"panic after", func(next func()) { next(); panic("out of tea") }, InMethod, RanYes},
		{"exit after", func(next func()) { next(); runtime.Goexit() }, InMethod, RanYes},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "pipe", framedJSON)
			ran := counted(e)
			e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
				c.f(func() { next(ctx, m, args, reply) })
				return nil
			})}
			wantError(t, e.dial(nil).Call(t.Context(), "Test.Run", Args{}, nil), CodeInternal, c.where, c.ran)
			if n := ran.Load(); (n > 0) != (c.ran == RanYes) {
				t.Errorf("the method ran %d times", n)
			}
		})
	}
}

// An interceptor returns an error and calls next later: the caller has been told
// that its method never ran, so it does not.
func TestG123_NextAfterTheAnswer(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	ran, answered, late := counted(e), make(chan struct{}), make(chan error)
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
		go func() {
			<-answered
			late <- next(ctx, m, args, reply)
		}()
		return Errorf(CodeUnavailable, "busy")
	})}
	wantError(t, e.dial(nil).Call(t.Context(), "Test.Run", Args{}, nil), CodeUnavailable, InServer, RanNever)
	close(answered)
	wantError(t, <-late, CodeCanceled, InServer, RanNever)
	if ran.Load() != 0 {
		t.Error("the method ran")
	}
}

// An interceptor calls next while it returns an error. The race is between the
// method's begin and the answer: whichever is first binds the other.
func TestG123_NextBesideTheAnswer(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	var late sync.WaitGroup
	ran := counted(e)
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
		late.Go(func() { next(ctx, m, args, reply) })
		runtime.Gosched()
		return Errorf(CodeUnavailable, "busy")
	})}
	client := e.dial(nil)
	outcomes := map[Ran]int{}
	for range 2000 {
		before := ran.Load()
		err := client.Call(t.Context(), "Test.Run", Args{}, nil)
		late.Wait()
		var typed *Error
		if !errors.As(err, &typed) {
			t.Fatal(err)
		}
		outcomes[typed.Ran]++
		if n := ran.Load() - before; n > 0 && typed.Ran == RanNever || n == 0 && typed.Ran == RanYes {
			t.Fatalf("the method ran %d times, and the caller hears %v", n, typed.Ran)
		}
	}
	t.Log(outcomes)
}

// A call that waits, in an interceptor or behind another one, when its handle
// timeout is up is answered as one that never ran, and then never does.
func TestD127_HandleTimeoutBeforeTheMethod(t *testing.T) {
	t.Parallel()
	t.Run("in an interceptor", func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		e.HandleTimeout = 10 * time.Millisecond
		ran, answered, late := counted(e), make(chan struct{}), make(chan error, 1)
		e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			<-answered
			late <- next(ctx, m, args, reply)
			return nil
		})}
		wantError(t, e.dial(nil).Call(t.Context(), "Test.Run", Args{}, nil), CodeDeadlineExceeded, InServer, RanNever)
		close(answered)
		wantError(t, <-late, CodeCanceled, InServer, RanNever)
		if ran.Load() != 0 {
			t.Error("the method ran")
		}
	})
	t.Run("ordered", func(t *testing.T) {
		each(t, func(t *testing.T, e *env) {
			e.HandleTimeout, e.Ordered = 100*time.Millisecond, true
			service := &Turnstile{gate: make(chan struct{})}
			if err := e.RegisterName("Gate", service); err != nil {
				t.Fatal(err)
			}
			ran := counted(e)
			client := e.dial(nil)
			first := client.Go("Gate.Pass", Args{}, nil, nil)
			behind := []*Call{client.Go("Test.Run", Args{}, nil, nil), client.Go("Gate.Pass", Args{}, nil, nil)}
			<-first.Done
			for _, call := range behind {
				<-call.Done
				wantError(t, call.Error, CodeDeadlineExceeded, InServer, RanNever)
			}
			wantError(t, first.Error, CodeDeadlineExceeded, InMethod, RanMaybe)
			close(service.gate)
			client.Close()
			e.Close()
			if ran.Load() != 0 || service.begun.Load() != 1 {
				t.Error("a method ran whose caller was told that it never did")
			}
		})
	})
}

// Calls that are refused, by an interceptor or for their arguments, or that are
// cancelled before they begin, show nothing of their method's pace.
func TestC141_OnlyCallsThatRanCountAsQuick(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.Interceptors = []Interceptor{intercept(func(context.Context, CallFunc, string, any, any) error {
			return Errorf(CodePermissionDenied, "no")
		})}
		counted(e)
		e.start()
		m, client := e.registry.method("Test.Run"), e.dial(nil)
		call := func(args any) {
			for range inlineAfter {
				client.Call(t.Context(), "Test.Run", args, nil)
			}
		}
		for _, pace := range []int32{0, inlineAfter} { // on a worker, and where the connection is read
			m.pace.Store(pace)
			call(Args{})
			call("not what the method takes")
			if got := m.pace.Load(); got > pace { // less it is if the machine is busy
				t.Errorf("the pace has grown from %d to %d, and no method has run", pace, got)
			}
		}
	})
}
