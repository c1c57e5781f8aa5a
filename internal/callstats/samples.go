package callstats

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A kind of calls: successes, by how long they took, and failures, by their code.
type kind int

// slower are the successful calls that took as long as slowSteps says, or longer.
const slower = 5

const kinds = slower + Codes

var slowSteps = [slower]time.Duration{0, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second}

func kindOf(took time.Duration, code uint8) kind {
	if code != 0 {
		return slower + kind(clamp(code))
	}
	k := kind(slower - 1)
	for took < slowSteps[k] && k > 0 {
		k--
	}
	return k
}

// A Sample is a call that has ended.
type Sample struct {
	At    time.Time // when it ended
	Took  time.Duration
	Code  uint8
	Peer  string
	Error string // "" if it has succeeded
	Trace string // the id of its trace, "" if there is none
}

const (
	samplesKept = 5                      // of each kind
	sampleEvery = 200 * time.Millisecond // of each kind: what quick calls in great number cost must stay small
)

// samples are the latest calls of each kind.
type samples struct {
	due [kinds]atomic.Int64 // when the next one is wanted; 0: at once

	mu   sync.Mutex // guards kept
	kept [kinds][]Sample
}

// want reports whether a call that ended now is to be kept. It does so once for each
// time that has come.
func (s *samples) want(now time.Duration, k kind) bool {
	due := s.due[k].Load()
	return (due == 0 || int64(now)-due >= 0) && s.due[k].CompareAndSwap(due, int64(now+sampleEvery))
}

// Keep keeps a call for which Record has reported true.
func (r *Recorder) Keep(call Sample) {
	k := kindOf(call.Took, call.Code)
	s := &r.samples
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept[k]) == samplesKept {
		s.kept[k] = slices.Delete(s.kept[k], 0, 1)
	}
	s.kept[k] = append(s.kept[k], call)
}

// Samples returns the latest calls of each kind, the failures first, then the slowest
// kind. Within a kind the latest call is the first.
func (r *Recorder) Samples() (list []Sample) {
	s := &r.samples
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := kinds - 1; k >= 0; k-- {
		for _, call := range slices.Backward(s.kept[k]) {
			list = append(list, call)
		}
	}
	return list
}
