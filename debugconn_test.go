package geerpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/debugpage"
)

func TestDebug_CountsCalls(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		call := func(ctx context.Context, method string, args Args) error {
			return client.Call(ctx, "Arith."+method, args, new(Reply))
		}
		for range 3 {
			if err := call(context.Background(), "Add", Args{1, 2}); err != nil {
				t.Fatal(err)
			}
		}
		call(context.Background(), "Div", Args{1, 1})
		call(context.Background(), "Div", Args{1, 0})
		for how := range 4 { // a string, an error, a nil map, Goexit
			call(context.Background(), "Panic", Args{A: how})
		}
		// Arguments of the wrong type are an error of the method's.
		client.Call(context.Background(), "Arith.Add", []string{"no"}, new(Reply))

		ctx, cancel := context.WithCancel(context.Background())
		blocked := make(chan error, 1)
		go func() { blocked <- call(ctx, "Block", Args{}) }()
		eventually(t, "a call in flight", func() bool { info := debugOf(t, e.Server); return info.InFlight == 1 })

		info := debugOf(t, e.Server)
		for method, want := range map[string]debugpage.Counts{
			"Add": debugCounts(4, 1, 0), "Div": debugCounts(2, 1, 0), "Panic": debugCounts(4, 4, 0), "Block": debugCounts(1, 0, 1),
		} {
			if got := info.method(t, "Arith", method).Counts; got != want {
				t.Errorf("%s: %+v, want %+v", method, got, want)
			}
		}
		if want := debugCounts(11, 6, 1); info.Counts != want {
			t.Errorf("totals are %+v, want %+v", info.Counts, want)
		}
		if n := info.Connections.List[0].InFlight; n != 1 {
			t.Errorf("connection has %d in flight, want 1", n)
		}
		text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String())
		if !strings.Contains(text, "6 60.0 %") {
			t.Error("page does not show six errors of the ten calls that have ended")
		}

		cancel()
		<-blocked
		eventually(t, "the cancelled call's end", func() bool {
			info := debugOf(t, e.Server)
			return info.method(t, "Arith", "Block").Counts == debugCounts(1, 1, 0)
		})
	})
}

// Stubborn is a service whose method ends when it is let go and at no other
// time.
type Stubborn struct{ begun, letGo chan struct{} }

func newStubborn() *Stubborn { return &Stubborn{make(chan struct{}, 1), make(chan struct{})} }

// Wait does not listen.
func (s *Stubborn) Wait(_ Args, _ *Reply) error {
	s.begun <- struct{}{}
	<-s.letGo
	return nil
}

// A handle timeout answers in the method's place. The caller got an error, so
// it is one, whatever the method returns to nobody later.
func TestA3_DebugCountsHandleTimeouts(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	e.HandleTimeout = 200 * time.Millisecond
	stubborn := newStubborn()
	if err := e.Register(stubborn); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	err := client.Call(context.Background(), "Stubborn.Wait", Args{}, new(Reply))
	wantError(t, err, CodeDeadlineExceeded, InMethod, RanMaybe)
	<-stubborn.begun
	info := debugOf(t, e.Server)
	if got := info.method(t, "Stubborn", "Wait").Counts; got != debugCounts(1, 1, 1) {
		t.Errorf("answered, not returned: %+v", got)
	}
	close(stubborn.letGo)
	eventually(t, "the timeout being an error", func() bool {
		info := debugOf(t, e.Server)
		return info.method(t, "Stubborn", "Wait").Counts == debugCounts(1, 1, 0)
	})
}

// Opaque is a service with a reply that no codec can encode.
type Opaque struct{}

// Make makes it.
func (Opaque) Make(_ Args, reply *chan int) error {
	*reply = make(chan int)
	return nil
}

// The method succeeded, its caller got an error: it is one, counted once.
func TestA9_DebugCountsRepliesNotEncoded(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		if err := e.Register(Opaque{}); err != nil {
			t.Fatal(err)
		}
		err := e.dial(nil).Call(context.Background(), "Opaque.Make", Args{}, new(int))
		wantError(t, err, CodeInternal, InMethod, RanYes)
		info := debugOf(t, e.Server)
		if got := info.method(t, "Opaque", "Make").Counts; got != debugCounts(1, 1, 0) {
			t.Errorf("%+v", got)
		}
	})
}

