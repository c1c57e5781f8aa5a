package xclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"geerpc"
	"geerpc/codec"
)

// Whether a call that has failed may be made again, and what it ends with when
// several attempts have failed.

type idempotentKey struct{}

// Idempotent returns a context that marks calls as ones which may run more
// than once: on two servers at the same time, or again after an attempt of
// which nobody knows whether it ran. Reading is such a call, and so is setting
// a value, but not adding to it. Without the mark a call is made again only if
// it certainly never ran.
//
// All calls made with the context, or one derived from it, have the mark: a function
// that gets the context and makes another call with it has that repeated too. So
// mark it in the argument of the one call:
//
//	err := xc.Call(xclient.Idempotent(ctx), "Arith.Add", args, &sum)
//
// The mark does not travel to the server: the context that a method gets, also
// in the same process, has none for its own calls. See Retry and Hedge for what
// it does.
func Idempotent(ctx context.Context) context.Context {
	return context.WithValue(ctx, idempotentKey{}, true)
}

func isIdempotent(ctx context.Context) bool { return ctx.Value(idempotentKey{}) != nil }

// retryable reports whether a call that failed with err may be made again, and
// whether that could end better.
func retryable(ctx context.Context, err error) bool {
	var e *geerpc.Error
	var a waitedError
	return errors.As(err, &e) && transient(e) && ctx.Err() == nil &&
		(e.Ran == geerpc.RanNever || isIdempotent(ctx)) &&
		!errors.Is(err, errNoServers) && // it has had its grace time
		!errors.As(err, &a) &&
		!errors.Is(err, codec.ErrTooLarge)
}

// transient reports whether another server, or the same one later, may do better.
func transient(e *geerpc.Error) bool {
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

// An attempts counts the attempts at one call, and sums up whether the method ran.
type attempts struct {
	serviceMethod string

	count int
	ran   geerpc.Ran // any of them
}

func (t *attempts) add(err error) {
	ran := ranOf(err)
	if t.count == 0 || ran == geerpc.RanYes || ran == geerpc.RanMaybe && t.ran == geerpc.RanNever {
		t.ran = ran
	}
	t.count++
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

// result returns what the call ends with when err is what one of its attempts ended
// with. What a method said stays as it is.
func (t *attempts) result(err error) error {
	var e *geerpc.Error
	answer := !errors.As(err, &e) || e.Ran == geerpc.RanYes || !transient(e)
	if t.count == 1 || answer && ranOf(err) == t.ran {
		return err
	}
	return t.wrap(geerpc.CodeOf(err), err)
}

// interrupted returns what the call ends with when, after an attempt that ended with
// err, a cause leaves no time for another one.
func (t *attempts) interrupted(cause, err error) error {
	return t.wrap(geerpc.CodeOf(cause), fmt.Errorf("%w before the next: %w", cause, err))
}

// wrap returns err as the error of all attempts. It adds the method and the server to
// what was said on the other side, which may name neither.
func (t *attempts) wrap(code geerpc.Code, err error) error {
	last := &geerpc.Error{Where: geerpc.InMethod}
	errors.As(err, &last)
	there := last.Where == geerpc.InServer || last.Where == geerpc.InMethod
	method, server := "", ""
	if there || last.ServiceMethod == "" {
		method = fmt.Sprintf("%.256s: ", t.serviceMethod)
	}
	if there && last.Server != "" {
		server = " at " + last.Server
	}
	sum := geerpc.Errorf(code, "rpc xclient: %sattempt %d%s: %w", method, t.count, server, err).(*geerpc.Error)
	sum.Where, sum.Ran, sum.ServiceMethod, sum.Server = last.Where, t.ran, t.serviceMethod, last.Server
	return sum
}

// nameMethod names the method in the errors of next that leave it out: a Client does
// so itself. ErrShutdown stays as it is.
func nameMethod(next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		err := next(ctx, serviceMethod, args, reply)
		if err == nil || err == geerpc.ErrShutdown {
			return err
		}
		var e *geerpc.Error // after the return: declaring it allocates
		if !errors.As(err, &e) || e.ServiceMethod != "" {
			return err
		}
		const prefix = "rpc xclient: "
		named := *e
		named.Message = fmt.Sprintf(prefix+"%.256s: %s", serviceMethod, strings.TrimPrefix(err.Error(), prefix))
		named.ServiceMethod, named.Cause = serviceMethod, err
		return &named
	}
}
