//go:build !race

package middleware

import (
	"testing"

	"geerpc"
)

// The race detector adds allocations: these figures are without it.

func TestAllocation_Log(t *testing.T) {
	for _, c := range []struct {
		name string
		log  *Log
		want float64
	}{
		{"left out", &Log{Every: -1}, 0},
		{"written", &Log{Successes: -1}, 0},
	} {
		c.log.Logger = quiet()
		f := c.log.Client(ended(nil))
		ctx := t.Context()
		if got := testing.AllocsPerRun(1000, func() { f(ctx, "Arith.Add", nil, nil) }); got > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}

func TestAllocation_Metrics(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want float64
	}{
		"success": {nil, 0},
		"failure": {geerpc.Errorf(geerpc.CodeAborted, "no"), 1},
	} {
		f := new(Metrics).Server(ended(c.err))
		ctx := t.Context()
		if got := testing.AllocsPerRun(1000, func() { f(ctx, "Arith.Add", nil, nil) }); got > c.want {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}
