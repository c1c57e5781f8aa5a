package geerpc

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
)

// Faulty is a service whose methods do what they should not.
type Faulty struct {
	gate    chan struct{} // closed: Stuck returns
	running atomic.Int64  // calls of Stuck
	begun   chan struct{} // receives from each Watch
	ended   chan error    // what the contexts of Watch ended with
}

func newFaulty() *Faulty {
	return &Faulty{gate: make(chan struct{}), begun: make(chan struct{}, 100), ended: make(chan error, 100)}
}

// Panic panics with a value of the kind that is asked for.
func (*Faulty) Panic(kind string, _ *Reply) error {
	switch kind {
	case "text":
		panic("out of coffee")
	case "error":
		panic(errors.New("an error"))
	case "nil":
		panic(nil) //nolint
	case "struct":
		panic(struct{ A, B int }{1, 2})
	case "runtime error":
		var m map[string]int
		//lint:ignore SA5000 that is the fault
		m["x"] = 1
	case "stringer that panics":
		panic(badStringer{})
	case "abort":
		panic(errAbort)
	}
	runtime.Goexit()
	return nil
}

var errAbort = &Error{Code: CodeNotFound, Message: "an Error as a panic", Where: InServer, Ran: RanNever}

type badStringer struct{}

func (badStringer) String() string { panic("in String") }

// Unsendable answers what no codec can encode.
func (*Faulty) Unsendable(kind string, reply *any) error {
	switch kind {
	case "channel":
		*reply = make(chan int)
	case "func":
		*reply = func() {}
	case "hidden in a map":
		*reply = map[string]any{"f": func() {}}
	}
	return nil
}

// Stuck ignores its context, as methods without one must.
func (f *Faulty) Stuck(_ int, _ *int) error {
	f.running.Add(1)
	defer f.running.Add(-1)
	<-f.gate
	return nil
}

// Watch reports how its context ended.
func (f *Faulty) Watch(ctx context.Context, _ int, _ *int) error {
	f.begun <- struct{}{}
	<-ctx.Done()
	f.ended <- context.Cause(ctx)
	return ctx.Err()
}

// mustAdd makes a good call, which shows that the connection works.
func mustAdd(t testing.TB, client *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	var reply Reply
	if err := client.Call(ctx, "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
		t.Fatalf("1 + 2 = %d, %v", reply.C, err)
	}
}

// faulty registers a new Faulty.
func (e *env) faulty() *Faulty {
	e.t.Helper()
	f := newFaulty()
	if err := e.Register(f); err != nil {
		e.t.Fatal(err)
	}
	return f
}

// TestA1_DialAndCallAtOnce calls right behind the handshake, 300 times of 300.
func TestA1_DialAndCallAtOnce(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			for range 300 {
				client := e.dial(nil)
				mustAdd(t, client)
				client.Close()
			}
		})
	}
}

// TestA2_UnknownMethod has calls of what is not there cost nothing but
// themselves, whatever their arguments are.
func TestA2_UnknownMethod(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		for _, name := range []string{"Arith.Nothing", "Nothing.Add", "Arith", "", strings.Repeat("x", 100_000)} {
			for _, args := range []any{Args{1, 2}, "text", map[string][]int{"a": {1}}, nil} {
				if args == nil && e.codec == codec.GobType && !client.link.Extended() {
					continue
				}
				code := CodeNotFound
				if !strings.Contains(name, ".") {
					code = CodeInvalidArgument
				}
				wantError(t, client.Call(context.Background(), name, args, nil), code, InServer, RanNever)
			}
			mustAdd(t, client)
		}
	})
}

// TestA3_HandleTimeouts lets 100 calls meet their handle timeout. Each gets one
// reply, and when the methods return nothing is left and nothing else sent.
func TestA3_HandleTimeouts(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		f := e.faulty()
		e.HandleTimeout = 30 * time.Millisecond
		p := e.handshake(nil)
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		wg.Go(func() {
			for seq := range uint64(100) {
				p.call(t, "Faulty.Stuck", seq, 1)
			}
		})
		seen, never := make(map[uint64]bool), int32(0)
		for range 100 {
			seq, err := p.reply(t, nil)
			if e := new(Error); errors.As(err, &e) && e.Ran == RanNever { // the machine is busy
				wantError(t, err, CodeDeadlineExceeded, InServer, RanNever)
				never++
			} else {
				wantError(t, err, CodeDeadlineExceeded, InMethod, RanMaybe)
			}
			if !strings.Contains(err.Error(), "handle timeout") || seen[seq] {
				t.Fatalf("reply to %d, seen %v: %v", seq, seen[seq], err)
			}
			seen[seq] = true
		}
		wg.Wait()
		eventually(t, "those run that may have", func() bool { return int32(f.running.Load()) == 100-never })
		close(f.gate)
		eventually(t, "the methods return", func() bool { return f.running.Load() == 0 })
		p.call(t, "Arith.Add", 100, Args{1, 1}) // the next reply is to this, and nothing late
		var reply Reply
		if seq, err := p.reply(t, &reply); seq != 100 || err != nil || reply.C != 2 {
			t.Errorf("reply to %d: %d, %v", seq, reply.C, err)
		}
		eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// TestA4_Panics has methods panic in every way there is, and end their
// goroutine. It is their caller's error, and nobody else's.
func TestA4_Panics(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.faulty()
		client := e.dial(nil)
		for _, kind := range []string{"text", "error", "nil", "struct", "runtime error", "stringer that panics", "abort", "goexit"} {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), patient)
					defer cancel()
					err := client.Call(ctx, "Faulty.Panic", kind, nil)
					var typed *Error
					if !errors.As(err, &typed) || typed.Code != CodeInternal || typed.Where != InMethod || typed.Ran != RanYes {
						t.Errorf("%s: %+v", kind, err)
					}
				})
			}
			wg.Wait()
			mustAdd(t, client)
		}
	})
}

