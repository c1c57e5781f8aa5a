package geerpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"geerpc/internal/handshake"
	"geerpc/internal/transport"
)

// Which Error a Dial fails with. The packages that connect and shake hands return plain
// errors, and those of a user's Dialer may be any.

// dialError returns the Error for a connection that was not made. The server's address
// may be empty.
func dialError(ctx context.Context, err error, server string) error {
	if known := knownError(err, server); known != nil {
		return known
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		server = "" // it says which
	}
	code := CodeDeadlineExceeded
	if !errors.Is(err, handshake.ErrTimeout) {
		cause := timeIsUp(ctx, err)
		if code = CodeOf(ctx.Err()); cause == nil {
			code = linkCode(err)
		} else if !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	return newError(code, OnLink, RanNever, dialing(server), err)
}

// dialing begins the text of an Error of Dial.
func dialing(server string) string {
	if server == "" {
		return "rpc client"
	}
	return "rpc client: " + server
}

// handshakeError returns the Error for a handshake that failed.
func handshakeError(ctx context.Context, err error, server string) error {
	if known := knownError(err, server); known != nil {
		return known
	}
	what := dialing(server)
	switch cause := timeIsUp(ctx, err); {
	case cause != nil && ctx.Err() == context.Canceled:
		return newError(CodeCanceled, OnLink, RanNever, what+": handshake", cause)
	case cause != nil:
		return newError(CodeDeadlineExceeded, OnLink, RanNever, what, fmt.Errorf("%w: %w", cause, errNoAck))
	case transport.HungUp(err):
		return newError(CodeUnavailable, OnLink, RanNever, what+": the server closed the connection", fmt.Errorf("%w: %w", err, errHungUp))
	}
	return newError(linkCode(err), OnLink, RanNever, what+": handshake", err)
}

var errNoAck = errors.New("no acknowledgement from the server; is it a geerpc server, and reached as it wants to be (TLS, HTTP)? If it is GeeRPC's original version, set Option.Legacy")

var errHungUp = errors.New("no acknowledgement from the server; is it a geerpc server, and reached as it wants to be (TLS, HTTP)? One of net/rpc hangs up too, because it speaks another protocol")

// notConnected returns the error of a Dial with the server in it, whose address may be
// empty.
func notConnected(err error, server string) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	named := *e
	named.Server, named.Cause = server, e // so that errors.Is finds an Error of the user's Dialer
	return &named
}

// knownError returns the error for one that says by itself what went wrong, else nil.
func knownError(err error, server string) error {
	var typed *Error
	var failed *handshake.Error
	switch {
	case errors.As(err, &typed):
		return err
	case err == transport.ErrNoConn:
		return &Error{Code: CodeInternal, Where: InClient, Ran: RanNever, Message: dialing(server) + ": " + err.Error()}
	case !errors.Is(err, handshake.ErrTimeout) && errors.As(err, &failed):
		return failedHandshake(failed, server)
	}
	return nil
}

// failedHandshake returns the Error for a handshake that failed for a known reason.
func failedHandshake(failed *handshake.Error, server string) *Error {
	e := &Error{Message: dialing(server) + ": " + failed.Text, Where: OnLink, Ran: RanNever}
	switch failed.Reason {
	case handshake.BadHello:
		e.Code, e.Where = CodeInvalidArgument, InClient
	case handshake.WrongServer:
		e.Code = CodeUnavailable
	case handshake.WantsTLS:
		e.Code = CodeUnauthenticated
	case handshake.Refused:
		return refusedError(Code(failed.Code), failed.Text, server)
	}
	return e
}

// refusedError returns the Error for a refusal. A server that somebody else wrote may
// leave out the code and the reason.
func refusedError(code Code, reason, server string) *Error {
	if code == CodeOK {
		code = CodeUnknown
	}
	if reason == "" {
		reason = code.String() + ", without giving a reason"
	}
	return &Error{Code: code, Message: dialing(server) + ": the server refused the connection: " + reason, Where: InServer, Ran: RanNever}
}

// deadlineSlack is how long before the end of a context a timeout counts as the
// context's.
const deadlineSlack = 10 * time.Millisecond

// timeIsUp returns why ctx has ended, or nil if that is not the reason of err. A
// net.Dialer applies the deadline of ctx by itself, and so does code that sets deadlines
// on connections. Their timeouts may come a moment before the end of ctx.
func timeIsUp(ctx context.Context, err error) error {
	var e interface{ Timeout() bool }
	deadline, limited := ctx.Deadline()
	if limited && errors.As(err, &e) && e.Timeout() && time.Until(deadline) <= deadlineSlack {
		late := time.NewTimer(time.Second) // a busy machine may be late, and a user's context never end
		defer late.Stop()
		select {
		case <-ctx.Done():
		case <-late.C:
		}
	}
	return context.Cause(ctx)
}

// linkCode returns the code for an error of a connection. An address that nobody can
// dial, and peers that don't trust each other, are not the same as a connection that
// merely broke.
func linkCode(err error) Code {
	var network net.UnknownNetworkError
	var address *net.AddrError
	if errors.As(err, &network) || errors.As(err, &address) {
		return CodeInvalidArgument
	}
	var unverified *tls.CertificateVerificationError
	var alert *net.OpError // in which crypto/tls wraps a complaint of the other side
	if errors.As(err, &unverified) || errors.As(err, &alert) && alert.Op == "remote error" {
		return CodeUnauthenticated
	}
	return CodeUnavailable
}
