package geerpc

import (
	"context"
	"errors"
	"time"

	"geerpc/internal/usercode"
)

// admit asks Server.Admit about a call whose arguments have not been decoded. It
// returns why the call is refused, or nil.
func (c *conn) admit(serviceMethod string, remaining time.Duration, md Metadata) *Error {
	ctx := c.admitContext(remaining, md)
	defer func() {
		if unneeded := ctx.Cancel(); unneeded {
			ctx.metadata = nil
			c.reader.admitting = ctx
		}
	}()
	for _, admit := range c.server.Admit {
		if rejection := c.ask(ctx, admit, serviceMethod); rejection != nil {
			return rejection
		}
	}
	return nil
}

// admitContext returns the context for a question. It is the one of the question before,
// made anew: the reader asks one question at a time. But if somebody has waited for
// that, or derived another context from it, package context may still look at it.
func (c *conn) admitContext(remaining time.Duration, md Metadata) *callContext {
	ctx := c.reader.admitting
	if c.reader.admitting = nil; ctx == nil {
		ctx = new(callContext)
	}
	ctx.begin(c, md, c.due(c.handleTimeout, remaining))
	return ctx
}

// ask calls a user's function, and looks at a user's error. Whatever goes wrong with
// them, the call is refused.
func (c *conn) ask(ctx context.Context, admit func(context.Context, string) error, serviceMethod string) (rejection *Error) {
	if admit == nil {
		return notAdmitted(errNilAdmit)
	}
	defer func() {
		if p := recover(); p != nil {
			c.reportPanic("Server.Admit", serviceMethod, p)
			rejection = notAdmitted(errAdmitPanicked)
		}
	}()
	if err := admit(ctx, serviceMethod); err != nil {
		return notAdmitted(err)
	}
	return nil
}

var (
	errNilAdmit      = errors.New("rpc server: one of Server.Admit is nil")
	errAdmitPanicked = errors.New("rpc server: Server.Admit panicked")
)

// notAdmitted returns the error of a call that is not admitted.
func notAdmitted(err error) *Error {
	e := &Error{Code: CodeOf(err), Message: usercode.ErrorText(err), Where: InServer, Ran: RanNever, Cause: err}
	if e.Code == CodeUnknown || e.Code == CodeOK { // no error has the code OK
		e.Code = CodePermissionDenied
	}
	return e
}

// rejectUnadmitted answers a call that is not admitted. It takes no slot and no goroutine; its
// method counts it as a call that has failed.
func (c *conn) rejectUnadmitted(k *servedCall) {
	k.recordRejected(k.rejection)
	c.reject(k, k.rejection)
	c.update(func(s *connState) {
		k.uncount(s)
		c.noteCall(s) // a client whose calls are rejected is not idle
	})
	k.recycle()
}