// TestA9_UnencodableReply and arguments: the call fails, its neighbours don't.
func TestA9_Unencodable(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		f := e.faulty()
		client := e.dial(nil)
		bystander := client.Go("Faulty.Stuck", 1, nil, nil)
		for _, kind := range []string{"channel", "func", "hidden in a map"} {
			var reply any
			wantError(t, client.Call(context.Background(), "Faulty.Unsendable", kind, &reply), CodeInternal, InMethod, RanYes)
			mustAdd(t, client)
		}
		for name, args := range map[string]any{"channel": make(chan int), "func": func() {}, "hidden": map[string]any{"f": func() {}}} {
			err := client.Call(context.Background(), "Arith.Add", args, nil)
			if CodeOf(err) != CodeInvalidArgument {
				t.Errorf("%s: %v", name, err)
			}
			wantError(t, err, CodeInvalidArgument, InClient, RanNever)
			mustAdd(t, client)
		}
		close(f.gate)
		if call := <-bystander.Done; call.Error != nil {
			t.Error(call.Error)
		}
	})
}

// TestA10_ReplyPointer passes replies that can't take what comes.
func TestA10_ReplyPointer(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		for _, reply := range []any{new(string), new(chan int)} {
			err := client.Call(context.Background(), "Arith.Add", Args{1, 1}, reply)
			wantError(t, err, CodeInternal, InClient, RanYes)
			mustAdd(t, client)
		}
		for _, reply := range []any{Reply{}, (*Reply)(nil), map[string]int{}} { // can be seen before
			err := client.Call(context.Background(), "Arith.Add", Args{1, 1}, reply)
			wantError(t, err, CodeInvalidArgument, InClient, RanNever)
			call := <-client.Go("Arith.Add", Args{1, 1}, reply, nil).Done
			wantError(t, call.Error, CodeInvalidArgument, InClient, RanNever)
			mustAdd(t, client)
		}
	})
}

// TestA11_DoneChannels has a channel that nobody receives from hold up nobody
// else.
func TestA11_DoneChannels(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		full, unbuffered := make(chan *Call, 1), make(chan *Call)
		for range 10 {
			client.Go("Arith.Add", Args{1, 1}, nil, full)
			client.Go("Arith.Add", Args{1, 1}, nil, unbuffered)
			client.Go("Arith.Add", make(chan int), nil, unbuffered) // fails at once
			mustAdd(t, client)
		}
		for range 10 {
			if call := <-full; call.Error != nil {
				t.Error(call.Error)
			}
			<-unbuffered
		}
		client.Close() // ten calls are never received: their goroutines end here
	})
}

// TestA13_ReplyAgainstCancel is TestA13_OwnCodecReplyAgainstCancel for the
// codecs that are built in.
func TestA13_ReplyAgainstCancel(t *testing.T) {
	each(t, func(t *testing.T, e *env) { cancelRounds(t, e.dial(nil), 200) })
}

// TestA14_ErrorText has a method's error keep its text.
func TestA14_ErrorText(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		err := e.dial(nil).Call(context.Background(), "Arith.Div", Args{1, 0}, nil)
		wantError(t, err, CodeUnknown, InMethod, RanYes)
		if err.Error() != "100% of load: division by zero" {
			t.Errorf("text is %q", err)
		}
	})
}

// TestA15_ContextErrors checks errors.Is for a context that ended, whichever
// side noticed.
func TestA15_ContextErrors(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.faulty()
		client, hasty := e.dial(nil), e.dial(&Option{HandleTimeout: time.Millisecond})
		soon, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		cancelled, cancelNow := context.WithCancel(context.Background())
		cancelNow()
		later, cancelLater := context.WithCancel(context.Background())
		time.AfterFunc(5*time.Millisecond, cancelLater)
		cases := []struct {
			name   string
			client *Client
			ctx    context.Context
			is     error
		}{
			{"deadline, noticed by either", client, soon, context.DeadlineExceeded},
			{"deadline, before the call", client, soon, context.DeadlineExceeded},
			{"cancelled before the call", client, cancelled, context.Canceled},
			{"cancelled meanwhile", client, later, context.Canceled},
			{"deadline, noticed by the server", hasty, context.Background(), context.DeadlineExceeded},
		}
		for _, c := range cases {
			err := c.client.Call(c.ctx, "Arith.Block", Args{}, nil)
			if !errors.Is(err, c.is) || CodeOf(err) != CodeOf(c.is) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		mustAdd(t, client)
	})
}

