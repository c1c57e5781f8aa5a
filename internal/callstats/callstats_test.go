package callstats

import (
	"slices"
	"testing"
	"time"
)

func TestCountersHoldTheScale(t *testing.T) {
	if got := scale.Buckets(); got != untimed {
		t.Fatalf("the scale has %d buckets, and there are counters for %d", got, untimed)
	}
}

const ms = time.Millisecond

func TestWindow_Slides(t *testing.T) {
	for _, begin := range []time.Duration{0, 1, time.Hour, -time.Hour, -1, 61*time.Minute + 1} {
		var r Recorder
		count := func(now time.Duration, span Span) int64 { return r.Window(begin+now, span).Calls }
		r.Record(begin, ms, 0)
		r.Record(begin+30*time.Second, ms, 3)
		if got := count(30*time.Second, Minute); got != 2 {
			t.Errorf("from %v: %d calls in the first minute, want 2", begin, got)
		}
		if got := count(75*time.Second, Minute); got != 1 {
			t.Errorf("from %v: %d calls in a minute when one is older, want 1", begin, got)
		}
		for now, want := range map[time.Duration][spans]int64{
			2 * time.Minute: {0, 2, 2}, 57 * time.Minute: {0, 2, 2}, 2 * time.Hour: {0, 0, 2}, 25 * time.Hour: {0, 0, 0},
		} {
			for span := range spans {
				var r Recorder
				r.Record(begin, ms, 0)
				r.Record(begin+30*time.Second, ms, 3)
				if got := r.Window(begin+now, span).Calls; got != want[span] {
					t.Errorf("from %v, after %v: %d calls in the last %v, want %d", begin, now, got, span, want[span])
				}
			}
		}
	}
}

func TestWindow_Content(t *testing.T) {
	var r Recorder
	for i := range 100 {
		r.Record(time.Duration(i)*100*ms, time.Duration(i)*ms, 0)
	}
	r.Record(11*time.Second, 200*ms, 4)
	r.Record(11*time.Second, 200*ms, 250) // a code that does not exist
	r.RecordRefused(11*time.Second, 7)
	r.RecordFailure(11*time.Second, 13) // of one of the hundred
	w := r.Window(13*time.Second, Minute)
	if w.Calls != 103 || w.Errors != 4 || w.Latency.Count() != 102 {
		t.Errorf("calls %d, errors %d, timed %d", w.Calls, w.Errors, w.Latency.Count())
	}
	if w.ByCode[4] != 1 || w.ByCode[7] != 1 || w.ByCode[13] != 1 || w.ByCode[Codes-1] != 1 {
		t.Errorf("by code: %v", w.ByCode)
	}
	if p50 := w.Latency.Quantile(0.5); p50 < 45*ms || p50 > 56*ms {
		t.Errorf("the median is %v", p50)
	}
	if last := w.Slots[slots-1-6:]; !slices.Equal(last[:3], []SlotCounts{{20, 0}, {20, 0}, {20, 0}}) || last[5] != (SlotCounts{3, 4}) || last[6] != (SlotCounts{}) {
		t.Errorf("slots: %v", w.Slots)
	}
	if w.Covered != 59*time.Second || w.PerSecond(time.Hour) != 103.0/59 || w.PerSecond(10*time.Second) != 10.3 || w.PerSecond(0) != 103 {
		t.Errorf("%v covered, %v calls a second", w.Covered, w.PerSecond(time.Hour))
	}
	if ended, failed := r.Totals(); ended != 103 || failed != 4 {
		t.Errorf("totals %d and %d", ended, failed)
	}
	sum := r.Window(13*time.Second, Minute)
	sum.Merge(w)
	if sum.Calls != 206 || sum.Errors != 8 || sum.ByCode[4] != 2 || sum.Latency.Count() != 204 || sum.Slots[slots-2] != (SlotCounts{6, 8}) {
		t.Errorf("twice the same: %+v", sum)
	}
}

// TestWindow_Concurrent: each call is in exactly one slot, whoever turns them.
func TestWindow_Concurrent(t *testing.T) {
	const callers, each = 8, 2000
	var r Recorder
	done := make(chan struct{})
	for range callers {
		go func() { // the loop below waits for it
			for i := range each {
				r.Record(time.Duration(i)*10*ms, ms, uint8(i%3))
			}
			done <- struct{}{}
		}()
	}
	for ended := 0; ended < callers; {
		select {
		case <-done:
			ended++
		default:
			if ended, failed := r.Totals(); failed > ended {
				t.Fatalf("%d calls have failed of %d", failed, ended)
			}
		}
	}
	if w := r.Window(each*10*ms, Minute); w.Calls != callers*each || w.ByCode[1] == 0 || w.ByCode[1]+w.ByCode[2] != w.Errors {
		t.Errorf("%+v", w)
	}
}

func TestSamples(t *testing.T) {
	var r Recorder
	now := time.Duration(0)
	record := func(took time.Duration, code uint8, text string) {
		if now += 50 * ms; r.Record(now, took, code) {
			r.Keep(Sample{Took: took, Code: code, Error: text})
		}
	}
	for range 1000 {
		record(ms/2, 0, "")
	}
	record(2*time.Second, 0, "")
	record(3*time.Second, 0, "too soon")
	record(20*ms, 0, "")
	for range 8 {
		now += time.Second
		record(ms, 5, "not found")
	}
	record(ms, 13, "broken")
	var got []time.Duration
	for _, s := range r.Samples() {
		got = append(got, s.Took+time.Duration(s.Code))
		if s.Error == "too soon" {
			t.Error("two calls of a kind are kept within sampleEvery")
		}
	}
	want := []time.Duration{ms + 13, ms + 5, ms + 5, ms + 5, ms + 5, ms + 5, 2 * time.Second, 20 * ms, ms / 2, ms / 2, ms / 2, ms / 2, ms / 2}
	if !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

// BenchmarkRecord has 128 goroutines record calls of one method.
func BenchmarkRecord(b *testing.B) {
	var r Recorder
	begin := time.Now()
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		last := time.Since(begin)
		for pb.Next() {
			now := time.Since(begin)
			if r.Record(now, now-last, 0) {
				r.Keep(Sample{Took: now - last})
			}
			last = now
		}
	})
}