func TestDebug_Connections(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.MaxConns = 7
		e.dial(nil)
		client := e.dial(&Option{Legacy: true})
		// Once a legacy client has been answered, its handshake is done.
		if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both connections being ready", func() bool { return debugOf(t, e.Server).Connections.Handshaking == 0 })
		info := debugOf(t, e.Server)
		if c := info.Connections; c.Open != 2 || c.Limit != 7 || c.Rejected != 0 || len(c.List) != 2 {
			t.Fatalf("connections are %+v", c)
		}
		for i, layout := range []string{"framed", "plain"} { // the older one first
			c := info.Connections.List[i]
			if c.Codec != string(e.codec) || c.Layout != layout || c.TLS != (e.transport == "tls") || c.Gone {
				t.Errorf("connection %d is %+v, want %s", i, c, layout)
			}
			if host, _, _ := net.SplitHostPort(c.Peer); host != "127.0.0.1" && c.Peer != "pipe" && c.Peer != "unix" {
				t.Errorf("connection %d has peer %q", i, c.Peer)
			}
			if c.AgeSeconds <= 0 || c.AgeSeconds > info.UptimeSeconds+1 {
				t.Errorf("connection %d is %v s old, its server %v s", i, c.AgeSeconds, info.UptimeSeconds)
			}
			if text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String()); !strings.Contains(text, c.Peer) || !strings.Contains(text, "of 7") {
				t.Errorf("page lacks %s or the limit", c.Peer)
			}
		}
		client.Close()
		eventually(t, "one connection fewer", func() bool { return debugOf(t, e.Server).Connections.Open == 1 })
	})
}

func TestDebug_HandshakesAndRejections(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.start()
	raw := func() net.Conn {
		conn, err := net.Dial("tcp", e.lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	silent := raw()
	eventually(t, "a silent connection", func() bool { return debugOf(t, e.Server).Connections.Handshaking == 1 })
	if text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String()); !strings.Contains(text, "1 in handshake") {
		t.Error("page does not tell of the handshake")
	}
	c := debugOf(t, e.Server).Connections.List[0]
	if c.Peer != silent.LocalAddr().String() || c.Codec != "" || c.Layout != "" {
		t.Errorf("silent connection is %+v", c)
	}
	e.dial(nil)
	eventually(t, "the client standing before the stranger", func() bool {
		list := debugOf(t, e.Server).Connections.List
		return len(list) == 2 && list[0].Layout == "framed" && list[1].Layout == ""
	})
	stranger := raw()
	io.WriteString(stranger, "\x00GET / HTTP/1.0\r\n\r\n")
	io.Copy(io.Discard, stranger)
	eventually(t, "a rejection", func() bool {
		c := debugOf(t, e.Server).Connections
		return c.Rejected == 1 && c.Open == 2
	})
}

// A client that has left while its methods go on: what one looks for when the
// goroutines don't go down.
func TestDebug_ConnectionGoneMethodsNot(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	stubborn := newStubborn()
	if err := e.Register(stubborn); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	client.Go("Stubborn.Wait", Args{}, new(Reply), nil)
	<-stubborn.begun
	client.Close()
	eventually(t, "the connection being gone", func() bool {
		list := debugOf(t, e.Server).Connections.List
		return len(list) == 1 && list[0].Gone && list[0].InFlight == 1
	})
	if text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String()); !strings.Contains(text, "gone") {
		t.Error("page does not say so")
	}
	close(stubborn.letGo)
	eventually(t, "the end", func() bool { return debugOf(t, e.Server).Connections.Open == 0 })
}

