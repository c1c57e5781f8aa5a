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
	"geerpc/internal/readturn"
)

// lends reports whether callers read, on a transport with a codec.
func lends(transport string, c codec.Type) bool { return transport != "pipe" && c != wholeType }

// eachLending runs f where callers read.
func eachLending(t *testing.T, f func(t *testing.T, e *env)) {
	each(t, func(t *testing.T, e *env) {
		if !lends(e.transport, e.codec) {
			t.SkipNow()
		}
		f(t, e)
	})
}

// whileLent calls do as one call of several, until the turn was on loan and do, which
// makes a call first, has borrowed it. (Loans end by themselves where the machine is busy.)
func whileLent(t *testing.T, client *Client, do func()) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < patient; {
		before := client.readTurn.Borrows()
		for range lendAfter + loanPenalty {
			mustAdd(t, client)
			if client.readTurn.Borrows() > before {
				break
			}
		}
		before = client.readTurn.Borrows()
		do()
		if client.readTurn.Borrows() > before {
			return
		}
	}
	t.Fatal("the turn to read was not lent")
}

func TestC256_CallersRead(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		if want := lends(e.transport, e.codec); client.lends != want {
			t.Fatalf("callers may read: %v, want %v", client.lends, want)
		}
		if client.lends {
			whileLent(t, client, func() { mustAdd(t, client) })
			var reply Reply // an error is a reply, too
			whileLent(t, client, func() {
				wantError(t, client.Call(context.Background(), "Arith.Div", Args{1, 0}, &reply), CodeUnknown, InMethod, RanYes)
			})
			whileLent(t, client, func() {
				wantError(t, client.Call(context.Background(), "Arith.Missing", Args{}, &reply), CodeNotFound, InServer, RanNever)
			})
		}
		for range 3 * lendAfter {
			mustAdd(t, client)
		}
	})
}

// On the plain wire headers have no kind. A caller knows its reply all the same, and the
// next one may read.
func TestC256_PlainWire(t *testing.T) {
	client := newEnv(t, "tcp", codec.JsonType).dial(&Option{Legacy: true, CodecType: codec.JsonType})
	for begun, goesOn := time.Now(), false; !goesOn; {
		if time.Since(begun) > patient {
			t.Fatal("each loan ended with its first call")
		}
		whileLent(t, client, func() {
			mustAdd(t, client)
			before := client.readTurn.Borrows()
			mustAdd(t, client)
			goesOn = client.readTurn.Borrows() > before
		})
	}
}

// Where an interrupted read may lose something, the reader reads.
func TestC256_WhereCallersDoNotRead(t *testing.T) {
	for name, opt := range map[string]*Option{
		"compressed": {Compression: []string{"flate"}},
		"wrapped": {Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return struct{ net.Conn }{conn}, err
		}},
		"plain": {Legacy: true, CodecType: codec.GobType},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.Compression = []string{"flate"}
			client := e.dial(opt)
			if client.lends {
				t.Error("callers may read")
			}
			mustAdd(t, client)
		})
	}
}

// A caller that reads would not see the end of its context: it is relieved soon.
func TestC257_ContextEnds(t *testing.T) {
	eachLending(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		whileLent(t, client, func() {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(5*time.Millisecond, cancel)
			begun := time.Now()
			err := client.Call(ctx, "Arith.Block", Args{}, new(Reply))
			if !errors.Is(err, context.Canceled) || time.Since(begun) > patient/2 {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
		})
		whileLent(t, client, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*shortDeadline)
			defer cancel()
			if err := client.Call(ctx, "Arith.Block", Args{}, new(Reply)); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		})
		mustAdd(t, client)
	})
}

// A caller with little time does not read: it would be relieved too late.
func TestC257_ShortDeadline(t *testing.T) {
	client := newEnv(t, "tcp", codec.GobType).dial(nil)
	whileLent(t, client, func() { mustAdd(t, client) })
	before := client.readTurn.Borrows()
	for range 10 {
		ctx, cancel := context.WithTimeout(context.Background(), shortDeadline-1)
		client.Call(ctx, "Arith.Block", Args{}, new(Reply))
		cancel()
	}
	if after := client.readTurn.Borrows(); after != before {
		t.Errorf("%d callers with little time have read", after-before)
	}
	mustAdd(t, client)
}

