package xclient

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// keyed returns the server of each of n keys.
func keyed(p Picker, n int) []*Server {
	servers := make([]*Server, n)
	for i := range servers {
		servers[i] = p.Pick(WithHashKey(context.Background(), fmt.Sprint("key ", i)))
	}
	return servers
}

// All clients must agree, also those that are built from a later version.
func TestConsistentHash_SameForAllClients(t *testing.T) {
	servers := manyServers(100, 1, 3)
	for k, want := range map[string]string{"": "s65", "a": "s72", "user 1": "s50", "ключ": "s75"} {
		for range 3 {
			rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
			s := ConsistentHash().Picker(servers).Pick(WithHashKey(t.Context(), k))
			if got := s.Endpoint().Addr; got != want {
				t.Errorf("key %q is at %s, want %s", k, got, want)
			}
		}
	}
}

func TestConsistentHash_FewKeysMove(t *testing.T) {
	const keys = 20_000
	for _, n := range []int{2, 10, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			servers := manyServers(n)
			last := servers[n-1]
			with := keyed(ConsistentHash().Picker(servers), keys)
			without := keyed(ConsistentHash().Picker(servers[:n-1]), keys)
			moved := 0
			for i := range keys {
				if with[i] != without[i] {
					moved++
					if with[i] != last {
						t.Fatalf("key %d moved from %s, which did not leave", i, with[i].Endpoint().Addr)
					}
				}
			}
			if most := keys * 3 / 2 / n; moved == 0 || moved > most {
				t.Errorf("%d of %d keys moved, want at most %d", moved, keys, most)
			}
		})
	}
}

// TestD213_OnlyItsOwnKeysMove, whichever server leaves, of whatever weight; and
// they go where the calls went while it was passed over. (When the server of the
// lowest weight left, 46 to 88 % of the others' keys moved.)
func TestD213_OnlyItsOwnKeysMove(t *testing.T) {
	t.Parallel()
	const keys = 5000
	for _, weights := range [][]int{{1}, {1, 2, 3}, {1, 100, 100}, {7, 300, 20}, {1000, 250}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			servers := manyServers(9, weights...)
			p := ConsistentHash().Picker(servers)
			with := keyed(p, keys)
			for i, gone := range servers {
				without := keyed(ConsistentHash().Picker(slices.Delete(slices.Clone(servers), i, i+1)), keys)
				for k := range keys {
					if with[k] != gone && without[k] != with[k] {
						t.Fatalf("when %s left, key %d moved from %s to %s", gone.Endpoint().Addr, k, with[k].Endpoint().Addr, without[k].Endpoint().Addr)
					}
				}
				for k := range keys {
					if with[k] != gone {
						continue
					}
					a := &callContext{Context: WithHashKey(context.Background(), fmt.Sprint("key ", k))}
					a.addTried(gone)
					if next := p.Pick(a); next != without[k] {
						t.Fatalf("key %d goes to %s while %s is passed over, to %s when it has left", k, next.Endpoint().Addr, gone.Endpoint().Addr, without[k].Endpoint().Addr)
					}
				}
			}
		})
	}
}

func TestConsistentHash_Spread(t *testing.T) {
	const perServer = 1000
	for _, n := range []int{2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			count := make(map[*Server]int)
			for _, s := range keyed(ConsistentHash().Picker(manyServers(n)), n*perServer) {
				count[s]++
			}
			most, least := 0, math.MaxInt
			for _, c := range count {
				most, least = max(most, c), min(least, c)
			}
			t.Logf("of %d keys for each on average, one of %d servers has %d, one %d", perServer, n, most, least)
			if len(count) != n || most > perServer*5/4 || least < perServer*2/3 {
				t.Errorf("of %d servers, %d have keys: %d to %d", n, len(count), least, most)
			}
		})
	}
}

func TestConsistentHash_Weights(t *testing.T) {
	t.Parallel()
	const keys = 20_000
	for _, weights := range [][]int{{1, 4}, {100, 250}, {2, 3}, {1, 16}, {10, 1000}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			ratio := float64(min(weights[1], 250)) / float64(weights[0])
			light := 0
			for _, s := range keyed(ConsistentHash().Picker(manyServers(100, weights...)), keys) {
				if s.Endpoint().Weight == weights[0] {
					light++
				}
			}
			if want := int(keys / (1 + ratio)); light < want*4/5 || light > want*6/5 {
				t.Errorf("the lighter half has %d of %d keys, want about %d", light, keys, want)
			}
		})
	}
}

func TestConsistentHash_WithoutKey(t *testing.T) {
	const calls = 20_000
	servers := manyServers(10)
	count := picks(ConsistentHash().Picker(servers), calls)
	for _, s := range servers {
		if share := count[s] * 100 / calls; share < 5 || share > 15 {
			t.Errorf("%s was picked %d %% of the time", s.Endpoint().Addr, share)
		}
	}
}

// However many calls ask for one key, no server has more than 1.25 times its
// share of them and of the picks since they were last counted.
func TestConsistentHash_BoundedLoad(t *testing.T) {
	for _, weights := range [][]int{{1}, {1, 2, 5}} {
		for _, n := range []int{2, 10, 300} {
			t.Run(fmt.Sprint(n, weights), func(t *testing.T) {
				servers := manyServers(n, weights...)
				p := ConsistentHash().Picker(servers)
				total := totalWeight(servers)
				hot := WithHashKey(t.Context(), "hot")
				home := p.Pick(hot)
				for calls := 1; calls <= 20*n; calls++ {
					s := p.Pick(hot)
					if calls == 2 && len(weights) == 1 && s != home {
						t.Error("with one call in flight, the key went to another server already")
					}
					s.inFlight.Add(1)
					share := float64(calls+n) * weightOf(s) / total
					if bound := math.Ceil(hashLoad * share); float64(s.InFlight()) > bound {
						t.Fatalf("of %d calls in flight, %s has %d, want at most %v", calls, s.Endpoint().Addr, s.InFlight(), bound)
					}
				}
			})
		}
	}
}

// When calls have ended, the key is at home again.
func TestConsistentHash_ComesHome(t *testing.T) {
	servers := manyServers(10)
	p := ConsistentHash().Picker(servers)
	hot := WithHashKey(t.Context(), "hot")
	home := p.Pick(hot)
	home.inFlight.Store(5)
	if p.Pick(hot) == home {
		t.Error("a server with all calls in flight was picked")
	}
	home.inFlight.Store(0)
	if p.Pick(hot) != home {
		t.Error("a server without calls in flight was passed over")
	}
}

// Each further attempt goes to the next server on the ring, and the ones after
// the last to the first again.
func TestConsistentHash_Attempts(t *testing.T) {
	servers := manyServers(4)
	p := ConsistentHash().Picker(servers)
	a := &callContext{Context: WithHashKey(t.Context(), "key")}
	home := p.Pick(a)
	var tried []*Server
	for range servers {
		s := p.Pick(a)
		if slices.Contains(tried, s) {
			t.Errorf("attempt %d went to %s again", len(tried)+1, s.Endpoint().Addr)
		}
		tried = append(tried, s)
		a.addTried(s)
	}
	if tried[0] != home || p.Pick(a) != home {
		t.Error("neither the first attempt nor that after the last went home")
	}
}
