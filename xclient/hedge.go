package xclient

import (
	"context"
	"errors"
	"time"

	"geerpc"
	"geerpc/xclient/internal/budget"
)

// DefaultMaxHedgeAttempts is how often at most a Hedge makes a call, unless told
// otherwise.
const DefaultMaxHedgeAttempts = 2

// hedgeFloor is how many further attempts in ten seconds are allowed in any case:
// fewer than with Retry, as slowness is less of a reason than failure.
const hedgeFloor = 10

// A Hedge cuts off the slow end of calls that are marked with Idempotent: when
// one has had no answer for a while it is made again, on another server if
// there is one, while the first attempt goes on. The first answer counts, be
// it an error, unless another server may do better; the attempts without one
// are cancelled, on the wire too, before the call returns.
//
// Hedging is for slowness: a call whose attempts have all failed fails, without
// another one. In an XClient hedging is outside of retrying, so that each
// attempt retries by itself. When several attempts fail, the error names the
// number of the last, and its Ran tells whether the method ran in any of them.
//
// Each attempt has a reply of its own, and reply metadata. The caller's reply
// is set to that of the attempt which counts, and loses what it held; the
// metadata is added to the caller's. args is encoded by several goroutines at
// once.
//
// Attempts after the first are limited to 20 % of the marked calls of the last
// ten seconds, or to ten in that time if that is more. A call beyond that waits
// for the attempts that it has. Those of Retry come on top, 20 % of all attempts
// of Hedge: where everything is slow and then fails, servers get at most 44 %
// more than there are calls.
//
// The zero Hedge does nothing.
type Hedge struct {
	// Delay is how long to wait for each attempt before the next is made. What 95 % of the calls stay under is a good choice. Zero or
	// negative: calls are not hedged.
	Delay time.Duration

	// MaxAttempts limits how often a call is made, the first time included. Zero: 2;
	// 1 or negative: calls are not hedged.
	MaxAttempts int
}

// Intercept implements the policy as a geerpc.Interceptor. All calls through
// what it returns, which is safe for concurrent use, share one budget.
func (h Hedge) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	return h.intercept(next, budget.New(budget.DefaultShare, hedgeFloor))
}

func (h Hedge) intercept(next geerpc.CallFunc, b *budget.Budget) geerpc.CallFunc {
	h = h.withDefaults()
	if h.Delay <= 0 || h.MaxAttempts <= 1 {
		return next
	}
	return (&hedger{Hedge: h, next: next, budget: b}).call
}

func (h Hedge) withDefaults() Hedge {
	if h.MaxAttempts == 0 {
		h.MaxAttempts = DefaultMaxHedgeAttempts
	}
	return h
}

// A hedger is a Hedge at work, its defaults filled in.
type hedger struct {
	Hedge
	next   geerpc.CallFunc
	budget *budget.Budget
}

func (h *hedger) call(ctx context.Context, serviceMethod string, args, reply any) error {
	if !isIdempotent(ctx) {
		return h.next(ctx, serviceMethod, args, reply)
	}
	target, err := newTarget(ctx, reply)
	if err != nil {
		return err
	}
	h.budget.AddCall()
	attempts, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan hedged)
	r := race{caller: ctx, cancel: cancel}
	r.attempts.serviceMethod = serviceMethod
	begin := func() {
		a := hedged{copied: target.copy(attempts)}
		go runDetached(func() error { // ends when the attempt is received below
			return h.next(a.ctx, serviceMethod, args, a.reply)
		}, func(err error) {
			a.err = err
			ended <- a
		})
		r.running++
	}
	begin()
	h.watch(&r, begin, ended)
	if r.last.err == nil {
		target.take(r.last.copied)
	}
	return r.attempts.result(r.last.err)
}

// watch begins the attempts after the first, and returns when all have ended:
// nobody touches the caller's arguments any more.
func (h *hedger) watch(r *race, begin func(), ended <-chan hedged) {
	timer := time.NewTimer(h.Delay)
	defer timer.Stop()
	for r.running > 0 {
		select {
		case a := <-ended:
			r.end(a)
		case <-timer.C:
			if begun := r.running + r.attempts.count; !r.decided && begun < h.MaxAttempts && h.budget.Spend() {
				begin()
				timer.Reset(h.Delay)
			}
		}
	}
}

// A hedged is one attempt at a call, with its own copy of the reply.
type hedged struct {
	copied
	err error
}

// errOutrun is why an attempt was cancelled that another one outran.
var errOutrun = errors.New("another attempt was faster")

// A race is the attempts of one call. It is its caller's goroutine's.
type race struct {
	caller   context.Context
	cancel   context.CancelCauseFunc // ends the attempts that are running
	running  int
	attempts attempts
	last     hedged // to end or, if decided, the one that counts
	decided  bool
}

func (r *race) end(a hedged) {
	r.running--
	r.attempts.add(a.err)
	if r.decided {
		return
	}
	r.last = a
	if a.err == nil || !retryable(r.caller, a.err) {
		r.decided = true
		r.cancel(errOutrun)
	}
}
