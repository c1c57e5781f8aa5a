package middleware

import (
	"context"
	"errors"
	"slices"
	"time"

	"geerpc"
)

// A load is what a call says about the load of what was called.
type load uint8

const (
	saysNothing load = iota
	answered         // it took as long as it took
	overloaded       // it had no answer in time, or the server said so
)

// loadOf says what a call's end means to an adaptive limit.
func loadOf(ctx context.Context, err error) load {
	if err == nil && ctx.Err() == nil {
		return answered
	}
	var refusal *Refusal
	code := geerpc.CodeOf(err)
	switch {
	case code == geerpc.CodeCanceled, ctx.Err() == context.Canceled, errors.As(err, &refusal):
		return saysNothing
	case code == geerpc.CodeDeadlineExceeded, ctx.Err() == context.DeadlineExceeded:
		return overloaded
	case code == geerpc.CodeResourceExhausted && ServerFailed(ctx, err):
		return overloaded
	}
	return saysNothing
}

const (
	initialLimit  = 16
	limitSamples  = 64                     // that a median is taken of
	leastSamples  = 10                     // in a window
	limitWindow   = 100 * time.Millisecond // the shortest
	longestWindow = time.Second
	probeEvery    = 10 * time.Second
	probeAfter    = 5 // windows in which the limit shrank

	// tolerance is how many times longer than without a load calls may take. It
	// must be less than probeDivisor. Then a baseline that was measured under
	// load becomes smaller with each probe, down to the true one; otherwise
	// it would grow with the limit, without end.
	tolerance    = 2
	probeDivisor = 3

	// slack is what calls may take longer in any case: so short a time says
	// more of the scheduler than of the load.
	slack = time.Millisecond
)

// An adaptiveLimit is found by the time that calls take. It decides at the end
// of each window, a tenth of a second with ten calls at least. Its Concurrency
// guards it.
//
//	most calls had no answer in time       half
//	the median is over tolerance·baseline  less in proportion, half at most
//	a call found the limit reached         more: twice as much until it first
//	                                       shrinks, then a sixteenth and one
//
// The baseline is the median of windows in which no more than a third of the
// limit was used, by chance or because it was made so: a probe. After the limit
// was cut, calls that began before don't count. They still waited for many
// others: if they counted, each probe would find a little more than the last.
type adaptiveLimit struct {
	min, max float64
	limit    float64
	doubles  bool // until it shrinks for the first time

	baseline  time.Duration // zero: unknown
	nextProbe time.Duration
	shrunk    int // windows in a row

	probing    bool
	probed     bool    // in the window before
	afterProbe float64 // the limit then

	drains    bool          // calls are under way that began before the limit changed, too many of them
	validFrom time.Duration // calls that began before don't count

	// The window.
	begins  time.Duration
	length  time.Duration
	samples [limitSamples]time.Duration
	answers int
	late    int
	peak    int  // calls under way
	reached bool // the limit, by a call
}

func (l *adaptiveLimit) prepare(least, most int) {
	if least <= 0 {
		least = DefaultMinConcurrency
	}
	if most <= 0 {
		most = DefaultMaxConcurrency
	}
	l.min, l.max = float64(least), float64(max(most, least))
	l.limit = min(max(initialLimit, l.min), l.max)
	l.doubles = true
	l.length = limitWindow
}

func (l *adaptiveLimit) now() int { return int(l.limit) }

// begin notes a call that has a slot, and how many have.
func (l *adaptiveLimit) begin(at time.Duration, underWay int) {
	if l.drains {
		l.drains, l.begins, l.validFrom = false, at, at
	}
	l.peak = max(l.peak, underWay)
}

// end counts a call, and at the end of a window decides on the limit.
func (l *adaptiveLimit) end(at, took time.Duration, said load, underWay int) {
	hasty := said == overloaded && took < l.baseline // its caller had no time for an answer
	if said == saysNothing || hasty || l.drains || at-took < l.validFrom {
		return
	}
	if said == answered {
		l.samples[l.answers%limitSamples] = took
		l.answers++
	} else {
		l.late++
	}
	if l.answers+l.late < leastSamples || at-l.begins < l.length {
		return
	}
	before := l.limit
	l.length = min(max(l.decide(at), limitWindow), longestWindow)
	l.begins = at
	l.drains = l.limit < before || l.probed
	l.answers, l.late, l.peak, l.reached = 0, 0, underWay, false
}

// decide changes the limit. It returns how long calls take.
func (l *adaptiveLimit) decide(at time.Duration) time.Duration {
	if l.probed = l.probing; l.probed {
		l.probing, l.limit = false, l.afterProbe
	}
	if l.late > l.answers {
		l.shrink(0.5)
		return limitWindow
	}
	median := l.median()
	fewCalls := float64(l.peak*probeDivisor) <= l.limit
	if l.probed || fewCalls || l.baseline == 0 {
		l.measured(at, median, fewCalls)
	} else {
		l.follow(median)
	}
	if at >= l.nextProbe || l.shrunk >= probeAfter {
		l.probing, l.afterProbe = true, l.limit
		l.limit = max(l.min, l.limit/probeDivisor)
		l.shrunk = 0
	}
	return median
}

// measured notes a baseline. If it is much lower than the last one, the next may
// be lower still.
func (l *adaptiveLimit) measured(at, median time.Duration, fewCalls bool) {
	l.nextProbe = at + probeEvery
	if !fewCalls && (l.baseline == 0 || float64(median) < 0.8*float64(l.baseline)) {
		l.nextProbe = at + limitWindow
	}
	l.baseline = median
}

// follow makes the limit fit what calls take.
func (l *adaptiveLimit) follow(median time.Duration) {
	most := tolerance*l.baseline + slack
	switch {
	case median > most:
		l.shrink(max(0.5, float64(most)/float64(median)))
		return
	case l.reached && l.doubles:
		l.limit *= 2
	case l.reached:
		l.limit += 1 + l.limit/16
	}
	l.limit = min(l.limit, l.max)
	l.shrunk = 0
}

func (l *adaptiveLimit) shrink(factor float64) {
	l.limit = max(l.min, l.limit*factor)
	l.doubles = false
	l.shrunk++
}

// median returns that of the calls in the window which were answered.
func (l *adaptiveLimit) median() time.Duration {
	samples := l.samples
	n := min(l.answers, limitSamples)
	slices.Sort(samples[:n])
	return samples[n/2]
}
