//go:build !race

package middleware

import "testing"

// The race detector adds allocations: these figures are without it.

func TestAllocation_Log(t *testing.T) {
	for _, c := range []struct {
		name string
		log  *Log
		want float64
	}{
		{"left out", &Log{Every: -1}, 0},
		{"written", &Log{Successes: -1}, 2},
	} {
		c.log.Logger = quiet()
		f := c.log.Client(ended(nil))
		ctx := t.Context()
		if got := testing.AllocsPerRun(1000, func() { f(ctx, "Arith.Add", nil, nil) }); got > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}
