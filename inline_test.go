package geerpc

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
)

// quickened registers a function and has it taken for a quick one: calls of it
// run where the connection is read.
func quickened(e *env, name string, f func(context.Context, Args) (Reply, error)) {
	e.t.Helper()
	if err := RegisterFunc(e.Server, name, f); err != nil {
		e.t.Fatal(err)
	}
	e.registry.method(name).pace.Store(inlineAfter)
}

// A method that was quick and is not this time holds up nobody for long: not
// calls that were read before it ran, not those that come, not cancellations.
func TestInline_HeldUp(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		running := make(chan struct{})
		quickened(e, "Test.Held", func(ctx context.Context, _ Args) (Reply, error) {
			close(running)
			<-ctx.Done()
			return Reply{}, ctx.Err()
		})
		e.registry.method("Arith.Add").pace.Store(inlineAfter)
		client := e.dial(nil)
		ctx, cancel := context.WithCancel(t.Context())
		held := make(chan error, 1)
		var others sync.WaitGroup
		for i := range 20 {
			others.Go(func() { mustAdd(t, client) })
			if i == 10 {
				go func() { held <- client.Call(ctx, "Test.Held", Args{}, nil) }()
			}
		}
		<-running
		others.Wait()
		mustAdd(t, client)
		cancel()
		wantError(t, <-held, CodeCanceled, OnLink, RanMaybe)
		eventually(t, "the method returns", func() bool { return e.debugInfo().InFlight == 0 })
		mustAdd(t, client)
	})
}

// The reader can be held up again, and by an answer.
func TestInline_HeldUpAgain(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		gate := make(chan struct{})
		quickened(e, "Test.Wait", func(context.Context, Args) (Reply, error) {
			<-gate
			return Reply{1}, nil
		})
		client := e.dial(nil)
		var calls []*Call
		for range 5 {
			e.registry.method("Test.Wait").pace.Store(inlineAfter)
			calls = append(calls, client.Go("Test.Wait", Args{}, nil, nil))
			mustAdd(t, client)
		}
		close(gate)
		for _, call := range calls {
			if <-call.Done; call.Error != nil {
				t.Error(call.Error)
			}
		}
		mustAdd(t, client)
	})
}

// A quick method may panic, or end its goroutine, and others are served.
func TestInline_Exits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		quickened(e, "Test.Panic", func(context.Context, Args) (Reply, error) { panic("in a hurry") })
		quickened(e, "Test.Exit", func(context.Context, Args) (Reply, error) { runtime.Goexit(); return Reply{}, nil })
		client := e.dial(nil)
		for range 3 {
			for _, method := range []string{"Test.Panic", "Test.Exit"} {
				e.registry.method(method).pace.Store(inlineAfter)
				wantError(t, client.Call(t.Context(), method, Args{}, nil), CodeInternal, InMethod, RanYes)
				mustAdd(t, client)
			}
		}
	})
}

// A reply that ends the reader's goroutine when it is encoded is that call's
// trouble only.
func TestInline_ReplyExits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		RegisterFunc(e.Server, "Test.Exit", func(context.Context, Args) (Slow, error) { return Slow{runtime.Goexit}, nil })
		e.registry.method("Test.Exit").pace.Store(inlineAfter)
		client := e.dial(nil)
		wantError(t, client.Call(t.Context(), "Test.Exit", Args{}, nil), CodeInternal, InMethod, RanYes)
		mustAdd(t, client)
	})
}

// Shutdown waits for a method that holds up the reader, and Close does not.
func TestInline_Shutdown(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		gate, running := make(chan struct{}), make(chan struct{})
		quickened(e, "Test.Wait", func(context.Context, Args) (Reply, error) {
			close(running)
			<-gate
			return Reply{1}, nil
		})
		client := e.dial(nil)
		call := client.Go("Test.Wait", Args{}, new(Reply), nil)
		<-running
		done := make(chan error, 1)
		go func() { done <- e.Shutdown(t.Context()) }()
		eventually(t, "the client hears of it", func() bool { return !client.IsAvailable() })
		close(gate)
		if err := errors.Join((<-call.Done).Error, <-done); err != nil {
			t.Error(err)
		}
	})
}

// Methods are quick that have shown it, and no more when they are slow.
func TestInline_Pace(t *testing.T) {
	var m method
	quick := func() bool { return m.pace.Load() >= inlineAfter }
	for range inlineAfter {
		if quick() {
			t.Fatal("quick too soon")
		}
		m.notePace(true, slowPenalty)
	}
	if !quick() {
		t.Fatal("not quick after so many calls")
	}
	for range 1000 {
		m.notePace(true, slowPenalty)
	}
	for n := range 3 {
		if !quick() {
			t.Fatalf("not quick after %d slow calls", n)
		}
		m.notePace(false, slowPenalty)
	}
	if quick() {
		t.Error("quick after three slow calls in a row")
	}
	m.pace.Store(-stallPenalty)
	m.notePace(false, slowPenalty)
	for range stallPenalty {
		m.notePace(true, slowPenalty)
	}
	if quick() || m.pace.Load() != 0 {
		t.Errorf("pace %d", m.pace.Load())
	}
}

