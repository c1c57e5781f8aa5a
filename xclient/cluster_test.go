package xclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A Ledger is a service whose method must not run twice for the same call. It
// outlives its servers.
type Ledger struct {
	mu  sync.Mutex // guards ran
	ran map[int]int
}

// Add notes a call.
func (l *Ledger) Add(id int, _ *int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ran[id]++
	return nil
}

// serve has a server of the ledger at an address, and returns it when it
// listens. The port of one that has just been closed may take a moment.
func (l *Ledger) serve(t *testing.T, addr string) (*geerpc.Server, string) {
	t.Helper()
	server := geerpc.NewServer()
	if err := server.Register(l); err != nil {
		t.Fatal(err)
	}
	var lis net.Listener
	eventually(t, "the address is free", func() (ok bool) {
		var err error
		lis, err = net.Listen("tcp", addr)
		return err == nil
	})
	served := make(chan struct{})
	go func() { // ends with the server
		server.Serve(lis)
		close(served)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return server, lis.Addr().String()
}

// A traffic is calls of a Ledger, by callers that go on until told, and how each
// ended.
type traffic struct {
	*Ledger
	ids   atomic.Int64
	ended sync.Map // id → error
	wg    sync.WaitGroup
	stop  atomic.Bool
}

// run has callers call Ledger.Add.
func (tr *traffic) run(xc *XClient, callers int) {
	for range callers {
		tr.wg.Go(func() {
			for !tr.stop.Load() {
				id := int(tr.ids.Add(1))
				tr.ended.Store(id, xc.Call(context.Background(), "Ledger.Add", id, nil))
			}
		})
	}
}

// end stops the callers and checks that each call ran as its end says. It
// returns how many ended well, and how many not.
func (tr *traffic) end(t *testing.T) (well, failed int) {
	t.Helper()
	tr.stop.Store(true)
	tr.wg.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for id := range int(tr.ids.Load()) {
		id++
		end, _ := tr.ended.Load(id)
		err, _ := end.(error)
		runs := tr.ran[id]
		switch {
		case err == nil:
			well++
		default:
			failed++
		}
		if runs > 1 || err == nil && runs != 1 || err != nil && ranOf(err) == geerpc.RanNever && runs != 0 {
			t.Errorf("a call ran %d times and ended with: %v", runs, err)
		}
	}
	return well, failed
}

// moreCalls waits until some more calls have been made.
func (tr *traffic) moreCalls(t *testing.T, n int64) {
	t.Helper()
	want := tr.ids.Load() + n
	eventually(t, "calls go on", func() bool { return tr.ids.Load() >= want })
}

// TestD38_ServerRestartsUnderLoad: one of two servers is killed and started
// again, over and over. No call runs twice, and those that fail may have run:
// one that was never sent goes to the other server.
func TestD38_ServerRestartsUnderLoad(t *testing.T) {
	tr := &traffic{Ledger: &Ledger{ran: make(map[int]int)}}
	a, addr := tr.serve(t, "127.0.0.1:0")
	_, other := tr.serve(t, "127.0.0.1:0")
	xc := New(NewMultiServerDiscovery([]string{"tcp@" + addr, "tcp@" + other}), Config{Balancer: RoundRobin()})
	defer xc.Close()
	tr.run(xc, 8)
	for range 5 {
		tr.moreCalls(t, 200)
		a.Close()
		tr.moreCalls(t, 200)
		a, _ = tr.serve(t, addr)
	}
	tr.moreCalls(t, 200)
	well, failed := tr.end(t)
	if most := 5 * 8; failed > most { // those in flight
		t.Errorf("%d calls failed, want %d at most", failed, most)
	}
	t.Logf("%d calls ended well, %d may have run", well, failed)
	tr.ended.Range(func(id, end any) bool {
		if err, _ := end.(error); err != nil && ranOf(err) != geerpc.RanMaybe {
			t.Errorf("call %v: %v", id, err)
		}
		return true
	})
}

// TestD38_CallInFlightIsNotRepeated: its server dies, and nobody knows whether
// it ran.
func TestD38_CallInFlightIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		end := make(chan error, 1)
		go func() { end <- xc.Call(context.Background(), "Work.Wait", 0, nil) }()
		synctest.Wait()
		ran, other := "a", "b"
		if w.calls("b")["b"] == 1 {
			ran, other = other, ran
		}
		w.host(ran).stop()
		wantError(t, <-end, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
		if n := w.calls(other)[other]; n != 0 {
			t.Errorf("%d calls of the other server", n)
		}
	})
}