// A reply may come before its caller borrows the turn: the reader has then delivered the
// call, and lent the turn for the next one. The caller would read in vain, until it is
// relieved.
func TestC257_ReplyBeforeBorrow(t *testing.T) {
	client := newEnv(t, "tcp", codec.GobType).dial(nil)
	shortest := time.Hour
	for range 10 {
		whileLent(t, client, func() {
			call := newClientCall().(*clientCall)
			call.done <- struct{}{}
			before, begun := client.readTurn.Borrows(), time.Now()
			client.readOwn(call, 0)
			if client.readTurn.Borrows() > before {
				shortest = min(shortest, time.Since(begun))
			}
		})
	}
	if shortest > readturn.Look/2 {
		t.Errorf("a call that was delivered has read for %v", shortest)
	}
	mustAdd(t, client)
}

// While a caller reads, others call: those that wait, and by Go, at once and many.
func TestC258_OthersCallMeanwhile(t *testing.T) {
	eachLending(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		whileLent(t, client, func() {
			ctx, cancel := context.WithCancel(context.Background())
			slow := make(chan error, 1)
			go func() { slow <- client.Call(ctx, "Arith.Block", Args{}, new(Reply)) }()
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() { mustAdd(t, client) })
			}
			wg.Wait()
			var reply Reply
			if call := <-client.Go("Arith.Add", Args{2, 3}, &reply, nil).Done; call.Error != nil || reply.C != 5 {
				t.Errorf("2 + 3 = %d, %v", reply.C, call.Error)
			}
			cancel()
			if err := <-slow; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	})
}

// Go has nobody who reads: the reader does.
func TestC258_GoWhileLent(t *testing.T) {
	eachLending(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		whileLent(t, client, func() {
			mustAdd(t, client)
			for range 5 {
				var reply Reply
				if call := <-client.Go("Arith.Add", Args{2, 3}, &reply, nil).Done; call.Error != nil || reply.C != 5 {
					t.Fatalf("2 + 3 = %d, %v", reply.C, call.Error)
				}
			}
		})
	})
}

// Nor has Ping.
func TestC258_PingWhileLent(t *testing.T) {
	client := newEnv(t, "tcp", codec.GobType).dial(nil)
	ctx, shortest := context.Background(), time.Hour
	for range 10 {
		whileLent(t, client, func() {
			mustAdd(t, client)
			begun := time.Now()
			if err := client.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			shortest = min(shortest, time.Since(begun))
		})
	}
	if shortest > readturn.Look/2 {
		t.Errorf("a ping took %v", shortest)
	}
}

// A pong that comes while a caller reads is not left lying when that gives the turn back.
func TestC258_PingMissed(t *testing.T) {
	client := newEnv(t, "tcp", codec.GobType).dial(nil)
	client.pings.await()
	before := client.readTurn.Borrows()
	for range 3 * lendAfter { // the turn is recalled as soon as it is lent, or given back
		mustAdd(t, client)
	}
	if after := client.readTurn.Borrows(); after > before+1 {
		t.Errorf("%d callers have read while a Ping waited", after-before)
	}
}

// What the server says unasked is heard although callers read: it asks for an end.
func TestC258_ServerLeaves(t *testing.T) {
	eachLending(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		whileLent(t, client, func() { mustAdd(t, client) })
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		eventually(t, "the client knows", func() bool { return !client.IsAvailable() })
	})
}

// The connection ends while a caller reads.
func TestC259_ConnectionEnds(t *testing.T) {
	for name, end := range map[string]func(e *env, client *Client){
		"closed by the client": func(_ *env, client *Client) { client.Close() },
		"closed by the server": func(e *env, _ *Client) { e.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			eachLending(t, func(t *testing.T, e *env) {
				for begun := time.Now(); !endWhileCallerReads(t, newEnv(t, e.transport, e.codec), end); {
					if time.Since(begun) > patient {
						t.Fatal("the turn to read was not lent")
					}
				}
			})
		})
	}
}

