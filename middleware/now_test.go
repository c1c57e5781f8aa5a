package middleware

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNow_ClockThatIsSet: times are positive, and those of a clock that is never set. Package time
// drops the monotonic reading of times before 1885, so start must be later even on a
// machine without a battery, which begins in 1970.
func TestNow_ClockThatIsSet(t *testing.T) {
	if begin := time.Unix(0, 0).UTC().Add(-startsEarlier); begin.Year() <= 1885 {
		t.Errorf("a program that begins in 1970 starts to count in %d", begin.Year())
	}
	if !strings.Contains(start.String(), " m=") {
		t.Errorf("start has no monotonic reading: %v", start)
	}
	const aYear = 365 * 24 * time.Hour
	if at := now(); at < aYear {
		t.Errorf("it is %v", at)
	}
	synctest.Test(t, func(t *testing.T) {
		if at := now(); at < aYear {
			t.Errorf("in a bubble it is %v", at)
		}
	})
}
