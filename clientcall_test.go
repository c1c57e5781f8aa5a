package geerpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"geerpc/internal/inflight"
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
	answer  func()     // lets the server answer calls with such arguments
}

func newBusyClient(t *testing.T, e *env) *busyClient {
	t.Helper()
	c := newUnansweredClient(t, e)
	c.answer()
	return c
}

// newUnansweredClient returns a busyClient whose server does not answer yet.
func newUnansweredClient(t *testing.T, e *env) *busyClient {
	t.Helper()
	answered := make(chan struct{})
	RegisterFunc(e.Server, "Test.Slow", func(context.Context, Slow) (Reply, error) { <-answered; return Reply{1}, nil })
	c := &busyClient{Client: e.dial(nil), slow: make(chan error, 1), answer: sync.OnceFunc(func() { close(answered) })}
	t.Cleanup(c.answer)
	go c.Call(t.Context(), "Arith.Block", Args{}, nil) // ends with the test
	eventually(t, "a call in flight", func() bool { return c.inFlight.Len() == 1 })

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
	return c.queueCall(t, func() error { return c.Call(ctx, "Arith.Add", Args{1, 2}, reply) })
}

// queueBad makes one that waits too, and whose argument ends the goroutine in
// which it is encoded.
func (c *busyClient) queueBad(t *testing.T) <-chan error {
	t.Helper()
	return c.queueCall(t, func() error { return c.Call(t.Context(), "Test.Slow", Slow{runtime.Goexit}, nil) })
}

func (c *busyClient) queueCall(t *testing.T, call func() error) <-chan error {
	t.Helper()
	failed := make(chan error, 1)
	before := c.queued()
	go func() { failed <- call() }()
	eventually(t, "a call queued", func() bool { return c.queued() == before+1 })
	return failed
}

// queued returns how many calls wait for the sender.
func (c *busyClient) queued() (n int) { return len(c.outbox.waiting()) }

// waiting returns the calls that wait for the sender.
func (o *outbox) waiting() []*clientCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls[o.next:])
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
		if n := c.inFlight.Len(); n != 2 {
			t.Errorf("%d slots are taken, by a blocked call and a slow one", n)
		}
		for _, w := range c.outbox.waiting() {
			if w.state.Load() == abandoned && w.args != nil {
				t.Error("the queue holds on to the arguments of a call that has left")
			}
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

// clientCallOf returns the call that is in flight with a seq.
func (c *Client) clientCallOf(seq uint64) (found *clientCall) {
	c.inFlight.Visit(seq, func(call *clientCall) { found = call })
	return found
}

// A caller does not leave while its arguments are being read.
func TestSlowArgument_ItsCallerWaits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newUnansweredClient(t, e) // or the reply may be faster than the caller
		w := c.clientCallOf(2)
		c.cancel()
		eventually(t, "the caller wants to leave", func() bool { return w.state.Load() == callerWaits })
		var released atomic.Bool
		go func() { released.Store(true); c.release() }()
		wantError(t, <-c.slow, CodeCanceled, OnLink, RanMaybe)
		if !released.Load() {
			t.Error("Call returned while its arguments were being encoded")
		}
		mustAdd(t, c.Client)
	})
}

