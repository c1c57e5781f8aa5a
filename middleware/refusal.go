package middleware

import (
	"context"
	"maps"
	"sync"
	"time"

	"geerpc"
)

// A Refusal is why a middleware did not let a call pass. It is in the chain of
// the call's error, on the side that refused it:
//
//	var r *middleware.Refusal
//	if errors.As(err, &r) {
//		refused.WithLabels(r.By, r.Reason).Inc()
//	}
//
// Only the text of an error crosses the wire. A client whose call was refused by
// the server learns from it what is said here, and from the error's code.
type Refusal struct {
	// By names the kind of middleware: "rate limit", "concurrency", "shed",
	// "breaker" or "authorize".
	By string

	// Reason is one of the few reasons that the middleware has, in a few
	// words. It never has anything in it that a caller sends, so both fields
	// are fit to be labels of a metric.
	Reason string

	// RetryAfter is how long it takes until such a call may pass, if that is
	// known. Zero: it is not.
	RetryAfter time.Duration
}

// Error returns a text such as "rpc: refused by rate limit: no token left; try
// again in 20ms".
func (r *Refusal) Error() string {
	if r.RetryAfter <= 0 {
		return "rpc: refused by " + r.By + ": " + r.Reason
	}
	return "rpc: refused by " + r.By + ": " + r.Reason + "; try again in " + r.RetryAfter.String()
}

// refused returns the error of a call that is refused. A server that answers
// with it corrects where that was. A server that is overloaded makes many of them: one
// costs two allocations, the text included.
func (r Refusal) refused(code geerpc.Code) error {
	e := &struct {
		geerpc.Error
		Refusal Refusal
	}{Refusal: r}
	e.Error = geerpc.Error{Code: code, Message: e.Refusal.Error(), Where: geerpc.InClient, Ran: geerpc.RanNever, Cause: &e.Refusal}
	return &e.Error
}

// A refuser makes the refusals of one middleware, and counts them.
type refuser struct {
	mu     sync.Mutex
	counts map[string]int64 // by reason; guarded by mu
}

func (c *refuser) refuse(code geerpc.Code, r Refusal) error {
	c.mu.Lock()
	if c.counts == nil {
		c.counts = make(map[string]int64)
	}
	c.counts[r.Reason]++
	c.mu.Unlock()
	return r.refused(code)
}

// byReason returns how many calls were refused, by reason.
func (c *refuser) byReason() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// admitting returns next behind a function for Server.Admit.
func admitting(admit func(context.Context, string) error, next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		if err := admit(ctx, serviceMethod); err != nil {
			return err
		}
		return next(ctx, serviceMethod, args, reply)
	}
}

// startsEarlier makes all times positive, in a test's bubble too. With much more of it a
// program that begins in 1970 would have no monotonic clock: package time knows none
// before 1885.
const startsEarlier = 50 * 365 * 24 * time.Hour

var start = time.Now().Add(-startsEarlier)

// now returns the time by a clock that is never set.
func now() time.Duration { return time.Since(start) }
