package xclient

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestD207_NoJitterForACallThatWaits: the only server has closed its connection
// politely, and is well. The next call has 20 ms. The pause that keeps a herd
// of clients from coming back together must not be a call's to wait for.
func TestD207_NoJitterForACallThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
		name(t, xc)
		const rounds = 300
		failed := 0
		for range rounds {
			w.hangUp("a")
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			begin := time.Now()
			if err := xc.Call(ctx, "Work.Name", 0, nil); err != nil || time.Since(begin) > 0 {
				failed++
			}
			cancel()
		}
		if failed > 0 {
			t.Errorf("%d of %d calls with 20 ms failed, or waited, on a server that is well", failed, rounds)
		}
	})
}

// TestD207_JitterForTheOthers: while calls have another server to go to, a
// connection that was lost is made again after a random time.
func TestD207_JitterForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		connectAll(t, xc)
		var waited time.Duration
		const rounds = 150
		for range rounds {
			for range 4 {
				name(t, xc)
			}
			w.hangUp("a")
			synctest.Wait()
			name(t, xc) // one of the two finds out
			name(t, xc)
			begin := time.Now()
			for w.connections("a") == 0 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			waited += time.Since(begin)
		}
		if mean := waited / rounds; mean < minPause/3 || mean > minPause { // 7 standard deviations less than half of it
			t.Errorf("dialled again after %s on average, want about %s", mean, minPause/2)
		}
	})
}
