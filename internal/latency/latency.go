// Package latency counts durations in buckets, and finds percentiles.
//
// The buckets are those of a log-linear histogram, as in HdrHistogram
// (https://hdrhistogram.github.io/HdrHistogram): between a power of two and the next
// there are equally many of the same width, so that the error is a fixed share of the
// duration.
package latency

import (
	"math/bits"
	"time"
)

// maxBits is how many bits a duration in nanoseconds has that is counted exactly: those
// of 68 seconds and more share the last bucket.
const maxBits = 36

// A Scale divides durations into buckets.
type Scale struct {
	Shift int // durations are rounded down to multiples of 1<<Shift nanoseconds
	Bits  int // there are 1<<Bits buckets between a power of two and the next
}

// Buckets returns how many buckets there are.
func (s Scale) Buckets() int { return (maxBits-s.Shift-s.Bits+1)<<s.Bits + 1 }

// Bucket returns the number of the bucket of d. The first is 0; a negative duration is
// in there too.
func (s Scale) Bucket(d time.Duration) int {
	if d >= 1<<maxBits {
		return s.Buckets() - 1
	}
	units := uint64(max(d, 0)) >> s.Shift
	octave := max(bits.Len64(units)-s.Bits-1, 0)
	return octave<<s.Bits + int(units>>octave)
}

// Low returns the shortest duration in a bucket. For the number after the last bucket
// it is no longer than for the last.
func (s Scale) Low(bucket int) time.Duration {
	bucket = min(bucket, s.Buckets()-1)
	octave := max(bucket>>s.Bits-1, 0)
	return time.Duration(bucket-octave<<s.Bits) << octave << s.Shift
}

// A Histogram has the number of durations in each bucket of a Scale.
type Histogram struct {
	Scale
	Counts []int64
}

// New returns an empty Histogram.
func New(s Scale) *Histogram { return &Histogram{s, make([]int64, s.Buckets())} }

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) { h.Counts[h.Bucket(d)]++ }

// Merge adds what another Histogram of the same Scale has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
}

// Count returns how many durations were counted.
func (h *Histogram) Count() (n int64) {
	for _, in := range h.Counts {
		n += in
	}
	return n
}

// Quantile returns the duration that the share q of all is not above; 0 if there are
// none. Within a bucket it assumes that the durations are spread evenly.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := q * float64(h.Count())
	seen := 0.0
	for i, n := range h.Counts {
		if n > 0 && seen+float64(n) >= rank {
			low, next := h.Low(i), h.Low(i+1)
			return low + time.Duration((rank-seen)/float64(n)*float64(next-low))
		}
		seen += float64(n)
	}
	return 0
}