// TestA16_ServerIsTold checks that the method hears of a caller that left: of
// a deadline, of a cancellation and of a connection that broke.
func TestA16_ServerIsTold(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		f := e.faulty()
		client := e.dial(nil)
		// The method may not have begun when the time is up: then again, with more.
		for begun, limit := false, 10*time.Millisecond; !begun; limit *= 2 {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			err := client.Call(ctx, "Faulty.Watch", 1, nil)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			mustAdd(t, client)
			select {
			case <-f.begun:
				begun = true
			default:
			}
		}
		if err := <-f.ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("after a deadline: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { // ends with the call
			<-f.begun
			cancel()
		}()
		client.Call(ctx, "Faulty.Watch", 1, nil)
		if err := <-f.ended; err != context.Canceled {
			t.Errorf("after a cancellation: %v", err)
		}
		call := client.Go("Faulty.Watch", 1, nil, nil)
		<-f.begun
		client.Close()
		if err := <-f.ended; err == nil {
			t.Error("the context did not end with the connection")
		}
		if call = <-call.Done; !errors.Is(call.Error, ErrShutdown) {
			t.Errorf("call is %v", call.Error)
		}
	})
}

// A failingConn fails to write once it has been told to.
type failingConn struct {
	net.Conn
	broken atomic.Bool
}

func (c *failingConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("no write today")
	}
	return c.Conn.Write(p)
}

// TestA35_ReplyWriteError breaks the server's writing side. The client must not
// wait for a reply that can't come.
func TestA35_ReplyWriteError(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "pipe", c)
			near, far := net.Pipe()
			conn := &failingConn{Conn: far}
			var wg sync.WaitGroup
			wg.Go(func() { e.ServeConn(conn) })
			client, err := NewClient(near, &Option{CodecType: c, ConnectTimeout: patient})
			if err != nil {
				t.Fatal(err)
			}
			mustAdd(t, client)
			conn.broken.Store(true)
			ctx, cancel := context.WithTimeout(context.Background(), patient)
			defer cancel()
			wantError(t, client.Call(ctx, "Arith.Add", Args{1, 1}, nil), CodeUnavailable, OnLink, RanMaybe)
			client.Close()
			wg.Wait()
		})
	}
}

// TestB15_HeaderAndBodyDisagree sends bodies that are not the method's, by our
// client and by hand. That call fails, the next one works.
func TestB15_HeaderAndBodyDisagree(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		for _, args := range []any{"text", []int{1}, map[string]string{"A": "x"}, 3.5, struct{ A string }{"x"}} {
			wantError(t, client.Call(context.Background(), "Arith.Add", args, nil), CodeInvalidArgument, InServer, RanNever)
			mustAdd(t, client)
		}
		p := e.handshake(nil)
		for seq := uint64(0); seq < 6; seq += 2 {
			p.call(t, "Arith.Add", seq, []string{"text"})
			if got, err := p.reply(t, nil); got != seq || CodeOf(err) != CodeInvalidArgument {
				t.Errorf("reply to %d: %v", got, err)
			}
			p.call(t, "Arith.Add", seq+1, Args{1, 1})
			if got, err := p.reply(t, new(Reply)); got != seq+1 || err != nil {
				t.Errorf("reply to %d: %v", got, err)
			}
		}
	})
}

// TestC27_RefusedCallIsAnsweredOnce sends more calls than are allowed, by hand,
// with a handle timeout running. A refused call must not be answered again
// when its handle timeout is up.
func TestC27_RefusedCallIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		f := e.faulty()
		e.MaxInFlight, e.HandleTimeout = 2, 30*time.Millisecond
		p := e.handshake(nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			for seq := range uint64(6) {
				p.call(t, "Faulty.Stuck", seq, 1)
			}
		})
		codes := make(map[Code]int)
		for range 6 {
			_, err := p.reply(t, nil)
			codes[CodeOf(err)]++
		}
		wg.Wait()
		if codes[CodeResourceExhausted] != 4 || codes[CodeDeadlineExceeded] != 2 {
			t.Errorf("codes are %v", codes)
		}
		close(f.gate)
		eventually(t, "the methods return", func() bool { return f.running.Load() == 0 })
		p.call(t, "Arith.Add", 100, Args{1, 1})
		if seq, err := p.reply(t, new(Reply)); seq != 100 || err != nil {
			t.Errorf("reply to %d: %v", seq, err)
		}
	})
}
