package xclient

import (
	"context"
	"math"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
	"geerpc/xclient/internal/budget"
)

// The defaults of a Retry.
const (
	DefaultMaxAttempts = 3
	DefaultBackoff     = 50 * time.Millisecond
	DefaultMaxBackoff  = time.Second
)

// unlimitedBackoff is in place of a maximum. It can be doubled.
const unlimitedBackoff time.Duration = math.MaxInt64 / 2

// retryFloor is how many further attempts in ten seconds are allowed in any case.
const retryFloor = 100

// A Retry makes calls again that have failed, where that is safe and may help.
//
// It is safe if the error says that the method never ran, or if the context is
// marked with Idempotent. It may help if the code is CodeUnavailable or
// CodeAborted, if it is CodeDeadlineExceeded and means not the caller's own
// deadline but that of a dial or of the server, or if it is
// CodeResourceExhausted before the method ran, of a message that is not too
// large. It does not help where a Discovery has no servers, or was waited for in
// vain: nobody waits for a registry twice. An XClient makes each further attempt
// on another server while there is one that has not been tried.
//
// A call whose method never ran is made again at once; before further attempts
// there is a pause. If the caller's deadline would pass in it, the call fails
// without waiting. When the last of several attempts fails, the error names its
// number, and its Ran tells whether the method ran in any of them; what the
// method itself said is returned as it is. Reply metadata is that of all
// attempts.
//
// The zero Retry has the defaults.
type Retry struct {
	// MaxAttempts limits how often a call is made, the first time included.
	// Zero: 3; 1 or negative: calls are not made again.
	MaxAttempts int

	// Backoff is the first pause; each further one of the same call is twice
	// as long, up to MaxBackoff. What is waited is a random time between half
	// of that and all. Zero: 50 ms and 1 s; a negative Backoff is no pause, a
	// negative MaxBackoff no limit.
	Backoff, MaxBackoff time.Duration

	// Budget limits the attempts after the first to a share of the calls that
	// one client makes, so that servers which fail under load don't get even
	// more: 0.2 allows one for every five calls of the last ten seconds. A
	// hundred in ten seconds are always allowed. Zero: 0.2; negative: no limit.
	Budget float64
}

// Intercept implements the policy as a geerpc.Interceptor. All calls through
// what it returns, which is safe for concurrent use, share one budget.
func (r Retry) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	return r.intercept(next, budget.New(r.Budget, retryFloor))
}

func (r Retry) intercept(next geerpc.CallFunc, b *budget.Budget) geerpc.CallFunc {
	r = r.withDefaults()
	if r.MaxAttempts <= 1 {
		return next
	}
	return (&retrier{Retry: r, next: next, budget: b}).call
}

func (r Retry) withDefaults() Retry {
	if r.MaxAttempts == 0 {
		r.MaxAttempts = DefaultMaxAttempts
	}
	if r.Backoff == 0 {
		r.Backoff = DefaultBackoff
	}
	switch {
	case r.MaxBackoff == 0:
		r.MaxBackoff = DefaultMaxBackoff
	case r.MaxBackoff < 0:
		r.MaxBackoff = unlimitedBackoff
	}
	r.Backoff = min(r.Backoff, r.MaxBackoff)
	return r
}

// A retrier is a Retry at work, its defaults filled in.
type retrier struct {
	Retry
	next   geerpc.CallFunc
	budget *budget.Budget
}

func (r *retrier) call(ctx context.Context, serviceMethod string, args, reply any) error {
	r.budget.AddCall()
	err := r.next(ctx, serviceMethod, args, reply)
	if err == nil {
		return nil
	}
	again := func() error { return r.next(ctx, serviceMethod, args, reply) }
	t := attempts{serviceMethod: serviceMethod}
	t.add(err)
	return r.repeat(ctx, &t, err, again)
}

// repeat makes a call again whose first attempt, which t has counted, ended with err.
func (r *retrier) repeat(ctx context.Context, t *attempts, err error, again func() error) error {
	longest := r.Backoff
	for t.count < r.MaxAttempts && retryable(ctx, err) {
		var pause time.Duration
		if t.count > 1 || ranOf(err) != geerpc.RanNever {
			pause = backoff.Jitter(longest)
			longest = min(backoff.Double(longest), r.MaxBackoff)
		}
		if !timeFor(ctx, pause) || !r.budget.Spend() {
			break
		}
		if cause := wait(ctx, pause); cause != nil {
			return t.interrupted(cause, err)
		}
		if err = again(); err == nil {
			return nil
		}
		t.add(err)
	}
	return t.result(err)
}

// wait waits for a while. It returns why it has ended early, if it has: ctx's
// error, or ErrShutdown if that is of an XClient which has been closed.
func wait(ctx context.Context, d time.Duration) error {
	closed := closedOf(ctx)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return geerpc.ErrShutdown
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return geerpc.ErrShutdown
	}
}

// timeFor reports whether the deadline leaves time after a pause.
func timeFor(ctx context.Context, pause time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > pause
}
