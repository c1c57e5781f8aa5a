package callstats

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxReasons is how many reasons are kept: a peer may make up any number of them.
const maxReasons = 20

// Refusals are what was refused, with the latest reasons. They are safe for concurrent use.
// The zero value is ready.
type Refusals struct {
	total atomic.Int64

	mu      sync.Mutex // guards reasons
	reasons []Refusal  // each once, the latest last
}

// A Refusal is a reason for which something was refused.
type Refusal struct {
	Reason string
	Count  int64     // how often, as long as it is among the latest reasons
	At     time.Time // the last time
	Peer   string    // likewise
}

// Add counts a refusal.
func (r *Refusals) Add(reason, peer string) {
	r.total.Add(1)
	now := Refusal{reason, 1, time.Now(), peer}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.reasons, func(old Refusal) bool { return old.Reason == reason })
	if i >= 0 {
		now.Count += r.reasons[i].Count
	} else if len(r.reasons) == maxReasons {
		i = 0
	}
	if i >= 0 {
		r.reasons = slices.Delete(r.reasons, i, i+1)
	}
	r.reasons = append(r.reasons, now)
}

// Total returns how many there were.
func (r *Refusals) Total() int64 { return r.total.Load() }

// Latest returns the latest reasons, the last one last.
func (r *Refusals) Latest() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reasons)
}
