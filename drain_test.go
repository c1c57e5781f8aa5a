package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// A client that goes on calling after it has said goaway is answered
// "unavailable, never ran", and what it had sent before is served.
func TestDrain_CallsBehindGoaway(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	p := e.byHand(allKinds...)
	p.send(handBlock(1), handFrame{kind: codec.Goaway}, handAdd(2, 1, 1))
	if f := p.next(); f.seq != 2 || Code(f.code) != CodeUnavailable || Ran(f.ran) != RanNever {
		t.Fatalf("behind the goaway: %+v", f)
	}
	p.send(handFrame{kind: codec.Cancel, seq: 1})
	if f := p.next(); f.seq != 1 || Code(f.code) != CodeCanceled {
		t.Fatalf("before the goaway: %+v", f)
	}
	if _, err := p.read(); err != io.EOF {
		t.Fatalf("then: %v, want EOF", err)
	}
}

// During Shutdown a client is served until it has heard: calls that it sent
// before it says goaway count.
func TestDrain_CallsBeforeGoaway(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	p := e.byHand(allKinds...)
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(context.Background()) }()
	if f := p.next(); f.kind != codec.Goaway {
		t.Fatalf("%+v, want a goaway", f)
	}
	p.send(handAdd(1, 1, 1))
	if f := p.next(); f.seq != 1 || f.sum(t) != 2 {
		t.Fatalf("a call that crossed the goaway: %+v", f)
	}
	p.send(handAdd(2, 2, 2), handFrame{kind: codec.Goaway})
	if f := p.next(); f.seq != 2 || f.sum(t) != 4 {
		t.Fatalf("the last call: %+v", f)
	}
	if f, err := p.read(); err != io.EOF {
		t.Fatalf("then: %+v, %v, want EOF", f, err)
	}
	p.conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Drain of a client that knows no goaway: what was read is answered, then the
// stream is half-closed, then what else comes is dropped.
func TestDrain_PlainClient(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "unix", "tls", "pipe"} {
		t.Run(transport, func(t *testing.T) {
			e := newEnv(t, transport, codec.GobType)
			release, running := make(chan struct{}), make(chan struct{}, 10)
			RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) {
				running <- struct{}{}
				<-release
				return Reply{42}, nil
			})
			client := e.dial(&Option{Legacy: true})
			replies := make([]Reply, 10)
			var calls []*Call
			for i := range replies {
				calls = append(calls, client.Go("Test.Wait", Args{}, &replies[i], nil))
				<-running
			}
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(context.Background()) }()
			eventually(t, "the server drains", func() bool { return e.conns.IsStopped() })
			close(release)
			for i, call := range calls {
				if <-call.Done; call.Error != nil || replies[i].C != 42 {
					t.Errorf("call %d: %d, %v", i, replies[i].C, call.Error)
				}
			}
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// D37 of time: a connection without a call for the idle timeout is asked to
// leave, one with a call is not.
func TestIdleTimeout(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		t.Run(fmt.Sprintf("legacy=%v", legacy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, "pipe", codec.GobType)
				e.IdleTimeout = time.Minute
				client := e.dial(&Option{Legacy: legacy})
				start := time.Now()
				add := func() error { return client.Call(context.Background(), "Arith.Add", Args{}, nil) }
				for range 3 {
					time.Sleep(50 * time.Second)
					if err := add(); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
				defer cancel()
				if err := client.Call(ctx, "Arith.Block", Args{}, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("a long call: %v", err)
				}
				if legacy {
					return // its method goes on: nobody has told it
				}
				time.Sleep(50 * time.Second)
				if err := add(); err != nil {
					t.Fatalf("50 s after a long call: %v", err)
				}
				time.Sleep(time.Minute + time.Second)
				if client.IsAvailable() {
					t.Error("still available a minute after the last call")
				}
				if err := add(); !errors.Is(err, ErrShutdown) || CodeOf(err) != CodeUnavailable {
					t.Errorf("after the idle timeout: %v", err)
				}
			})
		})
	}
}

// A goodbye is no accident: nothing is logged for it on either side, but that it begins.
func TestDrain_IsQuiet(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	logger, log := listenIn()
	e.Logger = logger
	client := e.dial(&Option{Logger: logger})
	if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s := strings.TrimSpace(log.String()); strings.Count(s, "\n") > 0 || !strings.Contains(s, `level=INFO msg="rpc server: shutting down" connections=1`) {
		t.Errorf("logged: %s", s)
	}
}

