package geerpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/connset"
)

// Our own client never meets the limit on calls in flight, however low: it
// waits for a slot. The limit holds on the server.
func TestMaxInFlight_OwnClient(t *testing.T) {
	for _, most := range []int{1, 2, 8} {
		for _, c := range codecs {
			for _, legacy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d/%s/legacy=%v", most, c, legacy), func(t *testing.T) {
					e := newEnv(t, "tcp", c)
					e.MaxInFlight = most
					var running, peak atomic.Int64
					RegisterFunc(e.Server, "Test.Run", func(_ context.Context, args Args) (Reply, error) {
						n := running.Add(1)
						defer running.Add(-1)
						for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
						}
						return Reply{args.A}, nil
					})
					client := e.dial(&Option{Legacy: legacy})
					var wg sync.WaitGroup
					for i := range 32 {
						wg.Go(func() {
							for j := range 30 {
								var reply Reply
								if err := client.Call(context.Background(), "Test.Run", Args{A: i*1000 + j}, &reply); err != nil || reply.C != i*1000+j {
									t.Errorf("call %d of %d: %d, %v", j, i, reply.C, err)
									return
								}
							}
						})
					}
					wg.Wait()
					if peak.Load() > int64(most) {
						t.Errorf("%d calls ran at a time, allowed are %d", peak.Load(), most)
					}
				})
			}
		}
	}
}

// While a server that is stuck holds all slots, calls that give up leave
// nothing behind: neither a place in the queue nor a slot.
func TestMaxInFlight_Stuck(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxInFlight = 2
	c := &busyClient{Client: e.dial(nil)}
	for range 2 {
		go c.Call(t.Context(), "Arith.Block", Args{}, nil) // ends with the test
	}
	eventually(t, "all slots taken", func() bool { return c.inFlight.Len() == 2 })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				wantError(t, c.Call(ctx, "Arith.Add", Args{}, nil), CodeDeadlineExceeded, InClient, RanNever)
				cancel()
			}
		})
	}
	wg.Wait()
	if n := c.queued(); n > 8 {
		t.Errorf("%d calls are queued", n)
	}
	if n := c.inFlight.Len(); n != 2 {
		t.Errorf("%d slots are taken", n)
	}
}

// A client that is shut down refuses those who wait to be let in and those who
// are queued, and waits for what is in flight.
func TestShutdown_WhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := oneSlot(t)
		errs := make(chan error, 15)
		call := func(n int) {
			for range n {
				go func() { errs <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
			}
			synctest.Wait()
		}
		c.link.Out.Begin(t.Context())
		call(10)
		c.link.Out.End()
		first := p.next()
		call(5)
		ended := make(chan error, 1)
		go func() { ended <- c.Shutdown(t.Context()) }()
		p.next() // goaway
		for range cap(errs) - 1 {
			wantError(t, <-errs, CodeUnavailable, InClient, RanNever)
		}
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Shutdown did not wait")
		default:
		}
		p.send(handFrame{kind: 1, seq: first.seq, body: "{}"})
		if err := errors.Join(<-errs, <-ended); err != nil {
			t.Error(err)
		}
	})
}

// A caller that waits for a slot leaves when its context ends, or with the
// connection, and nobody else is held up for it.
func TestMaxInFlight_Waiting(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxInFlight = 1
	client := e.dial(nil)
	first, cancelFirst := context.WithCancel(context.Background())
	blocked := make(chan error, 1)
	go func() { blocked <- client.Call(first, "Arith.Block", Args{}, nil) }()
	waiting := func(n int) func() bool {
		return func() bool {
			return client.inFlight.Waiting() == n && client.inFlight.Len() == 1
		}
	}
	eventually(t, "slot taken", waiting(0))
	ctx, cancel := context.WithCancel(context.Background())
	failed, served := make(chan error, 10), make(chan error, 10)
	for range 10 {
		go func() { failed <- client.Call(ctx, "Arith.Add", Args{}, nil) }()
		go func() { served <- client.Call(context.Background(), "Arith.Add", Args{}, nil) }()
	}
	eventually(t, "all wait", waiting(20))
	cancel()
	for range 10 {
		wantError(t, <-failed, CodeCanceled, InClient, RanNever)
	}
	cancelFirst()
	wantError(t, <-blocked, CodeCanceled, OnLink, RanMaybe)
	for range 10 {
		if err := <-served; err != nil {
			t.Errorf("served: %v", err)
		}
	}
	go func() { blocked <- client.Call(context.Background(), "Arith.Block", Args{}, nil) }()
	eventually(t, "slot taken again", waiting(0))
	go func() { failed <- client.Call(context.Background(), "Arith.Add", Args{}, nil) }()
	eventually(t, "one waits", waiting(1))
	client.Close()
	wantError(t, <-blocked, CodeUnavailable, OnLink, RanMaybe)
	if err := <-failed; !errors.Is(err, ErrShutdown) {
		t.Errorf("waiting when the client was closed: %v", err)
	}
}