func TestDebug_ListIsBounded(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	e.start()
	const many = debugpage.MaxConns + 30
	for range many {
		conn, err := e.option.Dialer(context.Background(), "pipe", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	client := e.dial(nil)
	blocked := client.Go("Arith.Block", Args{}, new(Reply), nil)
	eventually(t, "all connections, one of them busy", func() bool {
		c := debugOf(t, e.Server).Connections
		return c.Open == many+1 && c.List[0].InFlight == 1 // the youngest comes first
	})
	c := debugOf(t, e.Server).Connections
	if len(c.List) != debugpage.MaxConns || c.Handshaking != many {
		t.Errorf("%d listed, %d in their handshake", len(c.List), c.Handshaking)
	}
	if text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String()); !strings.Contains(text, "31 more are not listed") {
		t.Error("page does not say how many are left out")
	}
	client.Close()
	<-blocked.Done
}

func TestDebug_State(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	if info := debugOf(t, e.Server); info.State != "idle" || info.UptimeSeconds != 0 {
		t.Errorf("before: %q, %v s", info.State, info.UptimeSeconds)
	}
	stubborn := newStubborn()
	if err := e.Register(stubborn); err != nil {
		t.Fatal(err)
	}
	call := e.dial(nil).Go("Stubborn.Wait", Args{}, new(Reply), nil)
	<-stubborn.begun
	if info := debugOf(t, e.Server); info.State != "open" || info.UptimeSeconds <= 0 || info.Goroutines < 2 {
		t.Errorf("serving: %q, %v s, %d goroutines", info.State, info.UptimeSeconds, info.Goroutines)
	}
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(context.Background()) }()
	eventually(t, "draining", func() bool { return debugOf(t, e.Server).State == "draining" })
	close(stubborn.letGo)
	if err := (<-call.Done).Error; err != nil {
		t.Error(err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if info := debugOf(t, e.Server); info.State != "closed" || info.Connections.Open != 0 {
		t.Errorf("after: %q, %d connections", info.State, info.Connections.Open)
	}
}

// The page is loaded while calls, registrations and handshakes are at it. Run
// with -race: a connection's row reads what the handshake writes. Without it,
// the numbers must go together all the same.
func TestDebug_RaceWithEverything(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.start()
		steps := make(chan struct{}, 1) // something is about to happen, look
		var busy sync.WaitGroup
		for i := range 4 {
			busy.Go(func() { hammer(t, e, i, steps) })
		}
		go func() { busy.Wait(); close(steps) }()
		for range steps {
			info := debugOf(t, e.Server)
			for _, s := range info.Services {
				for _, m := range s.Methods {
					if m.Errors+m.InFlight > m.Calls || m.InFlight < 0 {
						t.Errorf("%s.%s: %+v", s.Name, m.Name, m.Counts)
					}
				}
			}
		}
		if info := debugOf(t, e.Server); info.Counts != (debugCounts(4*3*6, 4*3*3, 0)) || len(info.Services) != 1+4*3 {
			t.Errorf("in the end: %+v, %d services", info.Counts, len(info.Services))
		}
	})
}

// hammer connects, registers and calls, three times over.
func hammer(t *testing.T, e *env, i int, steps chan<- struct{}) {
	step := func() {
		select {
		case steps <- struct{}{}:
		default:
		}
	}
	for j := range 3 {
		step()
		if err := e.RegisterName(fmt.Sprintf("S%d_%d", i, j), new(Arith)); err != nil {
			t.Error(err)
		}
		client, err := e.tryDial(&Option{Legacy: j%2 == 0})
		if err != nil {
			t.Error(err)
			return
		}
		for k := range 6 {
			step()
			client.Call(context.Background(), "Arith.Div", Args{1, k % 2}, new(Reply))
		}
		client.Close()
	}
}

// A method's three numbers are read one after the other while calls come and
// go. Read in the order in which a call makes them, an ended call could be
// found among the failed and not among the calls.
func TestDebug_CountsGoTogether(t *testing.T) {
	var m method
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					m.begun.Add(1)
					m.stats.RecordRefused(0, 1)
				}
			}
		})
	}
	for range 100_000 {
		if c := m.counts(); c.Errors+c.InFlight > c.Calls {
			t.Errorf("%d failed and %d running of %d calls", c.Errors, c.InFlight, c.Calls)
			break
		}
	}
	close(done)
	wg.Wait()
}
