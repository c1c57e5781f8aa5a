package geerpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/usercode"
)

// A servedCall is a request that a server has taken on: it holds a slot of its
// connection until its method has returned, and is answered exactly once.
type servedCall struct {
	conn          *conn
	seq           uint64
	serviceMethod string
	method        *method // nil: there is none of that name
	values
	refused *Error       // why the method can't be called, or nil
	ctx     *callContext // nil if nobody is going to look at it

	expires   time.Duration // without a ctx: when, as nanotime tells, its caller waits no more; 0: never
	cancelled atomic.Bool   // without a ctx: its caller has left

	start *start // whether the method may begin; nil: nobody but the goroutine that runs it decides
	begun bool   // the method, if it is not in interceptors

	timer    *time.Timer // of the handle timeout
	answered atomic.Bool // by the timer, or about to be

	counted   bool // among the open ones of the conn's state before it is in the queue; the reader's own
	answering bool // its seq may be used again; guarded by the conn's mu

	err  error // once the method has returned
	mute bool  // then: it has been answered already
}

// values are what a method is called with. Unless args are of a pointer's type,
// argv is what argp points to.
type values struct {
	of                 *method // nil: there are none
	argp, argv, replyv reflect.Value
}

// prepare gives a call what m is called with, as far as it has not got it from
// an earlier call of m.
func (c *servedCall) prepare(m *method) {
	if c.of != m {
		c.values = values{of: m}
	}
	if !c.argp.IsValid() {
		c.argp, c.argv = m.newArgs()
	}
	if !c.replyv.IsValid() {
		c.replyv = m.newReply()
	}
}

// reset forgets the call. Values of which its method has had copies are kept,
// for the next call of it, but zero.
func (c *servedCall) reset() {
	kept, m := c.values, c.method
	if m == nil || len(c.conn.server.Interceptors) > 0 { // which have had the values themselves
		kept = values{}
	}
	if kept.of != nil && m.copiesArgs {
		kept.argv.SetZero()
	} else {
		kept.argp, kept.argv = reflect.Value{}, reflect.Value{}
	}
	if kept.of != nil && m.copiesReply {
		kept.replyv.Elem().SetZero()
	} else {
		kept.replyv = reflect.Value{}
	}
	*c = servedCall{values: kept}
}

// arm limits the call's time: its context ends when the time that its caller
// has left is up, and at the handle timeout the call is answered, done or not.
// Zero is no limit, and so is the negative time that a peer may send.
func (c *servedCall) arm(handle, left time.Duration, md Metadata) {
	if len(c.conn.server.Interceptors) > 0 || c.method != nil && c.method.wantsContext {
		c.makeContext(handle, left, md)
	} else if left > 0 {
		c.expires = nanotime() + left
	}
	if handle > 0 {
		if c.start == nil {
			c.start = new(start)
		}
		c.timer = time.AfterFunc(handle, func() { c.expire(handle) })
	}
}

// expire answers the call at its handle timeout, if nobody else has. A method
// that has not begun by then never does.
func (c *servedCall) expire(handle time.Duration) {
	c.conn.update(func(s *connState) { s.open++ }) // the method may return any moment, as the last
	defer c.conn.update(func(s *connState) { s.open-- })
	if !c.answered.CompareAndSwap(false, true) {
		return
	}
	err := &Error{Code: CodeDeadlineExceeded, Where: InMethod, Ran: RanMaybe,
		Message: fmt.Sprintf("rpc server: request handle timeout: expect within %s", handle)}
	if c.start.forgo() {
		err.Where, err.Ran = InServer, RanNever
	}
	c.answerNow(err)
}

func (c *servedCall) makeContext(handle, left time.Duration, md Metadata) {
	c.ctx = &callContext{conn: c.conn, metadata: md}
	c.start = &c.ctx.start
	if handle > 0 && (left <= 0 || handle < left) {
		left = handle
	}
	if left > 0 {
		c.ctx.deadline = time.Now().Add(left)
	}
}

// drop gives up a call that is not going to be run. It reports false if the
// call has been answered already, at its handle timeout.
func (c *servedCall) drop() bool {
	c.cleanUp()
	c.forget()
	return c.answered.CompareAndSwap(false, true)
}

// forget lets go of the values of a call that has been answered. The runtime
// keeps a timer that was stopped, and with it the call, for some time.
func (c *servedCall) forget() {
	if c.timer != nil {
		c.values, c.err = values{}, nil
	}
}

// cleanUp ends what arm began.
func (c *servedCall) cleanUp() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.ctx != nil {
		c.ctx.cancel()
	}
}

