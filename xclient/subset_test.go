package xclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A farm is a world in which one server stands for any number.
type farm struct {
	*world
	mu    sync.Mutex // guards what follows
	dials map[string]int
	fails map[string]bool // "": all
}

func newFarm(t *testing.T) *farm {
	f := &farm{world: newWorld(t), dials: make(map[string]int), fails: make(map[string]bool)}
	f.start("one")
	return f
}

func (f *farm) DialContext(ctx context.Context, network, name string) (net.Conn, error) {
	f.mu.Lock()
	f.dials[name]++
	fails := f.fails[name] || f.fails[""]
	f.mu.Unlock()
	if fails {
		return nil, errors.New("nobody there")
	}
	return f.world.DialContext(ctx, network, "one")
}

func (f *farm) fail(fails bool, names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		f.fails[name] = fails
	}
}

// dialedNames returns how many servers have been dialled.
func (f *farm) dialedNames() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.dials)
}

func farmList(n int) (addrs []string) {
	for i := range n {
		addrs = append(addrs, fmt.Sprintf("pipe@10.0.%d.%d:9999", i/256, i%256))
	}
	return addrs
}

// members returns the names of the servers that calls are spread over.
func members(t *testing.T, xc *XClient) (names []string) {
	t.Helper()
	v, err := xc.set.view(t.Context(), "Work")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range v.servers {
		names = append(names, s.Endpoint().Addr[len("pipe@"):])
	}
	slices.Sort(names)
	return names
}

// TestD212_ThousandsOfServers: a client with a Subset has as many connections as
// that says, and not one for each of 8,000 servers.
func TestD212_ThousandsOfServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t)
		before := runtime.NumGoroutine()
		xc := New(NewMultiServerDiscovery(farmList(8000)), Config{Option: &geerpc.Option{Dialer: f.DialContext}, Subset: 20, Balancer: RoundRobin()})
		defer xc.Close()
		for range 500 {
			name(t, xc)
			time.Sleep(time.Millisecond)
		}
		if n := f.connections("one"); n != 20 || f.dialedNames() != 20 {
			t.Errorf("%d connections, %d servers dialled, want 20", n, f.dialedNames())
		}
		if n := runtime.NumGoroutine() - before; n > 200 {
			t.Errorf("%d goroutines", n)
		}
	})
}

// TestD212_CutOffFromThousands: a client that reaches nobody does not dial
// everybody.
func TestD212_CutOffFromThousands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t)
		f.fail(true, "")
		xc := New(NewMultiServerDiscovery(farmList(8000)), Config{Option: &geerpc.Option{Dialer: f.DialContext}, Subset: 20})
		defer xc.Close()
		for range 400 {
			xc.Call(t.Context(), "Work.Name", 0, nil)
			time.Sleep(250 * time.Millisecond)
		}
		if n := f.dialedNames(); n > 4*20+16 {
			t.Errorf("%d servers were dialled", n)
		}
		f.fail(false, "")
		time.Sleep(redialInterval)
		xc.Call(t.Context(), "Work.Name", 0, nil)
		time.Sleep(time.Second)
		name(t, xc)
	})
}

// TestD212_WhoIsInTheSubset: it is the same for the same ClientID, changes with
// the list by no more than it must, and those of many clients cover the list.
func TestD212_WhoIsInTheSubset(t *testing.T) {
	t.Parallel()
	const size = 20
	of := func(d Discovery, id string) *XClient {
		xc := New(d, Config{Subset: size, ClientID: id})
		t.Cleanup(func() { xc.Close() })
		return xc
	}
	list := farmList(1000)
	d := NewMultiServerDiscovery(list)
	xc := of(d, "host-1")
	first := members(t, xc)
	if again := members(t, of(d, "host-1")); len(first) != size || !slices.Equal(first, again) {
		t.Errorf("%v, and then %v", first, again)
	}
	added := func(before []string) (n int) {
		for _, name := range members(t, xc) {
			if !slices.Contains(before, name) {
				n++
			}
		}
		return n
	}
	d.Update(slices.DeleteFunc(slices.Clone(list), func(addr string) bool { return addr == "pipe@"+first[7] }))
	if n := added(first); n != 1 {
		t.Errorf("one has left, and %d others have come", n)
	}
	d.Update(append(slices.Clone(list), "pipe@10.1.0.1:9999"))
	if n := added(first); n > 1 {
		t.Errorf("one is new on the list, and %d are in the subset", n)
	}
	if one, other := members(t, of(d, "")), members(t, of(d, "")); slices.Equal(one, other) {
		t.Errorf("two clients without a ClientID have the same subset: %v", one)
	}
	load := make(map[string]int)
	for i := range 1000 { // clients with given IDs: the same servers in each run
		for _, name := range members(t, of(NewMultiServerDiscovery(list[:200]), fmt.Sprint("host-", i))) {
			load[name]++
		}
	}
	for name, n := range load { // 100 on average, with a standard deviation of 10
		if n < 60 || n > 140 || len(load) != 200 {
			t.Errorf("%s is in the subsets of %d of 1000 clients; %d servers are in any", name, n, len(load))
		}
	}
}

