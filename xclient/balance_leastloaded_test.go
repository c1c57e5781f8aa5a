package xclient

import (
	"testing"
	"testing/synctest"
	"time"

	"geerpc/xclient/internal/attempt"
)

func TestLeastLoaded_OfTwo(t *testing.T) {
	type server struct {
		weight, inFlight int
		latency          time.Duration
	}
	const ms = time.Millisecond
	tests := []struct {
		name        string
		more, fewer server
	}{
		{"fewer calls in flight", server{1, 3, 0}, server{1, 2, 0}},
		{"any against none", server{1, 1, 0}, server{1, 0, 0}},
		{"faster", server{1, 0, 2 * ms}, server{1, 0, 1 * ms}},
		{"fast enough for more calls", server{1, 1, 10 * ms}, server{1, 3, 4 * ms}},
		{"too busy though faster", server{1, 5, 4 * ms}, server{1, 1, 10 * ms}},
		{"heavier", server{1, 3, 0}, server{4, 10, 0}},
		{"not heavy enough", server{4, 14, 0}, server{1, 3, 0}},
		{"unknown latency", server{1, 1, 1 * ms}, server{1, 0, 0}},
		{"unknown latency, but busy", server{1, 1, 0}, server{1, 0, time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			servers := manyServers(2, tt.more.weight, tt.fewer.weight)
			for i, s := range []server{tt.more, tt.fewer} {
				servers[i].inFlight.Store(int64(s.inFlight))
				if s.latency > 0 {
					servers[i].took(s.latency)
				}
			}
			if count := picks(LeastLoaded().Picker(servers), 100); count[servers[0]] != 0 {
				t.Errorf("the server with more load got %d of 100 calls", count[servers[0]])
			}
		})
	}
}

// Of many servers, the most loaded is never picked, for it always has another
// beside it; and none gets more than its two chances.
func TestLeastLoaded_OfMany(t *testing.T) {
	const calls = 20_000
	servers := manyServers(10)
	for i, s := range servers {
		s.inFlight.Store(int64(i))
	}
	count := picks(LeastLoaded().Picker(servers), calls)
	for i, s := range servers { // picked with any of the 9 - i that have more
		wantShare(t, s, count[s], calls, float64(9-i)/45)
	}
}

// A server that was slow gets no calls, and so does not show that it is fast
// again: its latency has to be forgotten.
func TestLeastLoaded_TriesSlowServersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := manyServers(2)
		slow, fast := servers[0], servers[1]
		p := LeastLoaded().Picker(servers)
		slow.took(time.Second)
		fast.took(10 * time.Millisecond)
		begin := time.Now()
		for time.Since(begin) < time.Hour && p.Pick(t.Context()) == fast {
			time.Sleep(100 * time.Millisecond)
			fast.took(10 * time.Millisecond)
		}
		if d := time.Since(begin); d < 25*time.Second || d > 40*time.Second {
			t.Errorf("a server 100 times as slow was tried again after %v", d)
		}
		slow.took(5 * time.Millisecond)
		if p.Pick(t.Context()) != slow {
			t.Error("one call that took less is not enough for a server to be back")
		}
	})
}

// took has the server answer a call in that time.
func (s *Server) took(d time.Duration) {
	now := attempt.Now()
	a := s.record.Begin(now-d, false)
	s.record.End(a, attempt.Ending{Outcome: attempt.Replied, At: now, Median: s.medianLatency()})
}
