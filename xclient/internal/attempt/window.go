package attempt

import (
	"time"

	"geerpc"
)

// windowHalf is half of the time over which successes and failures are counted.
const windowHalf = 5 * time.Second

// A window counts what began, succeeded and failed, and errors by code, in the last five to ten seconds: in
// the half that is running, and in the one before it.
type window struct {
	began             time.Duration // of the running half
	running, previous counts
}

type counts struct {
	begun, successes, failures int
	errors                     codeCounts
}

// codeCounts are numbers of errors by code. A code that we don't know counts as
// CodeUnknown.
type codeCounts [geerpc.CodeUnauthenticated + 1]int32

func (w *window) addError(now time.Duration, code geerpc.Code) {
	w.advance(now)
	if int(code) >= len(w.running.errors) {
		code = geerpc.CodeUnknown
	}
	w.running.errors[code]++
}

// errorsByCode returns the codes that there were, nil if there were none.
func (w *window) errorsByCode(now time.Duration) (errs map[geerpc.Code]int) {
	w.advance(now)
	for code := range w.running.errors {
		if n := w.running.errors[code] + w.previous.errors[code]; n > 0 {
			if errs == nil {
				errs = make(map[geerpc.Code]int)
			}
			errs[geerpc.Code(code)] = int(n)
		}
	}
	return errs
}

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
