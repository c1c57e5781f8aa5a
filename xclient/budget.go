package xclient

import (
	"math"
	"sync/atomic"
	"time"

	"geerpc/xclient/internal/attempt"
)

const (
	defaultBudget = 0.2 // further attempts per call
	budgetWindow  = 10  // seconds over which calls and attempts are counted
	retryFloor    = 100 // further attempts in that time that are allowed in any case,
	hedgeFloor    = 10  // for which slowness is less of a reason than failure
)

// A budget keeps the further attempts that a policy makes to a share of the
// calls it has seen in the last ten seconds, so that servers which fail because
// they have too much to do don't get more; or to a few, for clients that have
// few calls. (Finagle's retry budgets are like this.)
type budget struct {
	share   float64 // negative: no limit
	floor   float64
	made    atomic.Int64 // further attempts, ever
	refused atomic.Int64 // the same
	seconds [budgetWindow]budgetCount
}

// A budgetCount counts what came in one second. When it is used for another
// one, some of what comes at the same moment may be lost.
type budgetCount struct {
	second atomic.Int64 // by attempt.Now
	calls  atomic.Int64
	spent  atomic.Int64 // on further attempts
}

// newBudget returns a budget of share further attempts per call, or of floor in
// ten seconds. Zero is the default, a negative share no limit.
func newBudget(share, floor float64) *budget {
	if share == 0 {
		share = defaultBudget
	}
	return &budget{share: share, floor: floor}
}

// now returns the count of this second.
func (b *budget) now() *budgetCount {
	second := int64(attempt.Now() / time.Second)
	count := &b.seconds[second%budgetWindow]
	if last := count.second.Load(); last != second && count.second.CompareAndSwap(last, second) {
		count.calls.Store(0)
		count.spent.Store(0)
	}
	return count
}

// pay is for each call.
func (b *budget) pay() {
	if b.share >= 0 {
		b.now().calls.Add(1)
	}
}

// spend is for each further attempt, which must not be made if it reports
// false.
func (b *budget) spend() bool {
	if b.left() < 1 {
		b.refused.Add(1)
		return false
	}
	b.now().spent.Add(1)
	b.made.Add(1)
	return true
}

// left returns how many further attempts may be made.
func (b *budget) left() float64 {
	if b.share < 0 {
		return math.Inf(1)
	}
	second := int64(attempt.Now() / time.Second)
	var calls, spent int64
	for i := range b.seconds {
		if count := &b.seconds[i]; second-count.second.Load() < budgetWindow {
			calls += count.calls.Load()
			spent += count.spent.Load()
		}
	}
	return max(b.share*float64(calls), b.floor) - float64(spent)
}
