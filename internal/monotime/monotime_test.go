package monotime

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// At agrees with Now, whether a time has a reading of the monotonic clock or not.
func TestAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, left := range []time.Duration{time.Hour, -time.Minute, 0} {
			at := time.Now().Add(left)
			for _, at := range []time.Time{at, at.Round(0), at.In(time.FixedZone("", 3600))} {
				if got := At(at) - Now(); got != left {
					t.Errorf("%v is %v from now, want %v", at, got, left)
				}
			}
		}
		for _, at := range []time.Time{{}, time.Now().Add(-math.MaxInt64), time.Unix(1<<40, 0), time.Now().Add(math.MaxInt64)} {
			if left := At(at) - Now(); (left > 0) != at.After(time.Now()) || max(left, -left) < 50*365*24*time.Hour {
				t.Errorf("%v is %v from now", at, left)
			}
		}
	})
}

// An Alarm rings in time, again when it is set again, and not once it has been
// stopped.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rung := make(chan time.Duration, 10)
		a := NewAlarm(func() { rung <- time.Since(start) })
		a.Set(time.Minute)
		a.Set(time.Second)
		if at := <-rung; at != time.Second {
			t.Errorf("rung after %v", at)
		}
		if a.Stop() {
			t.Error("stopped after it has rung")
		}
		a.Set(time.Second)
		if !a.Stop() || a.Stop() {
			t.Error("not stopped once")
		}
		time.Sleep(time.Hour)
		if len(rung) > 0 {
			t.Error("rung though it was stopped")
		}
	})
}

// A process that did not run while a time passed has not waited.
func TestD129_AlarmThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rung := make(chan struct{})
		a := NewAlarm(func() { close(rung) })
		a.Set(10 * time.Second)
		a.mu.Lock()
		a.due -= time.Minute // as if it fired a minute late
		a.mu.Unlock()
		start := time.Now()
		<-rung
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("rung after %v", took)
		}
	})
}
