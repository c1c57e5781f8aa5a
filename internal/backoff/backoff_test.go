package backoff

import (
	"context"
	"math"
	"testing"
	"time"
)

// TestBackoff grows by 1.6 from 100 ms to the most, and varies by a fifth.
func TestBackoff(t *testing.T) {
	const first, most = 100 * time.Millisecond, 30 * time.Second
	want := first
	var b Backoff
	seen := make(map[time.Duration]bool)
	for i := range 20 {
		got := b.Next(first, most)
		if got < want*4/5 || got > want*6/5 {
			t.Errorf("pause %d is %s, want about %s", i, got, want)
		}
		seen[got*100/want] = true
		want = min(want*8/5, most)
	}
	if len(seen) < 5 {
		t.Error("the pauses don't vary")
	}
}

// TestD2204_Backoff: a pause without end doesn't become none at all.
func TestD2204_Backoff(t *testing.T) {
	for _, d := range []time.Duration{math.MaxInt64, 1 << 62, math.MaxInt64 / 2, math.MaxInt64 / 5 * 4, time.Second, 3, 1, 0} {
		for range 1000 {
			for _, part := range []time.Duration{5, 10} {
				most := d / part
				if got := Vary(d, part); got < d-most || got > d+min(most, math.MaxInt64-d) {
					t.Fatalf("%d becomes %d", d, got)
				}
			}
		}
	}
	const first = 100 * time.Millisecond
	var b Backoff
	last := Backoff(0)
	for range 200 {
		if pause := b.Next(first, math.MaxInt64); pause < first*4/5 || b < last {
			t.Fatalf("after %d comes %d, a pause of %d", last, b, pause)
		}
		last = b
	}
	if last != math.MaxInt64 || Double(math.MaxInt64/2+1) != math.MaxInt64 || Double(3) != 6 || Double(-1) != -2 {
		t.Errorf("the last is %d", last)
	}
}

// TestSleep ends with the time or with the context, and says which.
func TestSleep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for _, d := range []time.Duration{-1, 0, time.Millisecond} {
		if !Sleep(ctx, d) {
			t.Errorf("Sleep for %s reports the end of a context that goes on", d)
		}
	}
	time.AfterFunc(time.Millisecond, cancel)
	if Sleep(ctx, time.Hour) || Sleep(ctx, 0) {
		t.Error("Sleep doesn't report the end of its context")
	}
}
