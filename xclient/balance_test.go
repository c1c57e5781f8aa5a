package xclient

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// balancers are all of ours.
var balancers = []struct {
	name string
	Balancer
}{
	{"Random", Random()},
	{"RoundRobin", RoundRobin()},
	{"Weighted", Weighted()},
	{"LeastLoaded", LeastLoaded()},
	{"ConsistentHash", ConsistentHash()},
}

// manyServers returns n servers s0, s1 …, whose weights are those given, over and
// over.
func manyServers(n int, weights ...int) []*Server {
	servers := make([]*Server, n)
	for i := range servers {
		e := Endpoint{Addr: fmt.Sprint("s", i)}
		if len(weights) > 0 {
			e.Weight = weights[i%len(weights)]
		}
		servers[i] = NewServer(e)
	}
	return servers
}

// picks returns how often each server is picked in n calls without a key.
func picks(p Picker, n int) map[*Server]int {
	count := make(map[*Server]int)
	for range n {
		count[p.Pick(context.Background())]++
	}
	return count
}

// wantShare checks that a server was picked about as often as it should be, give or
// take 7 standard deviations. A run of the tests makes a hundred such checks, and one
// of them fails by chance once in 10⁹ runs.
func wantShare(t *testing.T, s *Server, count, picks int, share float64) {
	t.Helper()
	mean := float64(picks) * share
	if off := math.Abs(float64(count) - mean); off > 7*math.Sqrt(mean*(1-share)) {
		t.Errorf("%s was picked %d times of %d, want about %.0f", s.Endpoint().Addr, count, picks, mean)
	}
}

func TestBalancers_OneServer(t *testing.T) {
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			servers := manyServers(1)
			servers[0].inFlight.Store(1000)
			if p := b.Picker(servers); p.Pick(t.Context()) != servers[0] {
				t.Error("the only server was not picked")
			}
		})
	}
}

// What no weight should be counts as 1.
func TestBalancers_OddWeights(t *testing.T) {
	const calls = 20_000
	for _, weights := range [][]int{nil, {0}, {-1}, {0, -5, 1, math.MinInt}, {1000}, {math.MaxInt}} {
		for _, b := range balancers {
			t.Run(fmt.Sprint(b.name, weights), func(t *testing.T) {
				servers := manyServers(4, weights...)
				count := picks(b.Picker(servers), calls)
				for _, s := range servers {
					if b.name == "ConsistentHash" { // depends on where its point is
						if count[s] < calls/6 || count[s] > calls/3 {
							t.Errorf("%s was picked %d times of %d", s.Endpoint().Addr, count[s], calls)
						}
						continue
					}
					wantShare(t, s, count[s], calls, 0.25)
				}
			})
		}
	}
}

func TestBalancers_WeightsIgnored(t *testing.T) {
	servers := manyServers(2, 1, 99)
	for _, b := range []Balancer{Random(), RoundRobin()} {
		count := picks(b.Picker(servers), 10_000)
		wantShare(t, servers[0], count[servers[0]], 10_000, 0.5)
	}
}

func TestBalancers_WeightsRespected(t *testing.T) {
	const calls = 100_000
	weights := []int{1, 2, 0, 7, 9, 20, 20, 40}
	for _, b := range []Balancer{Weighted(), LeastLoaded()} { // idle servers have no load
		t.Run(fmt.Sprintf("%T", b), func(t *testing.T) {
			servers := manyServers(len(weights), weights...)
			count := picks(b.Picker(servers), calls)
			for _, s := range servers {
				wantShare(t, s, count[s], calls, weightOf(s)/100)
			}
		})
	}
}

// An alias table's chances can be summed up, with no chance involved.
func TestAliasTable_Chances(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000, 10_000} {
		weights := make([]int, 1+rand.IntN(n))
		for i := range weights {
			weights[i] = 1 + rand.IntN(1<<rand.IntN(20))
		}
		servers := manyServers(n, weights...)
		chance := make([]float64, n)
		for i, c := range newAliasTable(servers) {
			own := float64(c.own) / (1 << 32)
			chance[i] += own / float64(n)
			chance[c.other] += (1 - own) / float64(n)
		}
		total := totalWeight(servers)
		for i, s := range servers {
			if want := weightOf(s) / total; math.Abs(chance[i]-want) > 1e-9 {
				t.Fatalf("%d servers, weights %v: chance %v for server %d, want %v", n, weights, chance[i], i, want)
			}
		}
	}
}

