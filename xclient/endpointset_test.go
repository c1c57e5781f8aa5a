package xclient

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A gatedDiscovery is an EndpointDiscovery whose answers may be held back.
type gatedDiscovery struct {
	*MultiServersDiscovery
	gate atomic.Pointer[chan struct{}] // nil: open
}

// Endpoints implements EndpointDiscovery.
func (d *gatedDiscovery) Endpoints(ctx context.Context) (*List, error) {
	list := d.current()
	if gate := d.gate.Load(); gate != nil && ctx.Err() == nil {
		<-*gate
	}
	return list, nil
}

// A countingBalancer counts its Pickers.
type countingBalancer struct {
	Balancer
	pickers atomic.Int64
}

func (b *countingBalancer) Picker(servers []*Server) Picker {
	b.pickers.Add(1)
	return b.Balancer.Picker(servers)
}

// TestFleet_OldListComesLate: a call has asked for the list before it changed,
// and gets its answer after another call has taken the new one. The server that
// came with that one must not be let go of, nor the old one be dialled again.
func TestFleet_OldListComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.start("a"), w.start("b")
		d := &gatedDiscovery{MultiServersDiscovery: NewMultiServerDiscovery([]string{a})}
		xc := w.client(d)
		name(t, xc)
		gate := make(chan struct{})
		d.gate.Store(&gate)
		late := make(chan error, 1)
		go func() { late <- xc.Call(context.Background(), "Work.Name", 0, nil) }()
		synctest.Wait()
		d.gate.Store(nil)
		d.Update([]string{b})
		name(t, xc)
		close(gate)
		if err := <-late; err != nil {
			t.Error(err)
		}
		name(t, xc)
		if n, m := w.dialed("a"), w.dialed("b"); n != 1 || m != 1 {
			t.Errorf("%d dials of the old server and %d of the new one, want 1 and 1", n, m)
		}
	})
}

// TestFleet_OneUpdateForAllCalls has a hundred calls notice a new list at once.
// One of them looks at its servers, which takes milliseconds if there are many.
func TestFleet_OneUpdateForAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.start("a"), w.start("b")
		d := &gatedDiscovery{MultiServersDiscovery: NewMultiServerDiscovery([]string{a})}
		balancer := &countingBalancer{Balancer: RoundRobin()}
		xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: balancer})
		defer xc.Close()
		name(t, xc)
		d.Update([]string{a, b})
		gate := make(chan struct{})
		d.gate.Store(&gate)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		d.gate.Store(nil)
		close(gate)
		wg.Wait()
		if n := balancer.pickers.Load(); n > 4 {
			t.Errorf("%d pickers were made for two lists, of which the second has a server that is connected to", n)
		}
	})
}

// TestFleet_ManyServersFail, one after the other: views are not made anew for
// each, and calls go to none of them all the same.
func TestFleet_ManyServersFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, b := range balancers {
			const n = 2 * fewServers
			f := newFlaky()
			balancer := &countingBalancer{Balancer: b.Balancer}
			xc, _, addrs := flakyCluster(t, f, n, Config{Balancer: balancer})
			load(xc, 1, 0)
			for _, addr := range addrs[:n/2] {
				s, _ := xc.set.server(addr)
				s.health.setDown(true)
				f.fail(errInvalid, addr)
				if failures := load(xc, 10, 0); failures != 0 {
					t.Fatalf("%s: %d calls went to a server that has failed", b.name, failures)
				}
			}
			if made := balancer.pickers.Load(); made > 2 {
				t.Errorf("%s: %d pickers were made", b.name, made)
			}
			time.Sleep(n * renewPerServer)
			load(xc, 1, 0)
			if v, _ := xc.set.view(context.Background(), "Work"); len(v.servers) != n/2 {
				t.Errorf("%s: %d servers are left to pick from, want %d", b.name, len(v.servers), n/2)
			}
		}
	})
}

// TestFleet_CloseDuringSweep: Close waits for a sweep that is asking the
// Discovery.
func TestFleet_CloseDuringSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &gatedList{fourMethods: fourMethods{addrs: []string{w.start("a")}}, gate: make(chan struct{})}
		xc := w.client(d)
		name(t, xc)
		time.Sleep(sweepInterval)
		synctest.Wait() // the sweep is in GetAll
		time.AfterFunc(closeGrace/2, func() { close(d.gate) })
		begin := time.Now()
		xc.Close()
		if took := time.Since(begin); took != closeGrace/2 {
			t.Errorf("Close took %s", took)
		}
	})
}

// A gatedList is a Discovery whose GetAll waits.
type gatedList struct {
	fourMethods
	gate chan struct{}
}

func (d *gatedList) GetAll() ([]string, error) {
	<-d.gate
	return d.fourMethods.GetAll()
}