// do handles the call, whatever its method does: a panic is an answer like
// another, and so is runtime.Goexit.
func (c *servedCall) do() {
	var since time.Duration
	if c.method != nil {
		c.method.begin()
		if c.method.pace.Load() < inlineAfter {
			since = nanotime()
		}
	}
	err := errGoexit
	defer func() {
		if since > 0 && c.hasBegun() {
			c.method.notePace(nanotime()-since <= quickLimit)
		}
		if err == errGoexit && c.neverBegins() {
			err = errInterceptorExit
		}
		c.finish(err)
	}()
	defer func() {
		if p := recover(); p != nil {
			err = c.panicked(p) // which asks a user's value for its text
		}
	}()
	failure := c.handle()
	if failure != nil {
		failure = asError(failure) // which asks a user's error for its text
	}
	err = failure
}

var (
	errGoexit error = &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
		Message: "rpc server: the method ended its goroutine"}
	errInterceptorExit error = &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: "rpc server: an interceptor ended its goroutine"}
)

// panicked returns the error of a call that has panicked, in its method or in an
// interceptor.
func (c *servedCall) panicked(p any) error {
	if !c.neverBegins() {
		return c.conn.server.panicked(c.serviceMethod, p)
	}
	text := usercode.PanicText(p)
	c.conn.server.report(slog.LevelError, "rpc server: interceptor panicked",
		"method", c.serviceMethod, "panic", text, "stack", string(debug.Stack()))
	return &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: fmt.Sprintf("rpc server: an interceptor panicked: %.256s", text)}
}

// panicked is called by who has recovered from a method's panic.
func (s *Server) panicked(serviceMethod string, p any) error {
	text := usercode.PanicText(p)
	s.report(slog.LevelError, "rpc server: method panicked",
		"method", serviceMethod, "panic", text, "stack", string(debug.Stack()))
	return &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
		Message: fmt.Sprintf("rpc server: method %s panicked: %.256s", serviceMethod, text)}
}

// hasBegun tells the goroutine that has run the call whether its method has
// begun.
func (c *servedCall) hasBegun() bool { return c.begun || c.start.hasBegun() }

// neverBegins reports whether the method has not begun and never will.
func (c *servedCall) neverBegins() bool { return !c.begun && c.start.forgo() }

// handle runs the method, in the interceptors if there are any.
func (c *servedCall) handle() error {
	if c.answered.Load() { // it had to wait for longer than its handle timeout
		return nil
	}
	if err := c.over(); err != nil {
		return newError(CodeOf(err), InServer, RanNever, "rpc server: call not begun", err)
	}
	if c.refused != nil && (c.method != nil || len(c.conn.server.Interceptors) == 0) {
		return c.refused
	}
	if c.method == nil {
		refuse := func(context.Context, string, any, any) error { return c.refused }
		if err := chain(c.conn.server.Interceptors, refuse)(c.ctx, UnknownMethod, nil, nil); err != nil {
			return c.intercepted(err)
		}
		return c.refused // there is no reply to send in its place
	}
	if f := c.method.handler(c.conn.server); f != nil {
		reply := c.replyv.Interface()
		if c.method.replyType.Elem().Size() > 0 { // pointers to nothing are all the same
			c.method.intercepted.Store(reply, c.ctx)
			defer c.method.intercepted.Delete(reply)
		}
		return c.intercepted(f(c.ctx, c.serviceMethod, c.argv.Interface(), reply))
	}
	if !c.start.begin() { // its handle timeout has answered in the meantime
		return nil
	}
	c.begun = true
	return methodError(c.method.invoke(c.ctx, c.argv, c.replyv))
}

// cancel tells the call that its caller has left.
func (c *servedCall) cancel() {
	if c.ctx != nil {
		c.ctx.cancel()
	}
	c.cancelled.Store(true)
}

// over tells why nobody waits for the call any more, if so.
func (c *servedCall) over() error {
	switch {
	case c.conn.link.Context().Err() != nil:
		return errConnGone
	case c.ctx != nil:
		return c.ctx.Err()
	case c.cancelled.Load():
		return context.Canceled
	case c.expires != 0 && c.expires-nanotime() <= 0:
		return context.DeadlineExceeded
	}
	return nil
}

var errConnGone error = &Error{Code: CodeUnavailable, Where: InServer, Ran: RanNever, Message: "the connection is closed"}

// finish ends the call, whose method has returned, but for the answer.
func (c *servedCall) finish(err error) {
	if c.method != nil {
		c.method.end(err != nil || c.answered.Load()) // the handle timeout's answer is an error too
	}
	c.cleanUp()
	c.err = err
	c.mute = c.timer != nil && !c.answered.CompareAndSwap(false, true)
}

