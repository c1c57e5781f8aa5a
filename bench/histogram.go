package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are 3 % wide or less: 32 of them
// between a power of two and the next, from a nanosecond to a minute.
type histogram [(36 - 5) * 32]uint32

func (h *histogram) add(d time.Duration) {
	h[min(bucket(uint64(max(d, 0))), len(h)-1)]++
}

// bucket returns the number of the bucket that ns is in. Up to 63 each
// nanosecond has its own; above, the six highest bits count.
func bucket(ns uint64) int {
	if ns < 64 {
		return int(ns)
	}
	shift := bits.Len64(ns) - 6
	return shift*32 + int(ns>>shift)
}

// low returns the shortest duration in a bucket.
func low(bucket int) time.Duration {
	if bucket < 64 {
		return time.Duration(bucket)
	}
	shift := bucket/32 - 1
	return time.Duration(bucket%32+32) << shift
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// quantile returns the duration that the share q of all is not above, give or
// take the width of a bucket.
func (h *histogram) quantile(q float64) time.Duration {
	var total uint64
	for _, n := range h {
		total += uint64(n)
	}
	var seen uint64
	for i, n := range h {
		seen += uint64(n)
		if n > 0 && float64(seen) >= q*float64(total) {
			return (low(i) + low(i+1)) / 2
		}
	}
	return 0
}