// One slow batch may be the processor's fault, and costs no method its place; two in a
// row do.
func TestInline_SlowBatch(t *testing.T) {
	var r reader
	m := &method{}
	for range 32 {
		r.add(&servedCall{method: m, begun: true})
	}
	m.pace.Store(maxPace)
	for n, want := range []bool{true, false} {
		r.notePace(time.Second)
		if quick := m.pace.Load() >= inlineAfter; quick != want {
			t.Errorf("after %d slow batches: quick %v", n+1, quick)
		}
	}
	m.pace.Store(inlineAfter)
	r.notePace(0)
	if m.pace.Load() != maxPace {
		t.Errorf("pace %d after a quick batch", m.pace.Load())
	}
}

// A method earns its place by itself, and loses it.
func TestInline_Learns(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	slow := make(chan time.Duration, 1)
	slow <- 0
	RegisterFunc(e.Server, "Test.Work", func(context.Context, Args) (Reply, error) {
		d := <-slow
		slow <- d
		for begun := time.Now(); time.Since(begun) < d; {
		}
		return Reply{}, nil
	})
	client, m := e.dial(nil), e.registry.method("Test.Work")
	call := func() {
		if err := client.Call(t.Context(), "Test.Work", Args{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a method that is quick", func() bool { call(); return m.pace.Load() >= inlineAfter })
	<-slow
	slow <- 10 * quickLimit
	eventually(t, "a method that is not quick", func() bool { call(); return m.pace.Load() < inlineAfter })
}

// What ran in front of a method that holds up the reader is answered, and what
// stands behind it runs.
func TestInline_BatchAroundHeldUp(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	for _, method := range []string{"Arith.Add", "Arith.Block"} {
		e.registry.method(method).pace.Store(inlineAfter)
	}
	p := e.byHand(allKinds...)
	p.send(handAdd(1, 1, 2), handBlock(2))
	if f := p.next(); f.seq != 1 {
		t.Errorf("a reply to %d", f.seq)
	}
	if pace := e.registry.method("Arith.Block").pace.Load(); pace > 0 {
		t.Errorf("the pace of the method that held up others is %d", pace)
	}
	e.registry.method("Arith.Block").pace.Store(inlineAfter)
	p = e.byHand(allKinds...)
	p.send(handAdd(1, 1, 2), handBlock(2), handAdd(3, 1, 2))
	answered := map[uint64]bool{p.next().seq: true, p.next().seq: true}
	if !answered[1] || !answered[3] {
		t.Errorf("answered are %v", answered)
	}
	p.send(handFrame{kind: codec.Cancel, seq: 2})
	if f := p.next(); f.seq != 2 {
		t.Errorf("a reply to %d", f.seq)
	}
}

// The reader can be relieved whenever it may be held up. A look at it finds an
// even number between two calls, too, and then gives up if it knows the batch,
// or has just missed its begin. The reader, who saw that somebody was to look,
// used to go into the next call relying on that: if it never returned, nothing
// was read any more. Here the first of two calls does what such a look does.
func TestInline_LookGivesUp(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.start()
	var c *conn
	entered, gate, held := make(chan struct{}), make(chan struct{}), make(chan struct{})
	quickened(e, "Test.Gate", func(context.Context, Args) (Reply, error) {
		close(entered)
		<-gate
		return Reply{}, nil
	})
	quickened(e, "Test.First", func(context.Context, Args) (Reply, error) {
		c.reader.watched.Store(false)
		return Reply{}, nil
	})
	quickened(e, "Test.Held", func(context.Context, Args) (Reply, error) {
		<-held
		return Reply{}, nil
	})
	client := e.dial(nil)
	mustAdd(t, client)
	conns := e.conns.Status().Conns
	c = conns[0]
	eventually(t, "nobody looks", func() bool { return !c.reader.watched.Load() })
	c.reader.watched.Store(true) // by the look that is going to give up
	calls := []*Call{client.Go("Test.Gate", Args{}, nil, nil)}
	<-entered
	calls = append(calls, client.Go("Test.First", Args{}, nil, nil), client.Go("Test.Held", Args{}, nil, nil))
	close(gate) // and both are one batch
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Call(ctx, "Arith.Add", Args{1, 2}, nil); err != nil {
		t.Error("while a call is held up: ", err)
	}
	close(held)
	for _, call := range calls {
		if <-call.Done; call.Error != nil {
			t.Error(call.Error)
		}
	}
}

// A Note has room for what an earlier one may have left.
type Note struct {
	N    int
	Data []byte
	Tags map[string]int
}

func noteOf(i int) (n Note) {
	if i%2 == 0 { // the others find nothing but zeros
		n = Note{i + 1, []byte{byte(i), 1}, map[string]int{"i": i}}
	}
	return n
}

// A Notebook keeps what its methods are given.
type Notebook struct {
	mu   sync.Mutex
	kept []*Note
}

func (b *Notebook) keep(notes ...*Note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, notes...)
}

func (b *Notebook) Value(args Note, reply *Note) error {
	*reply = args
	b.keep(&args, reply)
	return nil
}

func (b *Notebook) Pointer(args, reply *Note) error {
	*reply = *args
	b.keep(args, reply)
	return nil
}

// The memory of calls is used again, that which methods may hold on to is not.
func TestInline_ValuesAreTheCallsOwn(t *testing.T) {
	const calls = 100
	each(t, func(t *testing.T, e *env) {
		book := new(Notebook)
		if err := e.Register(book); err != nil {
			t.Fatal(err)
		}
		quickened(e, "Test.Sum", func(_ context.Context, a Args) (Reply, error) { return Reply{a.A + a.B}, nil })
		if err := RegisterFunc(e.Server, "Notebook.Func", func(_ context.Context, args Note) (Note, error) {
			book.keep(&args)
			return args, nil
		}); err != nil {
			t.Fatal(err)
		}
		client := e.dial(nil)
		var want []Note
		for i := range calls {
			for _, method := range []string{"Notebook.Value", "Notebook.Pointer", "Notebook.Func"} {
				e.registry.method(method).pace.Store(inlineAfter)
				args, reply := noteOf(i), Note{}
				if err := client.Call(t.Context(), method, args, &reply); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(reply, args) {
					t.Fatalf("%s: call %d of %+v: %+v", method, i, args, reply)
				}
				want = append(want, args)
				if method != "Notebook.Func" {
					want = append(want, args) // the reply
				}
			}
			var sum Reply
			if err := client.Call(t.Context(), "Test.Sum", Args{A: i % 2}, &sum); err != nil || sum.C != i%2 {
				t.Fatalf("sum of %d and 0: %d, %v", i%2, sum.C, err)
			}
		}
		for i, n := range book.kept {
			if !reflect.DeepEqual(*n, want[i]) {
				t.Fatalf("note %d has become %+v, was %+v", i, *n, want[i])
			}
		}
	})
}

// Interceptors may hold on to what they are given as well.
func TestInline_ValuesOfInterceptors(t *testing.T) {
	var seen []any
	e := newEnv(t, "pipe", codec.GobType)
	e.Interceptors = []Interceptor{func(next CallFunc) CallFunc {
		return func(ctx context.Context, method string, args, reply any) error {
			seen = append(seen, args, reply)
			return next(ctx, method, args, reply)
		}
	}}
	e.start()
	quickened(e, "Test.Sum", func(_ context.Context, a Args) (Reply, error) { return Reply{a.A + a.B}, nil })
	client := e.dial(nil)
	for i := range 50 {
		if err := client.Call(t.Context(), "Test.Sum", Args{i, 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	for i := range 50 {
		if args, reply := seen[2*i].(Args), seen[2*i+1].(*Reply); args.A != i || reply.C != i+1 {
			t.Fatalf("call %d has become %+v, %+v", i, args, *reply)
		}
	}
}

// A seq that is in flight is found in a batch in any order.
func TestInline_SeqsOutOfOrder(t *testing.T) {
	var s reader
	for _, seq := range []uint64{7, 5} {
		s.add(&servedCall{seq: seq})
	}
	for seq, want := range map[uint64]bool{5: true, 6: false, 7: true, 8: false} {
		if s.has(seq) != want {
			t.Errorf("seq %d: %v", seq, !want)
		}
	}
	if s.endBatch(); s.has(7) {
		t.Error("seq 7 is still there when the batch has ended")
	}
}

// A name that a client has made up does not stay with its connection.
func TestC17_MadeUpNamesAreForgotten(t *testing.T) {
	server, r := NewServer(), new(reader)
	if err := server.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	find := func(name string) *method { return r.findMethod(&server.registry, name) }
	if find("Arith.Add") == nil || find("Made.Up") != nil || r.lastName != "Arith.Add" {
		t.Errorf("the connection remembers %q", r.lastName)
	}
	if find("Arith.Add") == nil || find("Arith.Div") == nil || r.lastName != "Arith.Div" {
		t.Errorf("the connection remembers %q", r.lastName)
	}
}
