package geerpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"geerpc/codec"
	"geerpc/internal/codes"
	"geerpc/internal/usercode"
)

// A Code says what went wrong, in the terms, and with the numbers, of gRPC
// (https://grpc.io/docs/guides/status-codes). It travels with a reply.
type Code uint8

// The codes.
const (
	// CodeOK means that nothing went wrong. No error has it.
	CodeOK Code = iota
	// CodeCanceled means that the caller's context was cancelled.
	CodeCanceled
	// CodeUnknown means that a method returned an error without a code, or
	// that the peer is too old to send one.
	CodeUnknown
	// CodeInvalidArgument means that the request can never work: its
	// arguments can't be encoded, or don't decode into the method's type.
	CodeInvalidArgument
	// CodeDeadlineExceeded means that the time for the call was up.
	CodeDeadlineExceeded
	// CodeNotFound means that there is no such service or method, or that a
	// method did not find what it was asked for.
	CodeNotFound
	// CodeAlreadyExists means that what was to be created is there already.
	CodeAlreadyExists
	// CodePermissionDenied means that the caller is known and not allowed.
	CodePermissionDenied
	// CodeResourceExhausted means that a limit was met: of message size, of
	// calls in flight, of connections.
	CodeResourceExhausted
	// CodeFailedPrecondition means that the system is not in the state that
	// the method needs.
	CodeFailedPrecondition
	// CodeAborted means that the method gave up because of a conflict.
	CodeAborted
	// CodeOutOfRange means that a method was asked beyond its valid range.
	CodeOutOfRange
	// CodeUnimplemented means that the operation is not supported.
	CodeUnimplemented
	// CodeInternal means that something is broken: a method panicked, a reply
	// can't be encoded or decoded.
	CodeInternal
	// CodeUnavailable means that the server can't be reached, has gone or is
	// shutting down. Another one may serve.
	CodeUnavailable
	// CodeDataLoss means that data is lost or corrupt for good.
	CodeDataLoss
	// CodeUnauthenticated means that the caller did not prove who it is.
	CodeUnauthenticated
)

// String returns the code in words, such as "deadline exceeded".
func (c Code) String() string { return codes.Name(uint8(c)) }

// A Where says how far a call had come when it failed.
type Where uint8

// The places where a call can fail.
const (
	InClient Where = iota // before anything was sent
	OnLink                // between client and server
	InServer              // in the server, before the method
	InMethod              // in the method, or on the way back from it
)

// String returns the place in words, such as "on the link".
func (w Where) String() string { return codes.Where(uint8(w)) }

// A Ran says whether the method ran. Whether a call may be repeated should be
// decided on this and on nothing else.
type Ran uint8

// The answers to whether a method ran.
const (
	RanMaybe Ran = iota // nobody knows
	RanNever            // certainly not, nor will it: repeating the call is safe
	RanYes              // it did, at least in part
)

// String returns "never", "maybe" or "yes".
func (r Ran) String() string { return codes.Ran(uint8(r)) }

// An Error is what every call and every Dial of this package fails with.
// Use errors.As to get at it:
//
//	var e *geerpc.Error
//	if errors.As(err, &e) && e.Ran == geerpc.RanNever {
//		// it is safe to try again
//	}
//
// An Interceptor that does not let a call pass says so with an Error of its own:
//
//	return &geerpc.Error{Code: geerpc.CodeUnavailable, Message: "closed for the night",
//		Where: geerpc.InClient, Ran: geerpc.RanNever, Cause: errNight}
//
// errors.Is(err, context.DeadlineExceeded) and errors.Is(err,
// context.Canceled) hold for the codes that mean the same, whichever side
// noticed. A method may return an Error of its own, of which Code and Message
// reach the caller; where and whether it ran are filled in.
//
// Printed with %+v, or logged with log/slog, an Error shows all of its fields.
type Error struct {
	Code    Code
	Message string // the text of the error, verbatim
	Where   Where
	Ran     Ran

	// ServiceMethod and Server are the method that was called and the address of the
	// server, such as tcp@10.0.0.1:9999. A Client sets them; they are not sent. Empty:
	// not known.
	ServiceMethod, Server string

	// Cause is what errors.Is and errors.As find behind the Error: what caused it
	// on this side. It is not sent. Nil: nothing.
	Cause error
}

// Error returns e.Message, or the code in words if there is no message.
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Message
}

// Format implements fmt.Formatter: %+v prints, behind the text, the other fields.
func (e *Error) Format(f fmt.State, verb rune) {
	text := e.Error()
	if e != nil && verb == 'v' && f.Flag('+') {
		text = fmt.Sprintf("%s (%v, %v, ran: %v%s)", text, e.Code, e.Where, e.Ran, e.about())
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), text)
}

