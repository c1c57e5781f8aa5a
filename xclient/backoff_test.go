package xclient

import (
	"math"
	"testing"
	"time"
)

// TestD2204_Backoff: a pause without end doesn't become none at all.
func TestD2204_Backoff(t *testing.T) {
	for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 / 2, math.MaxInt64 / 5 * 4, time.Second, 3, 0} {
		for range 1000 {
			fifth := d / 5
			if got := vary(d); got < d-fifth || got > d+min(fifth, math.MaxInt64-d) {
				t.Fatalf("%d becomes %d", d, got)
			}
		}
	}
	var b backoff
	last := backoff(0)
	for range 200 {
		if pause := b.next(math.MaxInt64); pause < minPause*4/5 || b < last {
			t.Fatalf("after %d comes %d, a pause of %d", last, b, pause)
		}
		last = b
	}
	if last != math.MaxInt64 || doubled(math.MaxInt64/2+1) != math.MaxInt64 || doubled(3) != 6 || doubled(-1) != -2 {
		t.Errorf("the last is %d", last)
	}
}
