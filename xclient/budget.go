package xclient

import "sync/atomic"

const (
	defaultBudget = 0.2  // further attempts per call
	budgetAdvance = 100  // further attempts that may come before the calls which pay for them
	budgetBurst   = 1000 // further attempts that calls can pay for ahead

	budgetCost = 1_000_000 // of a further attempt, in the unit of a budget's level
)

// A budget keeps the further attempts that a policy makes to a share of the
// calls it sees, so that servers which fail because they have too much to do
// don't get more. A nil budget has no limit.
type budget struct {
	share    int64        // what each call pays in
	level    atomic.Int64 // negative while advances are to be paid back
	advances atomic.Int64 // that are left
}

// newBudget returns a budget of share further attempts per call. Zero is the
// default, a negative share no limit.
func newBudget(share float64) *budget {
	if share < 0 {
		return nil
	}
	if share == 0 {
		share = defaultBudget
	}
	b := &budget{share: int64(min(share, budgetBurst) * budgetCost)}
	b.advances.Store(budgetAdvance)
	return b
}

// pay is for each call.
func (b *budget) pay() {
	if b != nil && b.level.Load() < budgetBurst*budgetCost { // mostly it is full, and nobody writes to it
		b.level.Add(b.share)
	}
}

// spend is for each further attempt, which must not be made if it reports
// false.
func (b *budget) spend() bool {
	if b == nil {
		return true
	}
	for level := b.level.Load(); level >= budgetCost; level = b.level.Load() {
		if b.level.CompareAndSwap(level, level-budgetCost) {
			return true
		}
	}
	if b.advances.Load() <= 0 || b.advances.Add(-1) < 0 {
		return false
	}
	b.level.Add(-budgetCost)
	return true
}
