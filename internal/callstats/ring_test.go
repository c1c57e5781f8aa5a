package callstats

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestWindow_TimeReadEarlier: who looks has read the clock, and a call then begins the next
// slot before they get to this Recorder. Its slot must not be taken for one of the past.
func TestWindow_TimeReadEarlier(t *testing.T) {
	for span, length := range slotLengths {
		var r Recorder
		r.Record(length-ms, ms, 0)
		r.Record(length+ms, ms, 0)
		if got := r.Window(length-ms, Span(span)).Calls; got != 2 {
			t.Errorf("%d calls in the last %v, want 2", got, Span(span))
		}
		r.Record(length+2*ms, ms, 0)
		if got := r.Window(2*length, Span(span)).Calls; got != 3 {
			t.Errorf("later %d calls in the last %v, want 3", got, Span(span))
		}
	}
}

// TestRing_CountsWhileItTurns: a call that is counted while a slot ends is in that slot or
// in the next.
func TestRing_CountsWhileItTurns(t *testing.T) {
	var counts [counters]atomic.Int64
	var r ring
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends when the slots have been turned
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				counts[0].Add(1)
			}
		}
	}()
	sum := int64(0)
	for number := range time.Duration(10_000) {
		r.turn(number, &counts)
		for _, g := range r.ended[index(number-1)].grown {
			sum += g.by
		}
	}
	close(stop)
	<-stopped
	for _, g := range r.growth(&counts) {
		sum += g.by
	}
	if want := counts[0].Load(); sum != want {
		t.Errorf("the slots have %d calls, want %d", sum, want)
	}
}
