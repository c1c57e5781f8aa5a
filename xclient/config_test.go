package xclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// endpoints returns a Discovery of them.
func endpoints(t *testing.T, list ...Endpoint) *MultiServersDiscovery {
	t.Helper()
	d, err := NewEndpoints(list)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A helloRecorder is a Dialer in a world that notes with what each connection
// opens.
type helloRecorder struct {
	*world
	mu     sync.Mutex          // guards what follows
	hellos map[string][][]byte // by server
}

func (r *helloRecorder) DialContext(ctx context.Context, network, name string) (net.Conn, error) {
	conn, err := r.world.DialContext(ctx, network, name)
	if err != nil {
		return nil, err
	}
	return &helloConn{Conn: conn, hello: func(p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hellos[name] = append(r.hellos[name], bytes.Clone(p))
	}}, nil
}

type helloConn struct {
	net.Conn
	once  sync.Once
	hello func([]byte)
}

func (c *helloConn) Write(p []byte) (int, error) {
	c.once.Do(func() { c.hello(p) })
	return c.Conn.Write(p)
}

// legacy tells whether all connections to a server, at least one, were made in
// GeeRPC's original way: with an Option that asks for no acknowledgement.
func (r *helloRecorder) legacy(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.hellos[name]) > 0 && !slices.ContainsFunc(r.hellos[name], func(hello []byte) bool { return bytes.Contains(hello, []byte(`"Ack":true`)) })
}

// TestOldServersAmongNewOnes: each is spoken to in its own way, whatever
// kind of call comes first.
func TestOldServersAmongNewOnes(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(*XClient, context.Context, string, any, any) error
	}{{"Call", (*XClient).Call}, {"Broadcast", (*XClient).Broadcast}, {"Fork", (*XClient).Fork}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			r := &helloRecorder{world: w, hellos: make(map[string][][]byte)}
			d := endpoints(t, Endpoint{Addr: w.start("old"), Legacy: true}, Endpoint{Addr: w.start("new")})
			xc := New(d, Config{Option: &geerpc.Option{Dialer: r.DialContext}, Balancer: RoundRobin()})
			defer xc.Close()
			if test.name != "Broadcast" {
				connectAll(t, xc)
			}
			for range 2 {
				if err := test.call(xc, context.Background(), "Work.Name", 0, nil); err != nil {
					t.Error(err)
				}
			}
			old := w.host("old").work.calls.Load() + w.host("new").work.calls.Load()
			if old < 2 || !r.legacy("old") || r.legacy("new") {
				t.Errorf("%d calls, old server called the old way: %v, new one: %v", old, r.legacy("old"), r.legacy("new"))
			}
		})
	}
}

// TestBroadcast_AddressListedTwice, by a Discovery that does not mind: the
// server is called once.
func TestBroadcast_AddressListedTwice(t *testing.T) {
	w := newWorld(t)
	a := w.start("a")
	for _, d := range []Discovery{
		&fourMethods{addrs: []string{a, a}},
		&repeatingDiscovery{Discovery: NewMultiServerDiscovery(nil), list: &List{Endpoints: []Endpoint{{Addr: a}, {Addr: a}}}},
	} {
		before := w.host("a").work.calls.Load()
		xc := w.client(d)
		if err := xc.Broadcast(context.Background(), "Work.Name", 0, nil); err != nil {
			t.Error(err)
		}
		if n := w.host("a").work.calls.Load() - before; n != 1 {
			t.Errorf("%T: called %d times", d, n)
		}
		name(t, xc)
	}
}

// A repeatingDiscovery is an EndpointDiscovery of a list that is as it is.
type repeatingDiscovery struct {
	Discovery
	list *List
}

// Endpoints implements EndpointDiscovery.
func (d *repeatingDiscovery) Endpoints(context.Context) (*List, error) { return d.list, nil }

// TestDiscoveryWithoutList: neither a list nor an error is as good as no
// server.
func TestDiscoveryWithoutList(t *testing.T) {
	xc := New(&repeatingDiscovery{}, Config{})
	defer xc.Close()
	err := xc.Call(context.Background(), "Work.Name", 0, nil)
	wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
}

// fourMethods is a user's Discovery with no more than those, which goes round
// and counts how often it is asked.
type fourMethods struct {
	Discovery
	addrs []string

	mu   sync.Mutex // guards gets
	gets int
}

func (d *fourMethods) Get(SelectMode) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gets++
	return d.addrs[d.gets%len(d.addrs)], nil
}

func (d *fourMethods) GetAll() ([]string, error) { return slices.Clone(d.addrs), nil }

