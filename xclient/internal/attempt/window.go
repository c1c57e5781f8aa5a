package attempt

import "time"

// windowHalf is half of the time over which successes and failures are counted.
const windowHalf = 5 * time.Second

// A window counts what began, succeeded and failed in the last five to ten seconds: in
// the half that is running, and in the one before it.
type window struct {
	began             time.Duration // of the running half
	running, previous counts
}

type counts struct{ begun, successes, failures int }

func (w *window) begin(now time.Duration) {
	w.advance(now)
	w.running.begun++
}

func (w *window) add(now time.Duration, failed bool) {
	w.advance(now)
	if failed {
		w.running.failures++
	} else {
		w.running.successes++
	}
}

func (w *window) sum(now time.Duration) (successes, failures int) {
	w.advance(now)
	return w.running.successes + w.previous.successes, w.running.failures + w.previous.failures
}

// advance drops what is too old.
func (w *window) advance(now time.Duration) {
	switch age := now - w.began; {
	case age < windowHalf:
	case age < 2*windowHalf:
		w.previous, w.running, w.began = w.running, counts{}, now
	default:
		*w = window{began: now}
	}
}