// A client that shuts down gets its replies, and no new calls.
func TestClientShutdown(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		release, running := make(chan struct{}), make(chan struct{}, 1)
		RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) {
			running <- struct{}{}
			<-release
			return Reply{42}, nil
		})
		client := e.dial(nil)
		var reply Reply
		call := client.Go("Test.Wait", Args{}, &reply, nil)
		<-running
		done := make(chan error, 1)
		go func() { done <- client.Shutdown(context.Background()) }()
		eventually(t, "client takes no calls", func() bool { return !client.IsAvailable() })
		err := client.Call(context.Background(), "Arith.Add", Args{}, nil)
		wantError(t, err, CodeUnavailable, InClient, RanNever)
		close(release)
		if <-call.Done; call.Error != nil || reply.C != 42 {
			t.Errorf("the call in flight: %d, %v", reply.C, call.Error)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := client.Shutdown(context.Background()); err != nil {
			t.Errorf("the second Shutdown: %v", err)
		}
	})
}

// A client's Shutdown closes the connection when its context ends.
func TestClientShutdown_Expired(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	client := e.dial(nil)
	call := client.Go("Arith.Block", Args{}, nil, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := client.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	wantError(t, (<-call.Done).Error, CodeUnavailable, OnLink, RanMaybe)
}

// What is refused is told before the server hangs up.
func TestDrain_RefusalBeforeGoaway(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	for range 200 {
		p := e.byHand(allKinds...)
		p.send(handBlock(1), handAdd(1, 1, 2), handFrame{kind: codec.Cancel, seq: 1}, handFrame{kind: codec.Goaway})
		n := 0
		for {
			if _, err := p.read(); err != nil {
				break
			}
			n++
		}
		if n != 2 { // the blocked call, which was cancelled, and the second of its seq
			t.Fatalf("%d answers, want 2", n)
		}
		p.conn.Close()
	}
}

// A connection that has been closed is not kept for IdleTimeout.
func TestIdleTimeout_KeepsNothing(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	e.IdleTimeout = time.Hour
	c := e.dial(nil)
	mustAdd(t, c)
	freed := make(chan struct{})
	conns := e.conns.Status().Conns
	runtime.AddCleanup(conns[0], func(int) { close(freed) }, 0)
	conns = nil
	c.Close()
	eventually(t, "the connection collected", func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
}

// A call that meets its handle timeout is answered although its method returns
// then, as the last of a connection that is being left.
func TestDrain_HandleTimeout(t *testing.T) {
	for i := range 50 {
		e := newEnv(t, "tcp", "")
		e.HandleTimeout = time.Millisecond
		gate := make(chan struct{})
		RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (r Reply, err error) {
			<-gate
			return
		})
		p := e.byHand("goaway")
		c := e.onlyConn()
		c.link.Out.Begin(t.Context()) // nothing is answered for the time being
		p.send(handFrame{kind: codec.Call, seq: 1, method: "Test.Wait", body: "{}"}, handFrame{kind: codec.Goaway})
		eventually(t, "the timeout is about to answer", c.link.Out.Wanted)
		close(gate)
		eventually(t, "the method has returned and the client left", func() bool {
			left := false
			c.update(func(s *connState) { left = s.noNewCalls })
			return left && e.registry.method("Test.Wait").endedCalls() == 1
		})
		for range i % 4 { // the timeout is sent back to the end of the line
			c.link.Out.End()
			c.link.Out.Begin(t.Context())
			for range 50 {
				runtime.Gosched()
			}
		}
		c.link.Out.End()
		if f, err := p.read(); err != nil || f.kind != codec.Reply || Code(f.code) != CodeDeadlineExceeded {
			t.Fatalf("not the answer of the timeout: %+v, %v", f, err)
		}
	}
}

// onlyConn returns the server's end of the only connection.
func (e *env) onlyConn() *conn {
	e.t.Helper()
	for _, c := range e.conns.Status().Conns {
		return c
	}
	e.t.Fatal("there is no connection")
	return nil
}

// A client that says goodbye and waits to be told that it may close, where the
// transport can't tell it, is left after a minute.
func TestD120_WaitsForTheEndOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		p := e.byHand(allKinds...)
		p.send(handFrame{kind: codec.Goaway})
		start := time.Now()
		for {
			if _, err := p.read(); err != nil {
				break
			}
		}
		if took := time.Since(start); took != lingerTime {
			t.Errorf("closed after %v", took)
		}
		e.Close()
	})
}