// TestDiscoveryOfTheUser is asked by Get for each call, also if it has one of
// ours embedded.
func TestDiscoveryOfTheUser(t *testing.T) {
	w := newWorld(t)
	d := &overridingDiscovery{NewMultiServerDiscovery([]string{w.start("b")}), fourMethods{addrs: []string{w.start("a")}}}
	xc := w.client(d)
	for range 10 {
		if got := name(t, xc); got != "a" {
			t.Errorf("%s answered, which Get did not pick", got)
		}
	}
	if d.own.gets != 10 {
		t.Errorf("asked %d times for 10 calls", d.own.gets)
	}
}

type overridingDiscovery struct {
	*MultiServersDiscovery
	own fourMethods
}

func (d *overridingDiscovery) Get(mode SelectMode) (string, error) { return d.own.Get(mode) }

func (d *overridingDiscovery) GetAll() ([]string, error) { return d.own.GetAll() }

// TestDiscoveryOfTheUser_HangingServer: it is left after a while, and then not
// waited for where Get picks others too.
func TestDiscoveryOfTheUser_HangingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		xc := w.client(&fourMethods{addrs: []string{"pipe@dead", w.start("good")}})
		for i := range 20 {
			if took := timed(t, xc); took > patience || took > 0 && i > 1 {
				t.Errorf("call %d took %s", i, took)
			}
		}
	})
}

// TestServices: calls go only to servers that offer the service, or don't say
// what they offer.
func TestServices(t *testing.T) {
	w := newWorld(t)
	work, other := Endpoint{Addr: w.start("work"), Services: []string{"Work"}}, Endpoint{Addr: w.start("other"), Services: []string{"Other", "Else"}}
	silent := Endpoint{Addr: w.start("silent")}
	for _, test := range []struct {
		name string
		list []Endpoint
		want []string // none: it fails
	}{
		{"one offers it", []Endpoint{other, work}, []string{"work"}},
		{"one offers it and one does not say", []Endpoint{other, work, silent}, []string{"work", "silent"}},
		{"one does not say", []Endpoint{other, silent}, []string{"silent"}},
		{"none offers it", []Endpoint{other}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			xc := New(endpoints(t, test.list...), Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: RoundRobin()})
			defer xc.Close()
			if test.want != nil {
				connectAll(t, xc)
			}
			before := w.calls("work", "other", "silent")
			for range 2 * len(test.want) {
				name(t, xc)
			}
			for _, host := range []string{"work", "other", "silent"} {
				want := int64(0)
				if slices.Contains(test.want, host) {
					want = 2
				}
				if n := w.calls(host)[host] - before[host]; n != want {
					t.Errorf("%s: %d calls, want %d", host, n, want)
				}
			}
			if test.want != nil {
				return
			}
			for _, call := range []func(context.Context, string, any, any) error{xc.Call, xc.Broadcast, xc.Fork} {
				err := call(context.Background(), "Work.Name", 0, nil)
				wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
				want := `no server offers the service "Work"; servers: 1, services: ["Else" "Other"]: rpc discovery: no available servers`
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want %s", err, want)
				}
				err = call(context.Background(), "Other", 0, nil)
				wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
				if want := `the method "Other": want "Service.Method"`; !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want %s", err, want)
				}
			}
		})
	}
}

// TestManyServices: an error names a few of those that there are.
func TestManyServices(t *testing.T) {
	xc := New(endpoints(t, Endpoint{Addr: "pipe@a", Services: []string{"E", "B", "C"}}, Endpoint{Addr: "pipe@b", Services: []string{"D", "A"}}), Config{})
	defer xc.Close()
	err := xc.Call(context.Background(), "Arith.Mul", 0, nil)
	if want := `"Arith"; servers: 2, services: ["A" "B" "C"] and 2 more`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// calls returns how many calls servers have had.
func (w *world) calls(names ...string) map[string]int64 {
	n := make(map[string]int64)
	for _, name := range names {
		n[name] = w.host(name).work.calls.Load()
	}
	return n
}

// TestTimeout is the deadline of calls that have none, and of no others.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
		xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Timeout: 5 * time.Second})
		defer xc.Close()
		longer, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for ctx, want := range map[context.Context]time.Duration{context.Background(): 5 * time.Second, longer: time.Minute} {
			for _, call := range []func(context.Context, string, any, any) error{xc.Call, xc.BroadcastAll} {
				begin := time.Now()
				err := call(ctx, "Work.Wait", 0, nil)
				if deadline, ok := ctx.Deadline(); ok {
					want = deadline.Sub(begin)
				}
				if took := time.Since(begin); took > want || took < want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %s, want a deadline after %s", err, took, want)
				}
				if want == time.Minute {
					break
				}
			}
		}
		begin := time.Now()
		if call := <-xc.Go("Work.Wait", 0, nil, nil).Done; !errors.Is(call.Error, context.DeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("Go: %v after %s", call.Error, time.Since(begin))
		}
	})
}

