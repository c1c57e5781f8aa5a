package geerpc

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// An Exiting is a value that ends the goroutine which decodes it, as t.Fatal
// does in a test's UnmarshalJSON.
type Exiting struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*Exiting) UnmarshalJSON([]byte) error { runtime.Goexit(); return nil }

// GobEncode implements gob.GobEncoder.
func (Exiting) GobEncode() ([]byte, error) { return []byte{1}, nil }

// GobDecode implements gob.GobDecoder.
func (*Exiting) GobDecode([]byte) error { runtime.Goexit(); return nil }

// A reply that ends the client's reader ends the connection: nobody hangs.
func TestA4_ReplyEndsTheReader(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Exit", func(context.Context, Args) (Exiting, error) { return Exiting{}, nil })
		c := e.dial(nil)
		bystander := make(chan error, 1)
		go func() { bystander <- c.Call(t.Context(), "Arith.Block", Args{}, nil) }()
		eventually(t, "the bystander's call", func() bool { return c.inFlight.Len() == 1 })
		var e2 *Error
		if err := c.Call(t.Context(), "Test.Exit", Args{}, new(Exiting)); !errors.As(err, &e2) || e2.Where == InServer {
			t.Errorf("the call whose reply it is: %v", err)
		}
		wantError(t, <-bystander, CodeUnavailable, OnLink, RanMaybe)
		if c.IsAvailable() {
			t.Error("the client takes calls, and nobody reads")
		}
	})
}

// Arguments that end the server's reader end the connection.
func TestA4_ArgumentEndsTheReader(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Exit", func(context.Context, Exiting) (Reply, error) { return Reply{}, nil })
		c := e.dial(nil)
		wantError(t, c.Call(t.Context(), "Test.Exit", Exiting{}, nil), CodeUnavailable, OnLink, RanMaybe)
		eventually(t, "connection forgotten", func() bool { return e.debugInfo().Connections.Open == 0 })
		mustAdd(t, e.dial(nil))
	})
}

// A panic whose text ends the goroutine is answered as well.
func TestA4_PanicTextEndsTheGoroutine(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	RegisterFunc(e.Server, "Test.Panic", func(context.Context, Args) (Reply, error) { panic(exitingError{}) })
	c := e.dial(nil)
	wantError(t, c.Call(t.Context(), "Test.Panic", Args{}, nil), CodeInternal, InMethod, RanYes)
	mustAdd(t, c)
}

type exitingError struct{}

func (exitingError) Error() string { runtime.Goexit(); return "" }

// A nil *Error that is returned as an error is one, if a strange one.
func TestA4_NilError(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	RegisterFunc(e.Server, "Test.Nil", func(context.Context, Args) (Reply, error) { return Reply{}, (*Error)(nil) })
	wantError(t, e.dial(nil).Call(t.Context(), "Test.Nil", Args{}, nil), CodeUnknown, InMethod, RanYes)
	if code := CodeOf((*Error)(nil)); code != CodeUnknown {
		t.Error(code)
	}
}

// Whoever receives late from a Done channel gets the call, until Close.
func TestA11_DoneAfterConnectionLost(t *testing.T) {
	c, p := handServer(t, nil)
	call := c.Go("Arith.Add", Args{}, nil, make(chan *Call))
	p.next()
	p.conn.Close()
	<-c.readerStopped
	wantError(t, (<-call.Done).Error, CodeUnavailable, OnLink, RanMaybe)
}

// A call that was never sent has no seq.
func TestCallSeq(t *testing.T) {
	c := newEnv(t, "pipe", framedJSON).dial(nil)
	if call := <-c.Go("Arith.Add", Args{}, nil, nil).Done; call.Seq == 0 || call.Error != nil {
		t.Errorf("seq %d, %v", call.Seq, call.Error)
	}
	if call := <-c.Go("Arith.Add", make(chan int), nil, nil).Done; call.Seq != 0 || call.Error == nil {
		t.Errorf("seq %d, %v", call.Seq, call.Error)
	}
}

// What the server is told is the time left when the call is sent, not when it
// began to wait for a slot.
func TestTimeoutAfterWaitForSlot(t *testing.T) {
	c, p := handServer(t, nil)
	c.inFlight.SetLimit(1)
	first := make(chan error, 1)
	go func() { first <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
	p.next()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	second := make(chan error, 1)
	go func() { second <- c.Call(ctx, "Arith.Add", Args{}, nil) }()
	eventually(t, "the call waits for a while", func() bool {
		deadline, _ := ctx.Deadline()
		return time.Until(deadline) < time.Minute-100*time.Millisecond
	})
	p.send(handFrame{kind: 1, seq: 1, body: "{}"})
	f := p.next()
	if told := time.Duration(f.timeout); told > time.Minute-100*time.Millisecond {
		t.Errorf("the server is told %v", told)
	}
	p.send(handFrame{kind: 1, seq: f.seq, body: "{}"})
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}