// endWhileCallerReads reports whether a caller had the turn to read.
func endWhileCallerReads(t *testing.T, e *env, end func(*env, *Client)) (borrowed bool) {
	running := make(chan struct{}, 1)
	RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
		running <- struct{}{}
		<-ctx.Done()
		return Reply{}, ctx.Err()
	})
	client := e.dial(nil)
	whileLent(t, client, func() { mustAdd(t, client) })
	before := client.readTurn.Borrows()
	ended := make(chan error, 1)
	go func() { ended <- client.Call(context.Background(), "Test.Wait", Args{}, new(Reply)) }()
	<-running
	end(e, client)
	if err := <-ended; err == nil {
		t.Error("the call succeeded")
	}
	eventually(t, "the client knows", func() bool { return !client.IsAvailable() })
	if err := client.Call(context.Background(), "Arith.Add", Args{}, new(Reply)); !errors.Is(err, ErrShutdown) {
		t.Error(err)
	}
	return client.readTurn.Borrows() > before
}

// The connection ends while the turn is on loan, and nobody has it.
func TestC259_ConnectionEndsUnread(t *testing.T) {
	eachLending(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		whileLent(t, client, func() { mustAdd(t, client) })
		e.Close()
		eventually(t, "the client knows", func() bool { return !client.IsAvailable() })
	})
}

// ends is a reply that ends the goroutine that decodes it.
type ends struct{ Reply }

func (*ends) UnmarshalJSON([]byte) error { runtime.Goexit(); return nil }

// panics is a reply whose decoding panics.
type panics struct{ Reply }

func (*panics) UnmarshalJSON([]byte) error { panic("out of tea") }

// The reply ends the goroutine of the caller that reads, or panics there.
func TestC260_ReplyEndsItsReader(t *testing.T) {
	for _, transport := range []string{"tcp", "unix", "tls", "http"} {
		t.Run(transport, func(t *testing.T) {
			client := newEnv(t, transport, codec.JsonType).dial(nil)
			whileLent(t, client, func() {
				if err := client.Call(context.Background(), "Arith.Add", Args{}, new(panics)); err == nil || !strings.Contains(err.Error(), "out of tea") {
					t.Fatal(err)
				}
			})
			whileLent(t, client, func() { mustAdd(t, client) }) // a panic costs its call alone
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				client.Call(context.Background(), "Arith.Add", Args{}, new(ends))
			}()
			<-gone
			eventually(t, "the connection ends", func() bool { return !client.IsAvailable() })
		})
	}
}

// A splitter is a listener. Once pause is set, each message of its connections comes in
// two parts, with a pause in between.
type splitter struct {
	net.Listener
	pause atomic.Bool
}

func (s *splitter) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return splitConn{conn, s}, nil
}

type splitConn struct {
	net.Conn
	from *splitter
}

func (c splitConn) Write(p []byte) (int, error) {
	if !c.from.pause.Load() {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	time.Sleep(5 * readturn.Look) // meanwhile the caller is relieved
	rest, err := c.Conn.Write(p[n:])
	return n + rest, err
}

// A caller is interrupted in the middle of a message, and the reader reads the rest.
func TestC261_InterruptedInTheMiddle(t *testing.T) {
	for _, c := range []codec.Type{codec.GobType, codec.JsonType, framedJSON} {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			RegisterFunc(e.Server, "Test.Echo", func(_ context.Context, text string) (string, error) { return text, nil })
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			split := &splitter{Listener: lis}
			served := make(chan error, 1)
			go func() { served <- e.Serve(split) }()
			defer func() { e.Close(); <-served }()
			client, err := Dial("tcp", lis.Addr().String(), &Option{CodecType: c})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for _, size := range []int{1, 1000, 100_000} {
				text := strings.Repeat("a", size)
				whileLent(t, client, func() {
					split.pause.Store(true)
					defer split.pause.Store(false)
					var reply string
					if err := client.Call(context.Background(), "Test.Echo", text, &reply); err != nil || reply != text {
						t.Fatalf("%d bytes came back as %d, %v", size, len(reply), err)
					}
				})
			}
		})
	}
}
