package test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestBubblesDontMix makes calls outside of a synctest bubble, in one and
// outside again. A channel that went from one call to another across the border
// would be a panic, or would have time in the bubble stand still.
func TestBubblesDontMix(t *testing.T) {
	calls := func(t *testing.T) {
		client := newEnv(t, "pipe", "").dial(nil)
		for range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := client.Call(ctx, "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
				t.Error(err)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := client.Call(ctx, "Arith.Block", Args{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	calls(t)
	synctest.Test(t, calls)
	calls(t)
}
