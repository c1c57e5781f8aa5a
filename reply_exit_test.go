package geerpc

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"testing"
	"time"

	"geerpc/codec"
)

// exits registers Test.Exit, whose reply ends the goroutine that encodes it.
func exits(e *env) {
	RegisterFunc(e.Server, "Test.Exit", func(context.Context, Args) (Slow, error) { return Slow{runtime.Goexit}, nil })
}

// A reply ends the goroutine that encodes it, after the reading has been handed
// over: in one batch stand a quick call with such a reply and a call that holds
// up the reader. The goroutine that took over answered the first call and then
// read, and so was gone before it could.
func TestC113_ReplyExitsAfterReadingWasHandedOver(t *testing.T) {
	for _, transport := range []string{"pipe", "tcp", "unix"} {
		t.Run(transport, func(t *testing.T) {
			e := newEnv(t, transport, framedJSON)
			exits(e)
			for _, name := range []string{"Test.Exit", "Arith.Block"} {
				e.start()
				e.registry.method(name).pace.Store(inlineAfter)
			}
			p := e.byHand(allKinds...)
			p.conn.SetDeadline(time.Now().Add(10 * time.Second))
			p.send(handFrame{kind: codec.Call, seq: 1, method: "Test.Exit", body: "{}"}, handBlock(2))
			if f := p.next(); f.seq != 1 || Code(f.code) != CodeInternal {
				t.Fatalf("the call whose reply exits is answered %+v", f)
			}
			p.send(handAdd(3, 1, 2))
			if f := p.next(); f.seq != 3 || f.sum(t) != 3 {
				t.Fatalf("the next call is answered %+v", f)
			}
			closesAtOnce(t, e)
		})
	}
}

// A reply that takes its time to be encoded does not keep the goroutine that
// has taken over from reading.
func TestC113_SlowReplyAfterReadingWasHandedOver(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	gate, encoding := make(chan struct{}), make(chan struct{})
	RegisterFunc(e.Server, "Test.Slow", func(context.Context, Args) (Slow, error) {
		return Slow{func() { close(encoding); <-gate }}, nil
	})
	e.start()
	for _, name := range []string{"Test.Slow", "Arith.Block"} {
		e.registry.method(name).pace.Store(inlineAfter)
	}
	p := e.byHand(allKinds...)
	p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	p.send(handFrame{kind: codec.Call, seq: 1, method: "Test.Slow", body: "{}"}, handBlock(2))
	<-encoding
	p.send(handFrame{kind: codec.Cancel, seq: 2})
	eventually(t, "the cancel is read", func() bool { return e.registry.method("Arith.Block").counts().InFlight == 0 })
	close(gate)
	p.next()
	p.next()
}

// On an Ordered server the worker that answers is the only one.
func TestC113_ReplyExitsOnOrderedServer(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.Ordered = true
		exits(e)
		client := e.dial(nil)
		for range 3 {
			exit := client.Go("Test.Exit", Args{}, nil, nil)
			add := client.Go("Arith.Add", Args{1, 2}, nil, nil)
			<-exit.Done
			wantError(t, exit.Error, CodeInternal, InMethod, RanYes)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := client.Call(ctx, "Arith.Add", Args{1, 2}, nil); err != nil {
				t.Fatal(err)
			}
			<-add.Done
		}
		closesAtOnce(t, e)
	})
}

// closesAtOnce checks that Close waits for nothing that is left behind.
func closesAtOnce(t *testing.T, e *env) {
	t.Helper()
	begin := time.Now()
	e.Close()
	if d := time.Since(begin); d >= closeGrace {
		t.Errorf("Close took %v", d)
	}
}

// An exitSkipCodec ends the goroutine that skips a body.
type exitSkipCodec struct{ codec.Extended }

const exitSkip codec.Type = "test/exit-skip"

func init() {
	inner := codec.Framed(json.Marshal, json.Unmarshal)
	codec.Register(exitSkip, func(rwc io.ReadWriteCloser) codec.Codec { return exitSkipCodec{inner(rwc).(codec.Extended)} })
}

func (c exitSkipCodec) Extend() codec.Codec {
	return exitSkipCodec{c.Extended.Extend().(codec.Extended)}
}

func (c exitSkipCodec) ReadBody(body any) error {
	if body == nil {
		runtime.Goexit()
	}
	return c.Extended.ReadBody(body)
}

// A call whose error came, and the skipping of the body behind it ends the
// goroutine that reads, has that error; the connection ends.
func TestE173_BodyOfAnErrorExits(t *testing.T) {
	client := newEnv(t, "tcp", exitSkip).dial(nil)
	done := make(chan error, 1)
	go func() { done <- client.Call(t.Context(), "Arith.Div", Args{1, 0}, new(Reply)) }()
	select {
	case err := <-done:
		wantError(t, err, CodeUnknown, InMethod, RanYes)
	case <-time.After(patient): // instead of hanging
		t.Error("the call hangs")
	}
	eventually(t, "the connection ends", func() bool { return !client.IsAvailable() })
}