// A client that ignores the limit is refused call by call, its cancels still
// get through, and a refused call leaves nothing behind: not a context, not a
// timer that answers it a second time.
func TestMaxInFlight_IgnoredByHand(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	e.MaxInFlight = 2
	e.HandleTimeout = 100 * time.Millisecond
	release := make(chan struct{})
	started := make(chan int, 100)
	RegisterFunc(e.Server, "Test.Stubborn", func(_ context.Context, args Args) (Reply, error) {
		started <- args.A
		<-release
		return Reply{}, nil
	})
	p := e.byHand(allKinds...)
	stubborn := func(seq uint64) handFrame {
		return handFrame{kind: codec.Call, seq: seq, method: "Test.Stubborn", body: fmt.Sprintf(`{"A":%d}`, seq)}
	}
	p.send(stubborn(1), stubborn(2))
	<-started
	<-started
	var frames []handFrame
	for seq := range uint64(50) {
		frames = append(frames, stubborn(100+seq))
	}
	p.send(frames...)
	answers := map[uint64][]Code{}
	for range 52 { // 50 refusals, and two calls out of time
		f := p.next()
		answers[f.seq] = append(answers[f.seq], Code(f.code))
		if f.seq >= 100 && Ran(f.ran) != RanNever {
			t.Errorf("a refused call: %+v", f)
		}
	}
	// Their time is up as well by now: nothing may come of it.
	p.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if f, err := p.read(); err == nil {
		t.Errorf("one more answer: %+v", f)
	}
	p.conn.SetReadDeadline(time.Time{})
	for seq, codes := range answers {
		want := CodeResourceExhausted
		if seq < 100 {
			want = CodeDeadlineExceeded
		}
		if !slices.Equal(codes, []Code{want}) {
			t.Errorf("call %d was answered %v, want %v once", seq, codes, want)
		}
	}
	// They were answered, and hold their slots still.
	p.send(handAdd(3, 1, 1))
	if f := p.next(); f.seq != 3 || Code(f.code) != CodeResourceExhausted {
		t.Errorf("while two methods run: %+v", f)
	}
	close(release)
	eventually(t, "slots free", func() bool {
		p.send(handAdd(4, 1, 1))
		return p.next().code == 0
	})
	select {
	case seq := <-started:
		t.Errorf("refused call %d ran", seq)
	default:
	}
}

// Cancels get through however full it is.
func TestMaxInFlight_CancelWhenFull(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	e.MaxInFlight = 4
	p := e.byHand(allKinds...)
	for seq := range uint64(10) {
		p.send(handBlock(seq))
	}
	for range 6 {
		if f := p.next(); f.seq < 4 || Code(f.code) != CodeResourceExhausted {
			t.Errorf("%+v", f)
		}
	}
	for seq := range uint64(4) {
		p.send(handFrame{kind: codec.Cancel, seq: seq})
		if f := p.next(); f.seq != seq || Code(f.code) != CodeCanceled {
			t.Errorf("cancelled %d: %+v", seq, f)
		}
	}
}

// The refused calls of a flood leave no contexts in the connection's.
func TestMaxInFlight_RefusedLeavesNothing(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	e.MaxInFlight = 1
	p := e.byHand(allKinds...)
	p.send(handBlock(1))
	const batches, batch = 50, 1000
	before := int64(0)
	for i := range batches {
		var frames []handFrame
		for range batch {
			frames = append(frames, handBlock(2))
		}
		go p.send(frames...)
		for range batch {
			if f := p.next(); f.seq != 2 || f.code == 0 {
				t.Fatalf("%+v", f)
			}
		}
		if i == 4 {
			before = heapInUse()
		}
	}
	if grown := heapInUse() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes in %d refused calls", grown, (batches-5)*batch)
	}
}

// Methods that block hold up nobody: they all run at a time, as many as may be
// in flight, and a quick call overtakes them.
func TestWorkers_BlockedHoldUpNobody(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		const blocked = 1000
		var running atomic.Int64
		RegisterFunc(e.Server, "Test.Block", func(ctx context.Context, _ Args) (Reply, error) {
			running.Add(1)
			<-ctx.Done()
			return Reply{}, ctx.Err()
		})
		client := e.dial(nil)
		done := make(chan *Call, blocked)
		for range blocked {
			client.Go("Test.Block", Args{}, nil, done)
		}
		eventually(t, "all blocked ones run", func() bool { return running.Load() == blocked })
		for i := range 100 {
			var reply Reply
			if err := client.Call(context.Background(), "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
				t.Fatalf("quick call %d: %d, %v", i, reply.C, err)
			}
		}
		client.Close()
		for range blocked {
			if call := <-done; !errors.Is(call.Error, ErrShutdown) {
				t.Fatalf("a blocked call: %v", call.Error)
			}
		}
	})
}