// TestD212_SubsetWidens when members can't be reached, and is what it was when
// they are back. No call fails.
func TestD212_SubsetWidens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t)
		xc := New(NewMultiServerDiscovery(farmList(100)), Config{Option: &geerpc.Option{Dialer: f.DialContext}, Subset: 4, Balancer: RoundRobin()})
		defer xc.Close()
		first := members(t, xc)
		f.fail(true, first[1:]...)
		calls := func() {
			for range 100 {
				name(t, xc)
				time.Sleep(10 * time.Millisecond)
			}
		}
		calls()
		now := members(t, xc)
		if len(now) != 4 || !slices.Contains(now, first[0]) || slices.Contains(now, first[1]) {
			t.Errorf("the subset was %v, three are down, and it is %v", first, now)
		}
		f.fail(false, first[1:]...)
		for range 40 {
			calls()
		}
		if now := members(t, xc); !slices.Equal(now, first) {
			t.Errorf("the subset was %v, and in the end is %v", first, now)
		}
		time.Sleep(DefaultIdleTimeout + 2*sweepInterval)
		synctest.Wait()
		if n := f.connections("one"); n != 0 {
			t.Errorf("%d connections without calls", n)
		}
	})
}

// TestD212_SubsetOfAService: of the servers that offer it.
func TestD212_SubsetOfAService(t *testing.T) {
	var list []Endpoint
	for i, addr := range farmList(1000) {
		e := Endpoint{Addr: addr, Services: []string{"Other"}}
		if i%100 == 0 {
			e.Services = []string{"Work"}
		}
		list = append(list, e)
	}
	xc := New(endpoints(t, list...), Config{Subset: 8})
	defer xc.Close()
	if n := len(members(t, xc)); n != 8 {
		t.Errorf("%d servers, want 8 of the 10 that offer the service", n)
	}
}

// TestD212_IdleTimeout: a connection without calls is closed in good order, and
// made again by the next call. A server that nobody calls is not dialled either.
func TestD212_IdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := New(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), "pipe@nobody"}), Config{
			Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: RoundRobin(), IdleTimeout: time.Minute})
		defer xc.Close()
		for range 60 {
			name(t, xc)
			time.Sleep(5 * time.Second) // each server's turn comes within the minute
		}
		if w.dialed("a") != 1 || w.dialed("b") != 1 {
			t.Errorf("%d and %d dials while there are calls", w.dialed("a"), w.dialed("b"))
		}
		pending := make(chan error, 1)
		go func() { pending <- callAt(xc, "pipe@a", "Work.Wait") }()
		time.Sleep(time.Minute + 2*sweepInterval)
		synctest.Wait()
		dials := w.dialed("nobody")
		if a, b := w.connections("a"), w.connections("b"); a != 1 || b != 0 {
			t.Errorf("%d connections with a call in flight and %d without, want 1 and 0", a, b)
		}
		close(w.host("a").work.gate)
		if err := <-pending; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if n := w.dialed("nobody") - dials; n > 0 || w.connections("a") != 0 {
			t.Errorf("%d dials in an hour without calls, %d connections", n, w.connections("a"))
		}
		for range 10 {
			if took := timed(t, xc); took > 0 {
				t.Errorf("a call took %s", took)
			}
		}
	})
}

// TestD212_AttemptTimeout: one of two servers has stopped. Idempotent calls find
// the other one within their time; others don't take all of theirs.
func TestD212_AttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := New(NewMultiServerDiscovery([]string{w.start("stopped"), w.start("good")}), Config{
			Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: RoundRobin(), Timeout: 2 * time.Second,
			AttemptTimeout: 200 * time.Millisecond, Ejection: Ejection{Failures: -1}})
		defer xc.Close()
		connectAll(t, xc)
		close(w.host("good").work.gate)
		failed := 0
		for i := range 40 {
			ctx, again := t.Context(), i >= 20
			if again {
				ctx = Idempotent(ctx)
			}
			begin := time.Now()
			err := xc.Call(ctx, "Work.Wait", 0, nil)
			if took := time.Since(begin); took > 400*time.Millisecond || again && err != nil {
				t.Errorf("%v after %s", err, took)
			}
			if err != nil {
				failed++
				if geerpc.CodeOf(err) != geerpc.CodeDeadlineExceeded { // says the server, or this side, at the same moment
					t.Error(err)
				}
			}
		}
		if failed != 10 {
			t.Errorf("%d of 20 calls failed that are not idempotent, want 10", failed)
		}
	})
}
