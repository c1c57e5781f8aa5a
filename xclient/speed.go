package xclient

import (
	"sync/atomic"
	"time"
)

// latencyHalfLife is how soon half of a server's latency is forgotten when no
// call ends that would renew it.
const latencyHalfLife = 10 * time.Second

// A latency is the moving average of how long calls take. It halves with each
// half-life in which none has ended: a server that was slow and gets no calls
// for it looks fast again some time, and is tried. Calls that end at the same
// moment may be lost to each other: it is a hint, and has no lock.
type latency struct {
	average atomic.Int64 // in nanoseconds, 0 before the first call has ended
	at      atomic.Int64 // when the last one ended, as sinceStart tells
}

// add counts a call that ended now. It counts for an eighth, as with the round
// trips of TCP (RFC 6298), or alone if what it is added to is old.
func (l *latency) add(took, now time.Duration) {
	average := time.Duration(l.average.Load())
	if average == 0 || l.halvings(now) > 0 {
		average = took
	} else {
		average += (took - average) / 8
	}
	l.average.Store(int64(max(average, 1)))
	l.at.Store(int64(now))
}

// get returns the average of now.
func (l *latency) get(now time.Duration) time.Duration {
	return time.Duration(l.average.Load() >> l.halvings(now))
}

// halvings returns how many half-lives have gone by. Other goroutines may have
// looked at the clock after this one did.
func (l *latency) halvings(now time.Duration) time.Duration {
	return max(now-time.Duration(l.at.Load()), 0) / latencyHalfLife
}

var processStart = time.Now()

// sinceStart is the clock of latencies, which never jumps.
func sinceStart() time.Duration { return time.Since(processStart) }