// TestOrderOfPolicies: a user's interceptors see a call once, with no deadline
// yet, those of the Option see each attempt, under one deadline.
func TestOrderOfPolicies(t *testing.T) {
	w := newWorld(t)
	var seen []string
	tells := func(what string) geerpc.Interceptor {
		return func(next geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, serviceMethod string, args, reply any) error {
				_, limited := ctx.Deadline()
				seen = append(seen, fmt.Sprint(what, " ", limited))
				return next(ctx, serviceMethod, args, reply)
			}
		}
	}
	refuses := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			if len(seen) == 3 {
				return errRefused
			}
			return next(ctx, serviceMethod, args, reply)
		}
	}
	xc := New(NewMultiServerDiscovery([]string{w.start("a")}), Config{
		Option:       &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{tells("attempt"), refuses}},
		Timeout:      time.Minute,
		Interceptors: []geerpc.Interceptor{tells("first"), tells("second")},
	})
	defer xc.Close()
	name(t, xc)
	want := []string{"first false", "second false", "attempt true", "attempt true"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen: %v, want %v", seen, want)
	}
}

// TestRetry_GoesToAnotherServer, and so does a hedge: each attempt to one that
// has not been tried.
func TestRetry_GoesToAnotherServer(t *testing.T) {
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t)
			var attempts []string
			fails := func(geerpc.CallFunc) geerpc.CallFunc {
				return func(ctx context.Context, _ string, _, _ any) error {
					peer := callContextOf(ctx).tried
					attempts = append(attempts, peer[len(peer)-1].Endpoint().Addr)
					return errRefused
				}
			}
			xc := New(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), w.start("c")}), Config{
				Option:   &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{fails}},
				Balancer: b.Balancer,
				Retry:    Retry{Backoff: -1},
				Ejection: Ejection{Failures: -1},
			})
			defer xc.Close()
			for range 10 {
				attempts = nil
				xc.Call(WithHashKey(context.Background(), "key"), "Work.Name", 0, nil)
				slices.Sort(attempts)
				if len(slices.Compact(attempts)) != 3 {
					t.Fatalf("attempts on %v", attempts)
				}
			}
		})
	}
}

// TestHedge_GoesToAnotherServer than the first attempt.
func TestHedge_GoesToAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
		xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Hedge: Hedge{Delay: time.Second},
			Ejection: Ejection{Failures: -1}}) // one of them is outrun each time
		defer xc.Close()
		for range 10 {
			done := make(chan error, 1)
			go func() { done <- xc.Call(Idempotent(context.Background()), "Work.Wait", 0, nil) }()
			time.Sleep(time.Second)
			synctest.Wait()
			if n := w.calls("a", "b"); n["a"] != n["b"] {
				t.Errorf("calls are %v", n)
			}
			w.host("a").work.gate <- struct{}{}
			if err := <-done; err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
	})
}

// TestConnections has as many as were asked for, once there are calls, and
// makes those again that break.
func TestConnections(t *testing.T) {
	w := newWorld(t)
	d := NewMultiServerDiscovery([]string{w.start("a")})
	xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Connections: 3})
	defer xc.Close()
	for range 2 {
		eventually(t, "there are three connections", func() bool {
			return xc.Call(context.Background(), "Work.Name", 0, nil) == nil && w.connections("a") == 3
		})
		if s, _ := xc.set.server("pipe@a"); !s.health.fit() {
			t.Error("the server is down")
		}
		for range 30 {
			name(t, xc)
		}
		if n := w.connections("a"); n != 3 {
			t.Errorf("%d connections", n)
		}
		w.host("a").stop()
		eventually(t, "the connections break", func() bool { return w.connections("a") == 0 })
		w.start("a")
	}
}

// TestTwoXClientsOfOneDiscovery have nothing to do with each other.
func TestTwoXClientsOfOneDiscovery(t *testing.T) {
	w := newWorld(t)
	d := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
	one, two := w.client(d), w.client(d)
	connectAll(t, one)
	connectAll(t, two)
	for range 4 {
		name(t, one)
		name(t, two)
	}
	one.Close()
	for range 4 {
		name(t, two)
	}
	for _, host := range []string{"a", "b"} {
		if n, calls := w.dialed(host), w.calls(host)[host]; n != 2 || calls != 6 {
			t.Errorf("%s: %d dials, %d calls; want 2 and 6", host, n, calls)
		}
	}
}

func TestGoAfterClose(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	xc.Close()
	if call := <-xc.Go("Work.Name", 0, nil, nil).Done; call.Error != geerpc.ErrShutdown {
		t.Error(call.Error)
	}
	if n := w.dialed("a"); n != 0 {
		t.Errorf("%d dials", n)
	}
}
