package xclient

import (
	"fmt"
	"math"
	"slices"
	"time"

	"geerpc/xclient/internal/attempt"
)

// judge looks at all servers together, once in a while: at how fast they are as
// a rule, and at those that stand out.
func (f *fleet) judge() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := attempt.Now()
	f.compareLocked(now)
	if f.ejection.Failures < 0 {
		return
	}
	silent := make(map[*Server]string)
	answering := 0
	for _, s := range f.servers {
		if s.health.is(ejected | down) {
			continue
		}
		if reason := f.outlierLocked(s, now); reason != "" {
			f.ejectLocked(s, reason)
		} else if reason := f.silentLocked(s, now); reason != "" {
			silent[s] = reason
		} else if f.pollLocked(now).shares[s].answers > 0 {
			answering++
		}
	}
	if len(silent) > answering {
		return // it is not theirs
	}
	for s, reason := range silent {
		f.ejectLocked(s, reason)
	}
}

// compareLocked tells each server the median of the averages of those that offer
// the same services and have answered lately, the lower one of two; zero if none
// has.
func (f *fleet) compareLocked(now time.Duration) {
	averages := make(map[string][]time.Duration)
	for _, s := range f.servers {
		if average := s.record.CurrentAverage(now); average > 0 {
			key := s.Endpoint().offer()
			averages[key] = append(averages[key], average)
		}
	}
	for _, of := range averages {
		slices.Sort(of)
	}
	for _, s := range f.servers {
		var median time.Duration
		if of := averages[s.Endpoint().offer()]; len(of) > 0 {
			median = of[(len(of)-1)/2]
		}
		s.typical.Store(int64(median))
	}
}

// A server stands out if of this many calls at least this share fails more than
// on the others, and by this many standard deviations.
const (
	outlierCalls      = 20
	outlierShare      = 0.3
	outlierDeviations = 4
)

// outlierLocked returns why the server is to be ejected for failing more often
// than others, "" if it isn't.
func (f *fleet) outlierLocked(s *Server, now time.Duration) string {
	own := f.pollLocked(now).shares[s]
	calls := own.answers + own.failures
	if calls < outlierCalls {
		return ""
	}
	fails, others := ratio(own.failures, calls), f.othersLocked(s, now)
	deviation := math.Sqrt(others * (1 - others) / float64(calls))
	if fails-others < max(outlierShare, outlierDeviations*deviation) {
		return ""
	}
	return fmt.Sprintf("%.0f %% of %d calls failed, %.0f %% on the others", 100*fails, calls, 100*others)
}

// silentLocked returns why the server is to be ejected for giving no answers.
func (f *fleet) silentLocked(s *Server, now time.Duration) string {
	attempts, waited := s.record.Silence(now)
	if f.ejection.Silence < 0 || attempts < f.ejection.Failures && !(attempts > 0 && s.health.is(probation)) {
		return ""
	}
	if waited < max(f.ejection.Silence, 4*s.record.Average(now)) {
		return ""
	}
	return fmt.Sprintf("%d calls without an answer for %s", attempts, waited.Round(time.Millisecond))
}