func TestRoundRobin_EachOnceInARound(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10} {
		p := RoundRobin().Picker(manyServers(n))
		for round := range 5 {
			if count := picks(p, n); len(count) != n {
				t.Errorf("round %d of %d servers went to %d of them", round, n, len(count))
			}
		}
	}
}

func TestRoundRobin_ExactForManyCallers(t *testing.T) {
	const rounds, callers = 1000, 7
	servers := manyServers(callers)
	p := RoundRobin().Picker(servers)
	var mu sync.Mutex
	total := make(map[*Server]int)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			count := picks(p, rounds)
			mu.Lock()
			defer mu.Unlock()
			for s, n := range count {
				total[s] += n
			}
		})
	}
	wg.Wait()
	for _, s := range servers {
		if total[s] != rounds {
			t.Errorf("%s was picked %d times, want %d", s.Endpoint().Addr, total[s], rounds)
		}
	}
}

// A server that comes and goes with every call takes nobody's turn: a counter
// that outlives the change would give the second of the two others none when
// there are two.
func TestRoundRobin_FairAcrossChanges(t *testing.T) {
	const changes = 20_000
	servers := manyServers(3)
	b := RoundRobin()
	count := make(map[*Server]int)
	for range changes {
		count[b.Picker(servers[:2]).Pick(t.Context())]++
		b.Picker(servers).Pick(t.Context())
	}
	for _, s := range servers[:2] {
		wantShare(t, s, count[s], changes, 0.5)
	}
}

// Pickers are used by many goroutines, while calls begin and end: for the race
// detector, and that none is lost.
func TestBalancers_ManyCallers(t *testing.T) {
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			servers := manyServers(5, 1, 2)
			p := b.Picker(servers)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { // ends with its calls
					for range 2000 {
						s := p.Pick(t.Context())
						s.inFlight.Add(1)
						s.took(1)
						s.inFlight.Add(-1)
					}
				})
			}
			wg.Wait()
			for _, s := range servers {
				if s.InFlight() != 0 || s.Latency() != 1 {
					t.Errorf("%s: %d calls in flight, latency %v", s.Endpoint().Addr, s.InFlight(), s.Latency())
				}
			}
		})
	}
}

func TestBalancers_PickAllocatesNothing(t *testing.T) {
	ctx := WithHashKey(context.Background(), "key")
	for _, b := range balancers {
		for _, n := range []int{10, 1000} {
			p := b.Picker(manyServers(n))
			if allocs := testing.AllocsPerRun(2000, func() { p.Pick(ctx) }); allocs != 0 {
				t.Errorf("%s of %d servers: %v allocations a pick", b.name, n, allocs)
			}
		}
	}
}

var benchmarkSizes = []int{10, 1000, 10_000}

func BenchmarkPick(b *testing.B) {
	keys := make([]context.Context, 1024)
	for i := range keys {
		keys[i] = WithHashKey(context.Background(), fmt.Sprint("key ", i))
	}
	for _, bal := range balancers {
		for _, n := range benchmarkSizes {
			p := bal.Picker(manyServers(n))
			b.Run(fmt.Sprintf("%s/%d", bal.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					p.Pick(keys[i%len(keys)])
				}
			})
			b.Run(fmt.Sprintf("%s/%d/parallel", bal.name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := rand.Int() % len(keys); pb.Next(); i++ {
						p.Pick(keys[i%len(keys)])
					}
				})
			})
		}
	}
}

func BenchmarkPicker(b *testing.B) {
	for _, bal := range balancers {
		for _, n := range benchmarkSizes {
			servers := manyServers(n)
			b.Run(fmt.Sprintf("%s/%d", bal.name, n), func(b *testing.B) {
				for b.Loop() {
					bal.Picker(servers)
				}
			})
		}
	}
}