// TestDrainUnderLoad: one of two servers shuts down and is started again, over
// and over. No call fails, and none runs twice.
func TestDrainUnderLoad(t *testing.T) {
	tr := &traffic{Ledger: &Ledger{ran: make(map[int]int)}}
	a, addr := tr.serve(t, "127.0.0.1:0")
	_, other := tr.serve(t, "127.0.0.1:0")
	xc := New(NewMultiServerDiscovery([]string{"tcp@" + addr, "tcp@" + other}), Config{Balancer: RoundRobin(), Retry: Retry{MaxAttempts: 1}})
	defer xc.Close()
	tr.run(xc, 8)
	for range 10 {
		tr.moreCalls(t, 100)
		if err := a.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		tr.moreCalls(t, 100)
		a, _ = tr.serve(t, addr)
	}
	if well, failed := tr.end(t); failed > 0 {
		t.Errorf("%d of %d calls failed", failed, well+failed)
	}
}

// TestGoawayMovesTraffic at once: calls in flight end on the old connection,
// new ones go elsewhere without waiting.
func TestGoawayMovesTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		connectAll(t, xc)
		pending := make(chan error, 20)
		for range 20 {
			go func() { pending <- xc.Call(context.Background(), "Work.Wait", 0, nil) }()
		}
		synctest.Wait()
		a, b := w.host("a"), w.host("b")
		shut := make(chan error, 1)
		go func() { shut <- a.Shutdown(context.Background()) }()
		synctest.Wait()
		for range 20 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a call took %s", took)
			}
		}
		if n, m := a.work.calls.Load(), b.work.calls.Load(); n != 10 || m != 30 {
			t.Errorf("%d and %d calls, want 10, in flight, and 30", n, m)
		}
		close(a.work.gate)
		close(b.work.gate)
		for range 20 {
			if err := <-pending; err != nil {
				t.Error("in flight: ", err)
			}
		}
		if err := <-shut; err != nil {
			t.Error(err)
		}
	})
}

// TestGoawayBeforeTheCallIsSent: a connection has been picked, and is drained
// before the call is on it. That is no reason to fail, and no attempt yet.
func TestGoawayBeforeTheCallIsSent(t *testing.T) {
	w := newWorld(t)
	shut := make(chan error, 1)
	var once sync.Once
	drains := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			once.Do(func() {
				tried := callContextOf(ctx).tried
				last := len(tried) - 1
				for tried[last].client() == nil { // too slow to connect: the call goes elsewhere
					last--
				}
				s, client := tried[last], tried[last].client()
				h := w.host(strings.TrimPrefix(s.Endpoint().Addr, "pipe@"))
				go func() { shut <- h.Shutdown(context.Background()) }() // ends below
				eventually(t, "the connection is drained", func() bool { return !client.IsAvailable() })
			})
			return next(ctx, serviceMethod, args, reply)
		}
	}
	xc := New(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}), Config{
		Option: &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{drains}},
		Retry:  Retry{MaxAttempts: 1},
	})
	defer xc.Close()
	name(t, xc)
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