// answerNow answers with err, without waiting for others.
func (c *servedCall) answerNow(err error) {
	defer c.conn.link.Flush(false) // also if what is encoded ends our goroutine
	c.conn.link.SendTogether(func(alive bool) bool {
		if alive {
			c.answer(err)
		}
		return false
	})
}

// answer sends the reply, or err, when it is the connection's turn. It leaves
// with the next flush.
func (c *servedCall) answer(err error) {
	h := codec.Header{Seq: c.seq}
	if c.method != nil { // a name that the client made up could be of any size
		h.ServiceMethod = c.serviceMethod
	}
	f := h.Frame()
	f.Kind, f.Metadata = codec.Reply, c.ctx.replyMetadata()
	failure := asError(err)
	if failure != nil {
		failure.put(&h)
	}
	instead := errReplyExit
	defer func() { // also if a reply ends the goroutine that encodes it, or its error panics
		recover()
		if instead != nil && c.conn.link.Context().Err() == nil {
			c.apologise(h, instead.forUnsent(failure), err == nil)
		}
	}()
	if unsent := c.put(h, failure); unsent != nil {
		instead = unsendable(unsent)
	} else {
		instead = nil
	}
}

// put puts the reply, or the failure that is in the header. What a method says is
// not cut.
func (c *servedCall) put(h codec.Header, failure *Error) error {
	switch {
	case failure == nil:
		return c.conn.link.Put(h, c.method.body(c.replyv))
	case failure.Ran == RanYes:
		return c.conn.link.Put(h, nil)
	}
	return c.conn.link.PutError(h)
}

var errReplyExit = &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
	Message: "rpc server: encoding the reply: it ended the goroutine that encoded it, or its error panicked"}

// apologise answers in place of an answer that could not be sent.
func (c *servedCall) apologise(h codec.Header, instead *Error, succeeded bool) {
	if succeeded {
		c.method.failed.Add(1) // in the end it is an error
	}
	instead.put(&h)
	h.Frame().Metadata = nil
	c.conn.link.PutLast(h)
}

// forUnsent returns e as the answer in place of a failure that could not be sent,
// if it was one. If that said that the method has not run, so it is.
func (e *Error) forUnsent(failure *Error) *Error {
	if failure == nil || failure.Ran == RanYes {
		return e
	}
	return &Error{Code: failure.Code, Where: failure.Where, Ran: failure.Ran,
		Message: fmt.Sprintf("%.1024s (%s)", failure.Message, e.Message)}
}

// intercepted returns an error that came out of interceptors as one of this
// call. What an interceptor says of where and whether means another call, or
// nothing; whether the method has begun is what counts. If it has not, it never
// will: the caller is told so, and may call elsewhere.
func (c *servedCall) intercepted(err error) error {
	if err == nil || !c.neverBegins() {
		return methodError(err)
	}
	return &Error{Code: CodeOf(err), Message: err.Error(), Where: InServer, Ran: RanNever, cause: err}
}

// methodError returns the error of a method as one of this call: an Error that
// the method made itself says nothing about where and whether, and one that it
// got from a call of its own speaks of that other call.
func methodError(err error) error {
	if err == nil {
		return nil
	}
	var e *Error // behind the return, for it is allocated here
	if !errors.As(err, &e) || e == nil || e.Where == InMethod && e.Ran == RanYes {
		return err
	}
	return &Error{Code: e.Code, Message: err.Error(), Where: InMethod, Ran: RanYes, cause: err}
}

// asError types what a method returned. Its text stays as it is.
func asError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || e == nil {
		return &Error{Code: CodeOf(err), Message: err.Error(), Where: InMethod, Ran: RanYes}
	}
	code := e.Code
	if code == CodeOK { // no error is that
		code = CodeUnknown
	}
	if code == e.Code && e.Error() == err.Error() {
		return e
	}
	return &Error{Code: code, Message: err.Error(), Where: e.Where, Ran: e.Ran}
}

// unsendable is the answer in place of a reply that could not be sent.
func unsendable(err error) *Error {
	if errors.Is(err, codec.ErrDefinitions) {
		return newError(CodeResourceExhausted, InMethod, RanYes, "rpc server: reply, for the client's Option.MaxDefinitionBytes", err)
	}
	if errors.Is(err, codec.ErrTooLarge) {
		return newError(CodeResourceExhausted, InMethod, RanYes, "rpc server: reply, for the client's Option.MaxMessageBytes", err)
	}
	return newError(CodeInternal, InMethod, RanYes, "rpc server: encoding the reply", err)
}
