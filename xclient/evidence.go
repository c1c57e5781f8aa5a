package xclient

import (
	"context"
	"errors"
	"time"

	"geerpc"
	"geerpc/codec"
)

// An outcome is how an attempt ended, as far as that says something of its
// server.
type outcome uint8

const (
	noEvidence  outcome = iota // it never left, or the call was wrong in itself
	replied                    // a reply came
	methodError                // an error of the method came
	otherError                 // the server would not run the call: unknown, not allowed, not decodable
	refused                    // the server could not run it, or not in its own time
	late                       // the deadline passed
	lost                       // the connection broke
	givenUp                    // its caller left, or took another attempt's answer
	hasty                      // late or given up, before an answer could be expected
)

// A lesson is what is learnt from an outcome. The package comment has the table.
type lesson struct {
	time  timeLesson
	row   rowLesson
	heard bool // the server is there, and answers
}

// A timeLesson is what the time that an attempt took says of a server's speed.
type timeLesson uint8

const (
	noTime  timeLesson = iota
	exact              // an answer takes this long
	atLeast            // an answer takes no less
	inVain             // this was spent without getting an answer
)

// A rowLesson is what an attempt does to the row of failures.
type rowLesson uint8

const (
	noRow rowLesson = iota
	ends
	grows
	growsOnce // for all attempts on the same connection
)

var lessons = [...]lesson{
	noEvidence:  {},
	replied:     {exact, ends, true},
	methodError: {atLeast, ends, true},
	otherError:  {noTime, noRow, true},
	refused:     {inVain, grows, true},
	late:        {inVain, grows, false},
	lost:        {inVain, growsOnce, false},
	givenUp:     {inVain, noRow, false},
	hasty:       {inVain, noRow, false},
}

// outcomeOf returns the outcome of an attempt that ended with err after it had
// taken its time.
func outcomeOf(ctx context.Context, err error, took time.Duration) outcome {
	if err == nil {
		return replied
	}
	var e *geerpc.Error // behind the return, for it is allocated here
	if !errors.As(err, &e) {
		return noEvidence
	}
	switch e.Where {
	case geerpc.InClient:
		return unsent(e, took)
	case geerpc.OnLink:
		return unanswered(e)
	case geerpc.InServer:
		return unserved(e)
	}
	switch {
	case e.Code != geerpc.CodeDeadlineExceeded:
		return methodError
	case e.Ran != geerpc.RanYes: // the server's handle timeout
		return refused
	case atDeadline(ctx, took):
		return late
	}
	return methodError
}

// unsent is about a call that failed before it was sent. If it had to wait for
// that, for a slot among the calls in flight, the server is as late as with any
// other.
func unsent(e *geerpc.Error, took time.Duration) outcome {
	waited := took >= time.Millisecond
	switch {
	case waited && e.Code == geerpc.CodeDeadlineExceeded:
		return late
	case waited && e.Code == geerpc.CodeCanceled:
		return givenUp
	}
	return noEvidence
}

// unanswered is about a call that was sent, and not answered.
func unanswered(e *geerpc.Error) outcome {
	switch e.Code {
	case geerpc.CodeCanceled:
		return givenUp
	case geerpc.CodeDeadlineExceeded:
		return late
	}
	return lost
}

// unserved is about a call that the server answered itself.
func unserved(e *geerpc.Error) outcome {
	switch e.Code {
	case geerpc.CodeUnavailable, geerpc.CodeDeadlineExceeded:
		return refused
	case geerpc.CodeResourceExhausted:
		if !errors.Is(e, codec.ErrTooLarge) {
			return refused
		}
	}
	return otherError
}

// atDeadline tells whether the context of an attempt has run into its deadline,
// or nearly: a method may well keep a little of the time for itself.
func atDeadline(ctx context.Context, took time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= took/10
}
