package xclient

import (
	"fmt"
	"math"
	"slices"
	"time"

	"geerpc/xclient/internal/attempt"
)

// Outlier detection: once a second all servers are compared, and those ejected that
// fail much more often than the others, or give no answers.

// detectOutliers looks at all servers together: at how fast they are as a rule, and
// at those that stand out.
func (set *endpointSet) detectOutliers() {
	set.mu.Lock()
	defer set.mu.Unlock()
	now := attempt.Now()
	set.updateMediansLocked(now)
	if set.ejection.Failures < 0 {
		return
	}
	silent := make(map[*Server]string)
	answering := 0
	for _, s := range set.servers {
		if s.health.is(ejected | down) {
			continue
		}
		if reason := set.failureOutlierLocked(s, now); reason != "" {
			set.ejectLocked(s, reason)
		} else if reason := set.unresponsiveLocked(s, now); reason != "" {
			silent[s] = reason
		} else if set.sampleLocked(now).byServer[s].successes > 0 {
			answering++
		}
	}
	if len(silent) > answering {
		return // it is not theirs
	}
	for s, reason := range silent {
		set.ejectLocked(s, reason)
	}
}

// updateMediansLocked gives each server the median latency of those that offer the
// same services and have answered lately, the lower one of two; zero if none has.
func (set *endpointSet) updateMediansLocked(now time.Duration) {
	averages := make(map[string][]time.Duration)
	for _, s := range set.servers {
		if average := s.record.CurrentAverage(now); average > 0 {
			key := s.Endpoint().offer()
			averages[key] = append(averages[key], average)
		}
	}
	for _, of := range averages {
		slices.Sort(of)
	}
	for _, s := range set.servers {
		var median time.Duration
		if of := averages[s.Endpoint().offer()]; len(of) > 0 {
			median = of[(len(of)-1)/2]
		}
		s.median.Store(int64(median))
	}
}

// A server stands out if, of at least outlierCalls calls, more fail than on the
// others by a share of outlierExcess, and by outlierDeviations standard
// deviations.
const (
	outlierCalls      = 20
	outlierExcess     = 0.3
	outlierDeviations = 4
)

// failureOutlierLocked returns why to eject the server for failing more often than
// others, "" for no reason.
func (set *endpointSet) failureOutlierLocked(s *Server, now time.Duration) string {
	own := set.sampleLocked(now).byServer[s]
	calls := own.successes + own.failures
	if calls < outlierCalls {
		return ""
	}
	fails, others := ratio(own.failures, calls), set.othersFailureRateLocked(s, now)
	deviation := math.Sqrt(others * (1 - others) / float64(calls))
	if fails-others < max(outlierExcess, outlierDeviations*deviation) {
		return ""
	}
	return fmt.Sprintf("%.0f %% of %d calls failed, %.0f %% on the others", 100*fails, calls, 100*others)
}

// unresponsiveLocked returns why to eject the server for giving no answers, "" for
// no reason.
func (set *endpointSet) unresponsiveLocked(s *Server, now time.Duration) string {
	attempts, waited := s.record.Silence(now)
	if set.ejection.Silence < 0 || attempts < set.ejection.Failures && !(attempts > 0 && s.health.is(probation)) {
		return ""
	}
	if waited < max(set.ejection.Silence, 4*s.record.Average(now)) {
		return ""
	}
	return fmt.Sprintf("%s without an answer for %s", plural(attempts, "call"), waited.Round(time.Millisecond))
}

// A sample is what all servers have shown in the last five to ten seconds.
type sample struct {
	at                            time.Duration
	successes, failures           int
	calledServers, failingServers int // servers that had calls, and that fail now
	byServer                      map[*Server]serverSample
}

// A serverSample is what one server has shown in that time.
type serverSample struct{ successes, failures, consecutive int }

// failingAfter is how many consecutive failures are no coincidence.
const failingAfter = 2

// sampleMaxAge is how long a sample is used: taking one is linear in the servers.
const sampleMaxAge = 100 * time.Millisecond

// sampleMinAge is the least time between two samples.
const sampleMinAge = 5 * time.Millisecond

// resampleLocked makes sure that the sample is from after a time. It returns false
// if it is too early for another one.
func (set *endpointSet) resampleLocked(since, now time.Duration) bool {
	if set.sample.byServer != nil && set.sample.at <= since {
		if now-set.sample.at < sampleMinAge {
			return false
		}
		set.sample.byServer = nil
	}
	return true
}

// sampleLocked returns the sample, a new one if the last is too old.
func (set *endpointSet) sampleLocked(now time.Duration) *sample {
	if set.sample.byServer != nil && now-set.sample.at < sampleMaxAge {
		return &set.sample
	}
	all := sample{at: now, byServer: make(map[*Server]serverSample, len(set.servers))}
	for _, s := range set.servers {
		var own serverSample
		if own.successes, own.failures, own.consecutive = s.record.Recent(now); own.successes+own.failures == 0 {
			continue
		}
		all.byServer[s] = own
		all.add(own, 1)
	}
	set.sample = all
	return &set.sample
}

// add counts a server n times: 1 adds it, -1 takes it out.
func (all *sample) add(own serverSample, n int) {
	all.successes += n * own.successes
	all.failures += n * own.failures
	all.calledServers += n
	if own.consecutive >= failingAfter {
		all.failingServers += n
	}
}

// othersFailureRateLocked returns the share of calls that fail on the other servers:
// the recent share of their calls or, if greater, the share of servers that are
// failing now. When everything fails at once the former lags behind.
func (set *endpointSet) othersFailureRateLocked(s *Server, now time.Duration) float64 {
	others := *set.sampleLocked(now)
	if own, ok := others.byServer[s]; ok {
		others.add(own, -1)
	}
	return max(ratio(others.failures, others.successes+others.failures), ratio(others.failingServers, others.calledServers))
}

func ratio(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// plural returns a number with its noun.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
