package attempt

import (
	"testing"
	"time"
)

func TestLatency(t *testing.T) {
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
		{"kept for a half-life", []call{{8 * ms, 0}}, halfLife - 1, 8 * ms},
		{"halved", []call{{8 * ms, 0}}, halfLife, 4 * ms},
		{"halved twice", []call{{8 * ms, 0}}, 2 * halfLife, 2 * ms},
		{"forgotten", []call{{8 * ms, 0}}, 1000 * time.Hour, 0},
		{"old average replaced", []call{{800 * ms, 0}, {8 * ms, halfLife}}, halfLife, 8 * ms},
		{"clock read before the last call", []call{{8 * ms, time.Minute}}, 0, 8 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l latency
			for _, c := range tt.calls {
				l.observe(exact, c.took, 0, c.at, 0)
			}
			if got := l.expected(tt.now, 0); got != tt.want {
				t.Errorf("latency is %v, want %v", got, tt.want)
			}
		})
	}
}