// TestD39_ThousandClientsReconnect when their server dies: at first each when
// it has a call, which waits for nothing but the dial, and later at random times.
func TestD39_ThousandClientsReconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients = 1000
		w := newWorld(t)
		d := NewMultiServerDiscovery([]string{w.start("a")})
		var mu sync.Mutex
		var dials []time.Time
		dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			dials = append(dials, time.Now())
			mu.Unlock()
			return w.DialContext(ctx, network, address)
		}
		all := make([]*XClient, clients)
		for i := range all {
			all[i] = NewXClient(d, RandomSelect, &geerpc.Option{Dialer: dialer})
			defer all[i].Close()
			name(t, all[i])
		}
		w.host("a").stop()
		synctest.Wait()
		begin := time.Now()
		dials = nil
		var wg sync.WaitGroup
		for _, xc := range all {
			wg.Go(func() {
				time.Sleep(rand.N(minPause))
				xc.Call(context.Background(), "Work.Name", 0, nil)
			})
		}
		time.Sleep(5 * time.Second)
		wg.Wait()
		mu.Lock()
		defer mu.Unlock()
		perSlot := make(map[time.Duration]int) // of 10 ms
		for _, at := range dials {
			perSlot[at.Sub(begin)/(10*time.Millisecond)]++
		}
		for slot, n := range perSlot {
			if n > clients/4 { // 137 on average where the first and the second dials meet, with a standard deviation of 11
				t.Errorf("%d dials within 10 ms, %s after the server died", n, slot*10*time.Millisecond)
			}
		}
		if n := len(dials); n < 6*clients || n > 10*clients {
			t.Errorf("%d dials in 5 seconds", n)
		}
	})
}

// TestD40_XClient_DeadAndLiveAddress: of a name with two addresses one is dead.
// Its server is as good as any.
func TestD40_XClient_DeadAndLiveAddress(t *testing.T) {
	l := &Ledger{ran: make(map[int]int)}
	_, addr := l.serve(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(addr)
	dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		for _, ip := range []string{"127.0.0.2", "127.0.0.1"} { // what the name stands for
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip, port))
			if err == nil || ip == "127.0.0.1" {
				return conn, err
			}
		}
		return nil, errors.New("unreachable")
	}
	xc := New(NewMultiServerDiscovery([]string{"tcp@name:" + port}), Config{Option: &geerpc.Option{Dialer: dialer}})
	defer xc.Close()
	for i := range 10 {
		if err := xc.Call(context.Background(), "Ledger.Add", i, nil); err != nil {
			t.Error(err)
		}
	}
}

// A partition is a Dialer in a world from which servers can be cut off: nothing
// arrives any more in either direction, and nobody is told.
type partition struct {
	*world
	mu  sync.Mutex // guards cut
	cut map[string]bool
}

func (p *partition) set(name string, cut bool) {
	p.hang(name, cut)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut[name] = cut
}

func (p *partition) isCut(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut[name]
}

func (p *partition) DialContext(ctx context.Context, network, name string) (net.Conn, error) {
	conn, err := p.world.DialContext(ctx, network, name)
	if err != nil {
		return nil, err
	}
	return &cuttableConn{Conn: conn, isCut: func() bool { return p.isCut(name) }, closed: make(chan struct{})}, nil
}

// A cuttableConn is dead for good once something of it was lost.
type cuttableConn struct {
	net.Conn
	isCut  func() bool
	dead   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *cuttableConn) lost() bool {
	if c.isCut() {
		c.dead.Store(true)
	}
	return c.dead.Load()
}

