package xclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/xclient/internal/attempt"
)

// How each balancer does when one server of ten takes ten times as long as the
// others. Calls come at random times, whether or not earlier ones have been
// answered, half as many as the good servers could do. Weighted is told of the
// slow one by its weight. Run with -v to see the table.
func TestSimulation_OneSlowServer(t *testing.T) {
	t.Parallel()
	p99 := make(map[string]time.Duration)
	var table strings.Builder
	fmt.Fprintf(&table, "%-15s %9s %9s %12s  %-20s %s\n", "", "p50", "p99", "most waiting",
		"each good one's share", "the slow one's")
	for _, b := range balancers {
		synctest.Test(t, func(*testing.T) {
			s := newSimulation(b.Balancer)
			if b.name == "Weighted" {
				s = newSimulation(b.Balancer, 1, 10, 10, 10, 10, 10, 10, 10, 10, 10)
			}
			s.run()
			p99[b.name] = s.percentile(99)
			share := float64(s.slow.calls) / simCalls
			fmt.Fprintf(&table, "%-15s %6d ms %6d ms %12d  %s %s\n", b.name, s.percentile(50).Milliseconds(),
				p99[b.name].Milliseconds(), s.slow.most, bar((1-share)/9), bar(share))
		})
	}
	t.Logf("of ten servers, one is ten times as slow\n%s", &table)
	for _, worse := range []string{"Random", "RoundRobin"} {
		if p99["LeastLoaded"]*4 > p99[worse] {
			t.Errorf("p99 is %v with LeastLoaded, %v with %s", p99["LeastLoaded"], p99[worse], worse)
		}
	}
}

const (
	simCalls   = 15_000
	simKeys    = 1000
	simTime    = 10 * time.Millisecond // that a good server works on a call, on average
	simWorkers = 4                     // calls that a server works on at once
	simPause   = time.Second / 1800    // between two calls, on average
)

// A simulation is to be run in a bubble, where its seconds are over in no time.
type simulation struct {
	picker Picker
	hosts  map[*Server]*simHost
	slow   *simHost

	mu   sync.Mutex // guards what follows, and the counts of hosts
	took []time.Duration
}

type simHost struct {
	time    time.Duration // that it works on a call, on average
	workers chan struct{}
	calls   int // sent to it
	most    int // in flight at once
}

// newSimulation makes ten servers, of which the first is slow.
func newSimulation(b Balancer, weights ...int) *simulation {
	servers := manyServers(10, weights...)
	s := &simulation{picker: b.Picker(servers), hosts: make(map[*Server]*simHost)}
	for _, server := range servers {
		s.hosts[server] = &simHost{time: simTime, workers: make(chan struct{}, simWorkers)}
	}
	s.slow = s.hosts[servers[0]]
	s.slow.time *= 10
	return s
}

// run makes the calls, and returns when all have been answered.
func (s *simulation) run() {
	var wg sync.WaitGroup
	for range simCalls {
		time.Sleep(exponential(simPause))
		ctx := WithHashKey(context.Background(), fmt.Sprint(rand.IntN(simKeys)))
		server := s.picker.Pick(ctx)
		wg.Go(func() { s.call(server) }) // ends when the call does; run waits
	}
	wg.Wait()
	slices.Sort(s.took)
}

// call makes a call as an XClient does.
func (s *simulation) call(server *Server) {
	begin := attempt.Now()
	inFlight := int(server.inFlight.Add(1))
	h := s.hosts[server]
	h.workers <- struct{}{}
	time.Sleep(exponential(h.time))
	<-h.workers
	server.inFlight.Add(-1)
	took := attempt.Now() - begin
	server.took(took)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, took)
	h.calls++
	h.most = max(h.most, inFlight)
}

// exponential returns a random duration, mostly short, of this average.
func exponential(average time.Duration) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(average))
}

func (s *simulation) percentile(p int) time.Duration { return s.took[len(s.took)*p/100] }

// bar draws a share, one star for each percent begun.
func bar(share float64) string {
	return fmt.Sprintf("%4.1f %% %-12s", share*100, strings.Repeat("*", int(share*100+0.99)))
}
