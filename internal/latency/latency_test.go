package latency

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var scales = []Scale{{10, 3}, {0, 5}}

func TestBuckets(t *testing.T) {
	for _, s := range scales {
		last := s.Buckets() - 1
		if got := s.Bucket(-time.Second); got != 0 {
			t.Errorf("%v: a negative duration is in bucket %d", s, got)
		}
		for _, d := range []time.Duration{1 << maxBits, time.Hour, 1<<63 - 1} {
			if got := s.Bucket(d); got != last {
				t.Errorf("%v: %v is in bucket %d of %d", s, d, got, last)
			}
		}
		if low := s.Low(last); low != 1<<maxBits || s.Low(last+1) != low {
			t.Errorf("%v: the last bucket begins at %v", s, low)
		}
		for i := range last {
			low, next := s.Low(i), s.Low(i+1)
			if next <= low || s.Bucket(low) != i || s.Bucket(next-1) != i {
				t.Fatalf("%v: bucket %d is from %v to %v, and those are in %d and %d", s, i, low, next, s.Bucket(low), s.Bucket(next-1))
			}
			if width := next - low; width > 1<<s.Shift && float64(width) > float64(low)/float64(int(1)<<s.Bits) {
				t.Errorf("%v: bucket %d from %v is %v wide", s, i, low, width)
			}
		}
	}
}

func TestQuantile(t *testing.T) {
	for _, s := range scales {
		h, other := New(s), New(s)
		if got := h.Quantile(0.5); got != 0 {
			t.Errorf("the median of nothing is %v", got)
		}
		durations := make([]time.Duration, 10_000)
		for i := range durations {
			durations[i] = time.Duration(rand.ExpFloat64() * float64(3*time.Millisecond))
			[]*Histogram{h, other}[i%2].Add(durations[i])
		}
		h.Merge(other)
		slices.Sort(durations)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			want := durations[int(q*float64(len(durations)))-1]
			got := h.Quantile(q)
			if off := float64(got-want) / float64(want); off > 1.2/float64(int(1)<<s.Bits) || off < -1.2/float64(int(1)<<s.Bits) {
				t.Errorf("%v: quantile %v is %v, want %v", s, q, got, want)
			}
		}
	}
}
