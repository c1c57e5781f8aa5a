package xclient

import (
	"context"
	"errors"
	"fmt"

	"geerpc"
	"geerpc/codec"
)

// repeatable tells whether a call of the context's that failed with err may be
// made again, and whether that could end better.
func repeatable(ctx context.Context, err error) bool {
	var e *geerpc.Error
	var a awaited
	return errors.As(err, &e) && curable(e) && ctx.Err() == nil &&
		(e.Ran == geerpc.RanNever || idempotent(ctx)) &&
		!errors.Is(err, errNoServers) && // which has had its grace time
		!errors.As(err, &a) &&
		!errors.Is(err, codec.ErrTooLarge)
}

// curable tells whether another server, or the same one later, may do better.
func curable(e *geerpc.Error) bool {
	switch e.Code {
	case geerpc.CodeUnavailable, geerpc.CodeAborted:
		return true
	case geerpc.CodeDeadlineExceeded:
		return true // while the caller's own goes on: that of a dial, or of the server
	case geerpc.CodeResourceExhausted:
		return e.Ran == geerpc.RanNever // otherwise the reply is too large, or the method has had enough
	}
	return false
}

// A tally sums up the attempts of one call.
type tally struct {
	attempts int
	ran      geerpc.Ran // any of them
}

func (t *tally) add(err error) {
	ran := ranOf(err)
	if t.attempts == 0 || ran == geerpc.RanYes || ran == geerpc.RanMaybe && t.ran == geerpc.RanNever {
		t.ran = ran
	}
	t.attempts++
}

// ranOf returns whether the method of a call that ended with err ran.
func ranOf(err error) geerpc.Ran {
	var e *geerpc.Error
	switch {
	case err == nil:
		return geerpc.RanYes
	case errors.As(err, &e):
		return e.Ran
	}
	return geerpc.RanMaybe
}

// outcome returns what the call ends with when err is what one of its attempts
// ended with. What a method said stays as it is.
func (t *tally) outcome(err error) error {
	var e *geerpc.Error
	answer := !errors.As(err, &e) || e.Ran == geerpc.RanYes || !curable(e)
	if t.attempts == 1 || answer && ranOf(err) == t.ran {
		return err
	}
	return t.fail(geerpc.CodeOf(err), err)
}

// interrupted returns what the call ends with when there is no time for another
// attempt, for a cause, after one that ended with err.
func (t *tally) interrupted(cause, err error) error {
	return t.fail(geerpc.CodeOf(cause), fmt.Errorf("%w before the next: %w", cause, err))
}

// fail returns err as the error of all the attempts.
func (t *tally) fail(code geerpc.Code, err error) error {
	var last *geerpc.Error
	errors.As(err, &last)
	sum := geerpc.Errorf(code, "rpc xclient: attempt %d: %w", t.attempts, err).(*geerpc.Error)
	if sum.Ran = t.ran; last != nil {
		sum.Where = last.Where
	}
	return sum
}
