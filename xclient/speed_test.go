package xclient

import (
	"testing"
	"time"
)

func TestSpeed(t *testing.T) {
	const ms = time.Millisecond
	type call struct{ took, at time.Duration }
	tests := []struct {
		name  string
		calls []call
		now   time.Duration
		want  time.Duration
	}{
		{"unknown", nil, time.Hour, 0},
		{"first call", []call{{8 * ms, 0}}, 0, 8 * ms},
		{"too short to measure", []call{{0, 0}}, 0, 1},
		{"average", []call{{8 * ms, 0}, {16 * ms, ms}}, ms, 9 * ms},
		{"kept for a half-life", []call{{8 * ms, 0}}, speedHalfLife - 1, 8 * ms},
		{"halved", []call{{8 * ms, 0}}, speedHalfLife, 4 * ms},
		{"halved twice", []call{{8 * ms, 0}}, 2 * speedHalfLife, 2 * ms},
		{"forgotten", []call{{8 * ms, 0}}, 1000 * time.Hour, 0},
		{"old average replaced", []call{{800 * ms, 0}, {8 * ms, speedHalfLife}}, speedHalfLife, 8 * ms},
		{"clock read before the last call", []call{{8 * ms, time.Minute}}, 0, 8 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s speed
			for _, c := range tt.calls {
				s.learn(exact, c.took, 0, c.at, 0)
			}
			if got := s.latency(tt.now, 0); got != tt.want {
				t.Errorf("latency is %v, want %v", got, tt.want)
			}
		})
	}
}

// took has the server answer a call in that time.
func (s *Server) took(d time.Duration) {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	s.record.speed.learn(exact, d, 0, sinceStart(), s.usual())
}
