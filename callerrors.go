package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"geerpc/codec"
	"geerpc/internal/inflight"
	"geerpc/internal/link"
	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
)

// Which Error a call fails with on the client's side. Inside the Client, the Message
// says what failed and the Cause says why. Before the caller gets the Error, named puts
// the two together, with the method and the server in front:
//
//	rpc client: Arith.Wait at tcp@10.0.0.1:9999: no reply within 50ms: context deadline exceeded
//
// What the server says of a call stays as it is.

// callFailed returns the Error for what failed because of cause, which may be nil.
func callFailed(code Code, where Where, ran Ran, what string, cause error) *Error {
	return &Error{Code: code, Where: where, Ran: ran, Message: what, Cause: cause}
}

// named returns the error of a call as its caller gets it. If the call's context had a
// deadline, within is the time that it left the call. ErrShutdown stays, for callers that
// compare with it, as those of net/rpc do.
func (c *Client) named(err error, serviceMethod string, within time.Duration) error {
	e, ok := err.(*Error)
	if !ok || err == ErrShutdown {
		return err
	}
	named := *e
	named.ServiceMethod, named.Server = serviceMethod, c.server
	if e.Where == InClient || e.Where == OnLink { // otherwise the server says so
		named.Message = e.textFor(serviceMethod, c.server, within)
	}
	return &named
}

// textFor returns the text of an Error whose Message says what failed and whose Cause
// says why.
func (e *Error) textFor(serviceMethod, server string, within time.Duration) string {
	text := "rpc client: " + subject(serviceMethod, server) + e.Message
	if e.Code == CodeDeadlineExceeded && within > 0 {
		text += " within " + rounded(within).String()
	}
	switch {
	case e.Cause == nil:
		return text
	case e.Message == "":
		return text + usercode.ErrorText(e.Cause)
	}
	return text + ": " + usercode.ErrorText(e.Cause)
}

// subject names a call, for the front of a text.
func subject(serviceMethod, server string) string {
	switch {
	case serviceMethod == "" && server == "":
		return ""
	case serviceMethod == "":
		return server + ": "
	case server == "":
		return fmt.Sprintf("%.256s: ", serviceMethod)
	}
	return fmt.Sprintf("%.256s at %s: ", serviceMethod, server)
}

// rounded returns a time with three significant digits.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// timeLeft returns the time that a context leaves, and its deadline by monotime; both are 0
// if it has none.
func timeLeft(ctx context.Context) (left, deadline time.Duration) {
	if at, ok := ctx.Deadline(); ok {
		deadline = monotime.At(at)
		left = max(deadline-monotime.Now(), 1)
	}
	return left, deadline
}

// tooLateToSend returns the Error of a call whose context has ended before it was sent.
func tooLateToSend(err error) *Error {
	return callFailed(CodeOf(err), InClient, RanNever, "not sent", err)
}

// noReply returns the Error of a call whose context has ended before its reply came.
func noReply(err error) *Error { return callFailed(CodeOf(err), OnLink, RanMaybe, "no reply", err) }

// lostError returns the Error of a call in flight whose connection has ended.
func lostError(cause error) *Error {
	what := "connection lost"
	switch cause {
	case ErrShutdown, errDrained:
		what = ""
	case io.EOF:
		cause = io.ErrUnexpectedEOF
	}
	return callFailed(CodeUnavailable, OnLink, RanMaybe, what, cause)
}

// unreadable returns the Error of a call whose reply can't be decoded.
func unreadable(reply any, err error) *Error {
	return callFailed(CodeInternal, InClient, RanYes, fmt.Sprintf("decoding the reply into %.100T", reply), err)
}

// shutdownError returns the error of a call that begins when the connection has ended. A
// server that has asked its clients to leave is told apart from a Close on this side.
func (c *Client) shutdownError() error {
	if c.serverLeaves.Load() && !c.inFlight.Closed() {
		return callFailed(CodeUnavailable, InClient, RanNever,
			"the server has shut down, or closed the connection for being idle", ErrShutdown)
	}
	return ErrShutdown
}

// notAdded returns the error of a call that the table of calls in flight has not
// taken because of err. ErrFull stays, because the call is tried again.
func (c *Client) notAdded(err error) error {
	switch err {
	case nil, inflight.ErrFull:
		return err
	case inflight.ErrClosed:
		return c.shutdownError()
	case inflight.ErrDraining:
		if err := c.shutdownError(); err != ErrShutdown {
			return err
		}
		return callFailed(CodeUnavailable, InClient, RanNever, "this client is being shut down", ErrShutdown)
	}
	return tooLateToSend(err)
}

// notSent returns the error of a call that could not be sent because of err.
func (c *Client) notSent(ctx context.Context, call *clientCall, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return tooLateToSend(err)
	case c.link.Cause() != nil:
		return c.cutOff()
	case err == link.ErrGoawaySent:
		return c.notAdded(inflight.ErrDraining)
	}
	code, what := CodeInvalidArgument, "encoding arguments of type %.100T"
	if errors.Is(err, codec.ErrTooLarge) {
		code, what = CodeResourceExhausted, "arguments of type %.100T are too large for the server, which sets the limit"
	}
	return callFailed(code, InClient, RanNever, fmt.Sprintf(what, call.args), err)
}

// cutOff returns the error of a call that was not sent because the connection has ended.
func (c *Client) cutOff() error {
	return callFailed(CodeUnavailable, OnLink, RanNever, "not sent", fmt.Errorf("%w: %w", ErrShutdown, c.link.Cause()))
}

// correctUnsent returns the error of a call that was not sent, and was delivered with
// err: by the sender, or before by the reader, which could not know that.
func (c *Client) correctUnsent(err error) error {
	if e, ok := err.(*Error); ok && e.Ran == RanNever || err == ErrShutdown {
		return err
	}
	if c.link.Cause() != nil {
		return c.cutOff()
	}
	return errGuessed
}

var errGuessed error = &Error{Code: CodeInternal, Where: OnLink, Ran: RanNever,
	Message: "the server answered before the arguments were encoded, and they could not be"}