// A server that answers a call which is still being encoded, by a guess at its
// seq, does not get its caller to leave, or two calls mixed up.
func TestSlowArgument_AnsweredMeanwhile(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		c, p := handServer(t, nil)
		first := make(chan error, 1)
		go func() { first <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
		p.next()
		encoding, release := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		slow := make(chan error, 1)
		go func() {
			slow <- c.Call(ctx, "Arith.Add", Slow{sync.OnceFunc(func() { close(encoding); <-release })}, nil)
		}()
		<-encoding
		w := c.clientCallOf(2)
		if leaves {
			cancel()
			eventually(t, "the caller wants to leave", func() bool { return w.state.Load() == callerWaits })
		}
		p.send(handFrame{kind: 1, seq: 2, body: "{}"})
		eventually(t, "the reply claimed", func() bool { return c.inFlight.Len() == 1 })
		if !leaves {
			eventually(t, "the caller waits", func() bool { return w.state.Load() == callerWaits })
		}
		select {
		case <-slow:
			t.Error("Call returned while its arguments were being encoded")
		default:
		}
		close(release)
		if err := <-slow; err != nil {
			t.Error(err)
		}
		p.next()
		p.send(handFrame{kind: 1, seq: 1, body: "{}"})
		if err := <-first; err != nil {
			t.Error(err)
		}
		for range 3 { // whoever uses the same waiter again
			again := make(chan error, 1)
			go func() { again <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
			f := p.next()
			select {
			case err := <-again:
				t.Errorf("call %d returned without a reply: %v", f.seq, err)
			default:
			}
			p.send(handFrame{kind: 1, seq: f.seq, body: "{}"})
			if err := <-again; err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
}

// A call that has been admitted, and comes to the queue when the connection has
// ended and nobody looks into it any more, is told so.
func TestQueuedBehindTheEnd(t *testing.T) {
	client := newEnv(t, "tcp", "").dial(nil)
	client.link.Fail(io.ErrClosedPipe)
	<-client.readerStopped
	for range 2 { // the first finds nobody at work, and the second not even that
		w := newClientCall().(*clientCall)
		client.enqueue(w)
		_, err := client.await(t.Context(), w)
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
	}
}

// oneSlot returns a client with one call in flight at most, all of which it
// queues, and the server that it calls.
func oneSlot(t *testing.T) (*Client, *handPeer) {
	c, p := handServer(t, nil)
	c.inFlight.SetLimit(1)
	c.repliesBatched.Store(true)
	return c, p
}

// The sender neither sends nor turns in circles while all slots are taken.
func TestQueuedWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := oneSlot(t)
		errs := make(chan error, 3)
		c.link.Out.Begin(t.Context())
		for range cap(errs) {
			go func() { errs <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
		}
		synctest.Wait()
		c.link.Out.End()
		for range cap(errs) {
			f := p.next()
			synctest.Wait()
			if n := c.inFlight.Len(); n != 1 {
				t.Errorf("%d calls in flight", n)
			}
			p.send(handFrame{kind: 1, seq: f.seq, body: "{}"})
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// An argument that ends the sender, which had waited for a slot, leaves the
// slots to others.
func TestQueuedWhileFull_Exits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := oneSlot(t)
		errs := make(chan error, 1)
		call := func(args any) { errs <- c.Call(t.Context(), "Arith.Add", args, nil) }
		c.link.Out.Begin(t.Context())
		go call(Args{})
		synctest.Wait()
		bad := make(chan error, 1)
		go func() { bad <- c.Call(t.Context(), "Arith.Add", Slow{runtime.Goexit}, nil) }()
		synctest.Wait()
		c.link.Out.End()
		for range 2 {
			p.send(handFrame{kind: 1, seq: p.next().seq, body: "{}"})
			if err := <-errs; err != nil {
				t.Error(err)
			}
			if bad != nil {
				wantError(t, <-bad, CodeInvalidArgument, InClient, RanNever)
				bad = nil
				go call(Args{})
			}
		}
	})
}

// When replies come together, so will calls: they are sent together from the
// first on, until replies come one by one.
func TestBunched(t *testing.T) {
	c, p := handServer(t, nil)
	errs := make(chan error, 3)
	var seqs []uint64
	for range 3 {
		go func() { errs <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
		seqs = append(seqs, p.next().seq)
	}
	p.send(handFrame{kind: 1, seq: seqs[0], body: "{}"}, handFrame{kind: 1, seq: seqs[1], body: "{}"})
	eventually(t, "two replies together", c.repliesBatched.Load)
	p.send(handFrame{kind: 1, seq: seqs[2], body: "{}"})
	eventually(t, "one alone", func() bool { return !c.repliesBatched.Load() })
	for range seqs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for _, bunched := range []bool{true, false} {
		c.repliesBatched.Store(bunched)
		c.link.Out.Begin(t.Context())
		go func() { errs <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
		eventually(t, "the call waits for its turn", c.link.Out.Wanted)
		if c.outbox.isBusy() != bunched {
			t.Errorf("bunched %v: the call is in the queue: %v", bunched, c.outbox.isBusy())
		}
		c.link.Out.End()
		p.send(handFrame{kind: 1, seq: p.next().seq, body: "{}"})
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A call that was in the queue when the connection was lost can't have run.
func TestSlowArgument_ConnectionLost(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		queued := c.queue(t, t.Context(), new(Reply))
		c.link.Fail(io.ErrClosedPipe)
		err := <-queued
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
		if !errors.Is(err, ErrShutdown) {
			t.Errorf("%v does not wrap ErrShutdown", err)
		}
		c.release()
		wantError(t, <-c.slow, CodeUnavailable, OnLink, RanNever)
	})
}

// A call whose arguments can't be encoded was not sent, and its error says so,
// whoever else has ended it meanwhile.
func TestBadArgument_EndedMeanwhile(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(c *Client, p *handPeer)
		code Code
		at   Where
	}{
		{"connection lost", func(_ *Client, p *handPeer) { p.conn.Close() }, CodeUnavailable, OnLink},
		{"answered by a guess", func(_ *Client, p *handPeer) { p.send(handFrame{kind: 1, seq: 1, body: "{}"}) }, CodeInternal, OnLink},
		{"being shut down", func(c *Client, _ *handPeer) { go c.Shutdown(t.Context()) }, CodeInvalidArgument, InClient},
	} {
		t.Run(how.name, func(t *testing.T) {
			c, p := handServer(t, nil)
			c.repliesBatched.Store(true)
			encoding, release := make(chan struct{}), make(chan struct{})
			slow := make(chan error, 1)
			go func() {
				bad := func() { close(encoding); <-release; panic("no") }
				slow <- c.Call(t.Context(), "Arith.Add", Slow{sync.OnceFunc(bad)}, nil)
			}()
			<-encoding
			w := c.clientCallOf(1)
			how.end(c, p)
			eventually(t, "the call ended or the client draining", func() bool {
				return w.state.Load() == callerWaits || c.inFlight.Err() == inflight.ErrDraining
			})
			go func() { // a goaway perhaps; ends with the connection
				for {
					if _, err := p.read(); err != nil {
						return
					}
				}
			}()
			close(release)
			wantError(t, <-slow, how.code, how.at, RanNever)
		})
	}
}

// An argument that ends the goroutine in which it is encoded is one bad call.
func TestArgumentThatExits(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		failed := c.queueBad(t)
		var reply Reply
		behind := c.queue(t, t.Context(), &reply)
		c.oneIsBad(t, failed, behind, &reply)
	})
}

// What was encoded before an argument that ends the goroutine leaves, also if
// nothing comes behind.
func TestArgumentThatExits_Last(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := newBusyClient(t, e)
		var reply Reply
		before := c.queue(t, t.Context(), &reply)
		c.oneIsBad(t, c.queueBad(t), before, &reply)
	})
}

// oneIsBad has the slow argument encoded, and those behind it: the bad call
// fails, the other, whose reply is given, and the slow one do not.
func (c *busyClient) oneIsBad(t *testing.T, bad, other <-chan error, reply *Reply) {
	t.Helper()
	c.release()
	wantError(t, <-bad, CodeInvalidArgument, InClient, RanNever)
	if err := <-other; err != nil || reply.C != 3 {
		t.Errorf("the other call: %d, %v", reply.C, err)
	}
	if err := <-c.slow; err != nil {
		t.Errorf("the slow call: %v", err)
	}
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
			if n := client.inFlight.Len(); n != 0 {
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