// Slow and quick calls mixed, one slow among many: each order of the queue.
func TestWorkers_OneSlowAmongMany(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	release := make(chan struct{})
	RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) {
		<-release
		return Reply{-1}, nil
	})
	client := e.dial(nil)
	var slow []*Call
	for range 50 {
		slow = append(slow, client.Go("Test.Wait", Args{}, new(Reply), nil))
		quick := make(chan *Call, 20)
		for range 20 {
			client.Go("Arith.Add", Args{1, 1}, new(Reply), quick)
		}
		for range 20 {
			if call := <-quick; call.Error != nil || call.Reply.(*Reply).C != 2 {
				t.Fatal(call.Error)
			}
		}
	}
	close(release)
	for _, call := range slow {
		if <-call.Done; call.Error != nil || call.Reply.(*Reply).C != -1 {
			t.Fatal(call.Error)
		}
	}
}

// Ordered: the calls of a connection run one by one, as they were sent, a slow
// one and one that ends its goroutine included.
func TestOrdered(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.Ordered = true
		var mu sync.Mutex
		var order []int // guarded by mu
		running := 0    // guarded by mu
		release := make(chan struct{})
		RegisterFunc(e.Server, "Test.Note", func(_ context.Context, args Args) (Reply, error) {
			mu.Lock()
			order = append(order, args.A)
			running++
			if running > 1 {
				t.Errorf("%d calls run at a time", running)
			}
			mu.Unlock()
			if args.A == 0 {
				<-release
			}
			mu.Lock()
			running--
			mu.Unlock()
			return Reply{args.A}, nil
		})
		client := e.dial(nil)
		const calls = 300
		done := make(chan *Call, calls)
		for i := range calls {
			if i%50 == 25 {
				client.Go("Arith.Panic", Args{A: i % 4}, nil, done) // a panic or a Goexit
				continue
			}
			client.Go("Test.Note", Args{A: i}, new(Reply), done)
		}
		close(release)
		failed := 0
		for range calls {
			if call := <-done; call.Error != nil {
				failed++
				if call.ServiceMethod != "Arith.Panic" {
					t.Errorf("%v: %v", call.Args, call.Error)
				}
			}
		}
		if failed != calls/50 {
			t.Errorf("%d calls failed, want %d", failed, calls/50)
		}
		if !slices.IsSorted(order) || len(order) != calls-failed {
			t.Errorf("order is %d of %d: %v", len(order), calls-failed, order)
		}
	})
}

// D37: the limit on connections is told to those whom it keeps out; those that
// have said nothing don't count, and go first.
func TestD37_MaxConns(t *testing.T) {
	for _, transport := range []string{"pipe", "tcp", "tls", "http"} {
		t.Run(transport, func(t *testing.T) {
			e := newEnv(t, transport, codec.GobType)
			e.MaxConns = 2
			first, second := e.dial(nil), e.dial(nil)
			_, err := e.tryDial(nil)
			wantError(t, err, CodeResourceExhausted, InServer, RanNever)
			if !strings.Contains(err.Error(), "no more are allowed by Server.MaxConns (2)") {
				t.Errorf("the reason is %q", err)
			}
			for _, c := range []*Client{first, second} {
				if err := c.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
					t.Error(err)
				}
			}
			first.Close()
			eventually(t, "room for another", func() bool {
				_, err := e.tryDial(nil)
				return err == nil
			})
		})
	}
}

// D37: many silent connections neither keep others out nor pile up.
func TestD37_SilentGoFirst(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxConns = 1
	client := e.dial(nil)
	silent := make([]net.Conn, 3*connset.MaxHandshaking)
	for i := range silent {
		silent[i] = e.bare()
	}
	eventually(t, "surplus of silent connections closed", func() bool {
		return len(e.conns.Status().Conns) <= 1+connset.MaxHandshaking
	})
	if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
		t.Errorf("the one that had come first: %v", err)
	}
	client.Close()
	eventually(t, "room for another", func() bool {
		_, err := e.tryDial(nil)
		return err == nil
	})
}

// Connections that have begun to shake hands count as little as silent ones.
func TestD37_HalfHandshakes(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	e.MaxConns = 1
	e.start()
	for range 3 * connset.MaxHandshaking {
		conn, err := e.option.Dialer(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go conn.Write([]byte("{")) // ends with the connection
	}
	eventually(t, "at most the allowed connections", func() bool {
		c := e.debugInfo().Connections
		return c.Open == 1+connset.MaxHandshaking && c.Rejected == 2*connset.MaxHandshaking-1
	})
	mustAdd(t, e.dial(nil))
}