func (c *cuttableConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.lost() {
		return n, err
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *cuttableConn) Write(b []byte) (int, error) {
	if c.lost() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *cuttableConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestF61_PartitionFromOneServer, which everybody else sees, and discovery goes
// on listing. Some calls run into their deadline, and none once it has been
// ejected. When the partition has healed the
// server gets its calls again.
func TestF61_PartitionFromOneServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := &partition{world: w, cut: make(map[string]bool)}
		d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
		xc := New(d, Config{
			Option:   &geerpc.Option{Dialer: p.DialContext, ConnectTimeout: time.Second},
			Balancer: RoundRobin(), Timeout: 200 * time.Millisecond})
		defer xc.Close()
		during := func(d time.Duration) (failures int) {
			for begin := time.Now(); time.Since(begin) < d; time.Sleep(50 * time.Millisecond) {
				err := xc.Call(context.Background(), "Work.Name", 0, nil)
				if err != nil {
					failures++
					wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanMaybe)
				}
			}
			return failures
		}
		if n := during(time.Second); n != 0 {
			t.Errorf("%d calls failed before", n)
		}
		p.set("a", true)
		if n := during(4 * time.Second); n != DefaultEjectFailures {
			t.Errorf("%d calls failed at first, want %d", n, DefaultEjectFailures)
		}
		if n := during(time.Minute); n != 0 { // pings find out
			t.Errorf("%d calls failed when it was ejected", n)
		}
		if n := during(time.Minute); n != 0 {
			t.Errorf("%d calls failed when the connection had been given up", n)
		}
		p.set("a", false)
		if n := during(2 * time.Minute); n != 0 {
			t.Errorf("%d calls failed as it healed", n)
		}
		before := w.calls("a")["a"]
		during(time.Second)
		if w.calls("a")["a"] == before {
			t.Error("the server gets no calls")
		}
	})
}

// TestF63_FailoverBeforeTheTimeToLive: a server dies, and the registry goes on
// listing it. No call that begins later goes there.
func TestF63_FailoverBeforeTheTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := newWireRegistry(w.start("a"), w.start("b"), w.start("c"))
		d := watching(t, r)
		xc := w.client(d)
		for range 6 {
			name(t, xc)
		}
		w.host("b").stop()
		synctest.Wait()
		for range 100 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a call took %s", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if list, _ := d.GetAll(); !slices.Contains(list, "pipe@b") {
			t.Fatalf("the list is %v", list)
		}
		r.lists("pipe@a", "pipe@c")
		synctest.Wait()
		dials := w.dialed("b")
		for range 1000 {
			name(t, xc)
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.dialed("b"); n != dials {
			t.Errorf("%d dials of a server that has left", n-dials)
		}
	})
}

// TestA31_ListAfterList: there are connections to those that are listed, and to
// nobody else, whatever was listed before.
func TestA31_ListAfterList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		names := []string{"a", "b", "c", "d"}
		var addrs []string
		for _, n := range names {
			addrs = append(addrs, w.start(n))
		}
		d := NewMultiServerDiscovery(nil)
		xc := w.client(d)
		for round := range 32 {
			var list []string
			for i := range names {
				if round%16>>i&1 == 1 {
					list = append(list, addrs[i])
				}
			}
			d.Update(list)
			for range 2 * len(list) {
				name(t, xc)
			}
			if len(list) == 0 {
				time.Sleep(2 * sweepInterval)
			}
			synctest.Wait()
			for i, n := range names {
				want := round % 16 >> i & 1
				if got := w.connections(n); got != want {
					t.Errorf("list %v: %d connections to %s", list, got, n)
				}
			}
		}
	})
}

// BenchmarkFleet_Flap is what it costs that one of the servers is no longer fit
// for calls, or again: the call that finds out makes a new view.
func BenchmarkFleet_Flap(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		for _, balancer := range balancers {
			b.Run(fmt.Sprint(balancer.name, "/", n, " servers"), func(b *testing.B) {
				var list []Endpoint
				for i := range n {
					list = append(list, Endpoint{Addr: fmt.Sprint("pipe@", i)})
				}
				d, err := NewEndpoints(list)
				if err != nil {
					b.Fatal(err)
				}
				xc := New(d, Config{Balancer: balancer.Balancer})
				defer xc.Close()
				b.ReportAllocs()
				for b.Loop() {
					xc.set.healthChanges.Add(1)
					if _, err := xc.set.view(context.Background(), "Work"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
