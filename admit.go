package geerpc

import (
	"context"
	"errors"
	"time"

	"geerpc/internal/usercode"
)

// admit asks Server.Admit about a call whose arguments have not been decoded. The
// context is made anew for each call, but in the same place: the reader asks about one
// call at a time, and nobody else has the context.
func (c *conn) admit(serviceMethod string, remaining time.Duration, md Metadata) *Error {
	ctx := &c.reader.admitting
	*ctx = callContext{conn: c, metadata: md}
	ctx.Parent = c.link.Context()
	if c.handle > 0 && (remaining <= 0 || c.handle < remaining) {
		remaining = c.handle
	}
	if remaining > 0 {
		ctx.At = time.Now().Add(remaining)
	}
	defer ctx.Cancel() // somebody may have waited for it all the same
	for _, admit := range c.server.Admit {
		if err := callAdmit(ctx, admit, serviceMethod); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// refuse answers a call that is not admitted. It takes no slot and no goroutine; its
// method counts it as a call that has failed.
func (c *conn) refuse(k *servedCall) {
	k.method.begin()
	k.method.end(true)
	c.reject(k, k.rejection)
	c.update(k.uncount)
	k.recycle()
}

var errNilAdmit = errors.New("rpc server: one of Server.Admit is nil")

// callAdmit calls a user's function.
func callAdmit(ctx context.Context, admit func(context.Context, string) error, serviceMethod string) (err error) {
	if admit == nil {
		return errNilAdmit
	}
	defer usercode.Recover("Server.Admit", &err)
	return admit(ctx, serviceMethod)
}

// refusal returns the error of a call that is not admitted.
func refusal(err error) *Error {
	e := &Error{Code: CodeOf(err), Message: usercode.ErrorText(err), Where: InServer, Ran: RanNever, cause: err}
	if e.Code == CodeUnknown {
		e.Code = CodePermissionDenied
	}
	return e
}