// about returns what is known of the method and the server, for the end of a list.
func (e *Error) about() (text string) {
	if e.ServiceMethod != "" {
		text = ", " + e.ServiceMethod
	}
	if e.Server != "" {
		text += ", " + e.Server
	}
	return text
}

// LogValue implements slog.LogValuer.
func (e *Error) LogValue() slog.Value {
	if e == nil {
		return slog.StringValue(e.Error())
	}
	attrs := []slog.Attr{slog.String("text", e.Error()), slog.String("code", e.Code.String()),
		slog.String("where", e.Where.String()), slog.String("ran", e.Ran.String())}
	if e.ServiceMethod != "" {
		attrs = append(attrs, slog.String("method", e.ServiceMethod))
	}
	if e.Server != "" {
		attrs = append(attrs, slog.String("server", e.Server))
	}
	return slog.GroupValue(attrs...)
}

// Unwrap returns e.Cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Cause
}

// Is makes errors.Is recognize the context's errors by their code.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	switch target {
	case context.DeadlineExceeded:
		return e.Code == CodeDeadlineExceeded
	case context.Canceled:
		return e.Code == CodeCanceled
	}
	return false
}

// Errorf returns an error with a code for a method to return. The format is
// that of fmt.Errorf, %w included.
func Errorf(code Code, format string, a ...any) error {
	err := fmt.Errorf(format, a...)
	return &Error{Code: code, Message: err.Error(), Where: InMethod, Ran: RanYes, Cause: err}
}

// CodeOf returns the code of the Error that err is or wraps, CodeOK for nil,
// the code that fits for an error of package context, else CodeUnknown.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	if e, ok := err.(*Error); ok && e != nil {
		return e.Code
	}
	var e *Error // after the early returns: declaring it allocates
	switch {
	case errors.As(err, &e) && e != nil:
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return CodeDeadlineExceeded
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	}
	return CodeUnknown
}

// ErrShutdown is what calls fail with that begin when the connection has ended,
// by Close or because it broke, and what a second Close returns. It is an
// *Error. Calls that begin when the server has shut down, or that are in flight at
// Close, wrap it; those that are in flight when the connection breaks don't, for
// their error says why it broke.
var ErrShutdown error = &Error{Code: CodeUnavailable, Message: "connection is shut down", Where: InClient, Ran: RanNever}

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("rpc server: server closed")

// newError returns an Error with err as its cause and the text "what: err".
func newError(code Code, where Where, ran Ran, what string, err error) *Error {
	return &Error{Code: code, Message: what + ": " + usercode.ErrorText(err), Where: where, Ran: ran, Cause: err}
}

// put writes e into the header of a reply.
func (e *Error) put(h *codec.Header) {
	h.Error = e.Error()
	f := h.Frame()
	f.Code, f.Where, f.Ran = uint8(e.Code), uint8(e.Where), uint8(e.Ran)
}

// replyError returns the error that is in the header of a reply, or nil. A header that
// says no more than its text has no Code.
func replyError(h *codec.Header) error {
	f := h.Frame()
	switch {
	case h.Error == "" && f.Code == 0:
		return nil
	case f.Code != 0:
		return &Error{Code: Code(f.Code), Message: h.Error, Where: max(Where(f.Where), InServer), Ran: Ran(f.Ran)}
	}
	return &Error{Code: CodeUnknown, Message: h.Error, Where: InServer, Ran: RanMaybe}
}

// methodError returns the error of a method as one of this call. An Error that the
// method made itself says nothing of where and whether, and one that it got from a
// call of its own speaks of that other call.
func methodError(err error) error {
	if err == nil {
		return nil
	}
	var e *Error // after the early return: declaring it allocates
	if !errors.As(err, &e) || e == nil || e.Where == InMethod && e.Ran == RanYes {
		return err
	}
	return &Error{Code: e.Code, Message: err.Error(), Where: InMethod, Ran: RanYes, Cause: err}
}

// interceptedError returns an error that came out of interceptors as one of this
// call. Where it failed and whether it ran, as an interceptor reports it, belongs to
// another call, or to none. What counts is whether the method has begun. If it has
// not, it never will, and the caller is told so, and may call elsewhere.
func (c *servedCall) interceptedError(err error) error {
	if err == nil || !c.forgo() {
		return methodError(err)
	}
	return &Error{Code: CodeOf(err), Message: err.Error(), Where: InServer, Ran: RanNever, Cause: err}
}

// asError returns an error as it is sent. Its text stays as it is.
func asError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || e == nil {
		return &Error{Code: CodeOf(err), Message: err.Error(), Where: InMethod, Ran: RanYes}
	}
	code := e.Code
	if code == CodeOK { // no error has that code
		code = CodeUnknown
	}
	if code == e.Code && e.Error() == err.Error() {
		return e
	}
	return &Error{Code: code, Message: err.Error(), Where: e.Where, Ran: e.Ran}
}
