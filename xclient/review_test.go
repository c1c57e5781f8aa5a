package xclient

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A registry that restarts again and again, or two that take turns behind one
// name, keep nobody on the list for longer than the grace time.
func TestF58_RegistryRestartsForEver(t *testing.T) {
	var s source
	now := time.Now()
	for i := range 200 {
		s.take(answer{Index: uint64(1 + i%2*1e12), Servers: []Endpoint{{Addr: fmt.Sprintf("tcp@s%d:1", i)}}}, now)
		now = now.Add(2 * time.Second)
	}
	if n, most := len(s.keptAt(now)), int(graceTime/(2*time.Second)); n == 0 || n > most {
		t.Errorf("%d servers are kept, want up to %d", n, most)
	}
}

// A server whose methods hang is found out, also when all of its calls are
// outrun by hedges.
func TestF64_HungServerBehindHedges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var addrs []string
		for i := range 4 {
			addrs = append(addrs, w.start(fmt.Sprint("s", i)))
			if i > 0 {
				close(w.host(fmt.Sprint("s", i)).work.gate)
			}
		}
		xc := New(NewMultiServerDiscovery(addrs), Config{
			Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: RoundRobin(), Hedge: Hedge{Delay: 50 * time.Millisecond},
		})
		defer xc.Close()
		failed := 0 // beyond the budget of hedges
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if xc.Call(Idempotent(ctx), "Work.Wait", 0, nil) != nil {
				failed++
			}
			cancel()
		}
		if n := w.host("s0").work.calls.Load(); n > 200 {
			t.Errorf("in a minute the server that hangs has got %d calls", n)
		}
		if failed > 2 {
			t.Errorf("%d calls failed", failed)
		}
	})
}

// A Discovery that was only ever made to Get keeps its connections.
func TestGetAllThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(getOnly{NewMultiServerDiscovery([]string{w.start("a")})})
		for range 10 {
			name(t, xc)
			time.Sleep(sweepInterval)
		}
		if n := w.dialed("a"); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

type getOnly struct{ Discovery }

func (getOnly) GetAll() ([]string, error) { return nil, nil }
