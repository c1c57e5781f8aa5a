package attempt

import (
	"context"
	"errors"
	"time"

	"geerpc"
	"geerpc/codec"
)

// An Outcome is how an attempt ended, as far as that says something about its
// server.
type Outcome uint8

const (
	NoEvidence  Outcome = iota // it was never sent, or the call itself was wrong
	Replied                    // a reply came
	MethodError                // an error of the method came
	OtherError                 // the server would not run the call: unknown, not allowed, not decodable
	Refused                    // the server could not run it, or not within its own timeout
	Late                       // the deadline passed
	Lost                       // the connection broke
	GivenUp                    // the caller left, or took another attempt's answer
	tooSoon                    // Late or GivenUp, before an answer could be expected
)

// OutcomeOf returns the outcome of an attempt that ended with err after took.
func OutcomeOf(ctx context.Context, err error, took time.Duration) Outcome {
	if err == nil {
		return Replied
	}
	var e *geerpc.Error // declared after the return: it is allocated here
	if !errors.As(err, &e) {
		return NoEvidence
	}
	switch e.Where {
	case geerpc.InClient:
		return notSent(e, took)
	case geerpc.OnLink:
		return notAnswered(e)
	case geerpc.InServer:
		return serverError(e)
	}
	switch {
	case e.Code != geerpc.CodeDeadlineExceeded:
		return MethodError
	case e.Ran != geerpc.RanYes: // the server's handle timeout
		return Refused
	case atDeadline(ctx, took):
		return Late
	}
	return MethodError
}

// notSent is the outcome of a call that failed before it was sent. If it waited
// for a slot among the calls in flight, the server is as late as with any other.
func notSent(e *geerpc.Error, took time.Duration) Outcome {
	waited := took >= time.Millisecond
	switch {
	case waited && e.Code == geerpc.CodeDeadlineExceeded:
		return Late
	case waited && e.Code == geerpc.CodeCanceled:
		return GivenUp
	}
	return NoEvidence
}

// notAnswered is the outcome of a call that was sent and got no answer.
func notAnswered(e *geerpc.Error) Outcome {
	switch e.Code {
	case geerpc.CodeCanceled:
		return GivenUp
	case geerpc.CodeDeadlineExceeded:
		return Late
	}
	return Lost
}

// serverError is the outcome of a call that the server, and not the method,
// answered with an error.
func serverError(e *geerpc.Error) Outcome {
	switch e.Code {
	case geerpc.CodeUnavailable, geerpc.CodeDeadlineExceeded:
		return Refused
	case geerpc.CodeResourceExhausted:
		if !errors.Is(e, codec.ErrTooLarge) {
			return Refused
		}
	}
	return OtherError
}

// atDeadline reports whether an attempt has used up its deadline, or nearly: a
// method may keep a little of the time for itself.
func atDeadline(ctx context.Context, took time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= took/10
}

// An evidence is what an outcome proves. The documentation of package xclient
// has the same table in words.
type evidence struct {
	latency latencyEvidence
	health  healthEvidence
	heard   bool // the server is there, and answers
}

// A latencyEvidence is what the duration of an attempt says about the server's
// latency.
type latencyEvidence uint8

const (
	noLatency latencyEvidence = iota
	exact                     // an answer takes this long
	atLeast                   // an answer takes no less
	inVain                    // this was spent without getting an answer
)

// A healthEvidence is how an attempt changes the number of consecutive
// failures.
type healthEvidence uint8

const (
	noHealth    healthEvidence = iota
	success                    // back to zero
	failure                    // one more
	failureOnce                // one more for all attempts on the same connection
)

var evidenceOf = [...]evidence{
	NoEvidence:  {},
	Replied:     {exact, success, true},
	MethodError: {atLeast, success, true},
	OtherError:  {noLatency, noHealth, true},
	Refused:     {inVain, failure, true},
	Late:        {inVain, failure, false},
	Lost:        {inVain, failureOnce, false},
	GivenUp:     {inVain, noHealth, false},
	tooSoon:     {inVain, noHealth, false},
}
