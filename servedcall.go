package geerpc

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
	"geerpc/internal/values"
)

// A servedCall is a request that a server has taken on. Its life:
//
//	read ──→ in flight, holding a slot ──→ its method has returned ──→ answered
//	  └────→ refused by Server.Admit, a limit or a shutdown: answered without a slot
//
// It is answered exactly once: by the goroutine that ran it (answer.go), or before
// by its handle timeout.
type servedCall struct {
	conn          *conn
	seq           uint64
	serviceMethod string
	method        *method // nil: there is none of that name
	callValues
	rejection *Error // why the method can't be called, or nil

	ctx       *callContext  // nil if neither the method nor an interceptor gets it
	due       time.Duration // when its ctx ends, or without one when its caller stops waiting, by monotime; 0: never
	cancelled atomic.Bool   // its caller has stopped waiting

	start *start // whether the method may begin; nil: only one goroutine can begin it
	begun bool   // the method has, outside of interceptors

	timer    *time.Timer // of the handle timeout
	answered atomic.Bool // with a timer: by that, or by the goroutine that ran the call

	since     time.Duration // when it was tracked, by monotime; guarded by the conn's mu
	counted   bool          // it was counted in connState.unanswered when it was read; only the reader looks
	slotFreed bool          // its slot and its seq may be used again; guarded by the conn's mu

	err         error // how the method ended, once it has
	timerAnswer bool  // the handle timeout has answered; nothing else must
}

// callValues are what a method is called with. Unless args are of a pointer type, argv
// is what argp points to.
type callValues struct {
	of                 *method // nil: there are none
	argp, argv, replyv reflect.Value
}

// prepare gives a call what m is called with, unless values of an earlier call of m can
// be used again.
func (c *servedCall) prepare(m *method) {
	if c.of != m {
		c.callValues = callValues{of: m}
	}
	if !c.argp.IsValid() {
		c.argp, c.argv = values.NewArgs(m.argType)
	}
	if !c.replyv.IsValid() {
		c.replyv = values.NewReply(m.replyType.Elem(), m.makesReply)
	}
}

// setTime limits the call's time: its context ends when its caller stops waiting,
// remaining from when its message came, and at the handle timeout, from now, the call is
// answered, done or not. Zero is no limit, and so is a negative time, which a peer may
// send.
func (c *servedCall) setTime(handle, remaining time.Duration, md Metadata) {
	if len(c.conn.server.Interceptors) > 0 || c.method != nil && c.method.wantsContext {
		c.makeContext(c.conn.due(handle, remaining), md)
	} else {
		c.due = c.conn.due(0, remaining)
	}
	if handle > 0 {
		if c.start == nil {
			c.start = new(start)
		}
		c.timer = time.AfterFunc(handle, func() { c.expire(handle) }) // stopTime stops it
	}
}

func (c *servedCall) makeContext(due time.Duration, md Metadata) {
	c.ctx, c.due = new(callContext), due
	c.ctx.begin(c.conn, md, due)
	c.start = &c.ctx.start
}

// due returns when the time is up of a call that has just been read, by monotime; 0: never.
// Its caller waits for what remained when the message came. The handle timeout begins now:
// the call may have waited behind others, for a slot or for Server.Admit. Zero and negative
// are no limit.
func (c *conn) due(handle, remaining time.Duration) (due time.Duration) {
	if remaining > 0 {
		due = monotime.Add(c.link.Arrived(), remaining)
	}
	if handle > 0 {
		if at := monotime.Add(monotime.Now(), handle); due == 0 || at < due {
			due = at
		}
	}
	return due
}

// stopTime ends what setTime began.
func (c *servedCall) stopTime() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.ctx != nil {
		c.ctx.Cancel()
	}
}

// expire answers the call at its handle timeout, unless it has been answered. A
// method that has not begun by then never does.
func (c *servedCall) expire(handle time.Duration) {
	c.conn.update(func(s *connState) { s.unanswered++ }) // or the connection could count as done if the method returns now
	defer c.conn.update(func(s *connState) { s.unanswered-- })
	if !c.answered.CompareAndSwap(false, true) {
		return
	}
	err := &Error{Code: CodeDeadlineExceeded, Where: InMethod, Ran: RanMaybe,
		Message: fmt.Sprintf("rpc server: request handle timeout: expect within %s for %s", handle, c.serviceMethod)}
	if c.start.forgo() {
		err.Where, err.Ran = InServer, RanNever
	} else {
		c.recordExpired(err, handle)
	}
	c.answerAlone(err)
}

// drop gives up a call that never runs. It reports false if the call has been
// answered already, at its handle timeout.
func (c *servedCall) drop() bool {
	c.stopTime()
	c.releaseValues()
	return c.answered.CompareAndSwap(false, true)
}

// cancel notes that the caller has stopped waiting.
func (c *servedCall) cancel() {
	c.cancelled.Store(true)
	if c.ctx != nil {
		c.ctx.Cancel()
	}
}

// callerGone returns why nobody waits for the call any more, now, or nil.
func (c *servedCall) callerGone(now time.Duration) error {
	switch {
	case c.conn.link.Context().Err() != nil:
		return errConnGone
	case c.conn.protocol == NetRPC: // as in net/rpc, requests that have been read are run even if the client has hung up
		return nil
	case c.cancelled.Load():
		return context.Canceled
	case c.due != 0 && c.due <= now:
		return context.DeadlineExceeded
	}
	return nil
}

var errConnGone error = &Error{Code: CodeUnavailable, Where: InServer, Ran: RanNever, Message: "the connection is closed"}

// do runs the call, begun now, and sets its err. It returns when the call has ended.
// Whatever the method does is an answer: a panic is, and so is runtime.Goexit, which ends
// our goroutine once do has noted it.
func (c *servedCall) do(now time.Duration) (ended time.Duration) {
	if c.method != nil {
		c.method.begun.Add(1)
	}
	err := errGoexit
	defer func() {
		if err == errGoexit && c.forgo() {
			err = errInterceptorExit
		}
		ended = monotime.Now()
		if m := c.method; m != nil && c.hasBegun() && m.pace.Load() < inlineAfter {
			m.notePace(ended-now <= quickLimit, slowPenalty)
		}
		c.finish(err, ended, ended-now)
	}()
	defer func() {
		if p := recover(); p != nil {
			err = c.panicError(p) // may run a user's code, for the panic's text
		}
	}()
	failure := c.handle(now)
	if failure != nil {
		failure = asError(failure) // may run a user's code, for the error's text
	}
	err = failure
	return
}

var (
	errGoexit error = &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
		Message: "rpc server: the method ended its goroutine"}
	errInterceptorExit error = &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: "rpc server: an interceptor ended its goroutine"}
)

// handle calls the method, through the interceptors if there are any.
func (c *servedCall) handle(now time.Duration) error {
	if c.answered.Load() { // it has waited for longer than its handle timeout
		return nil
	}
	if err := c.callerGone(now); err != nil {
		return newError(CodeOf(err), InServer, RanNever, fmt.Sprintf("rpc server: %.256s not begun", c.serviceMethod), err)
	}
	intercepted := len(c.conn.server.Interceptors) > 0
	switch {
	case c.method == nil && intercepted:
		return c.handleUnknown()
	case c.rejection != nil:
		return c.rejection
	case intercepted:
		return c.handleIntercepted()
	case !c.start.begin(): // the handle timeout has answered meanwhile
		return nil
	}
	c.begun = true
	return methodError(c.method.invoke(c.ctx, c.argv, c.replyv))
}

// handleUnknown passes a call of no method through the interceptors.
func (c *servedCall) handleUnknown() error {
	c.ctx.unknown = c.rejection
	server := c.conn.server
	call := server.unknown.get(func() CallFunc { return chain(server.Interceptors, rejectUnknown) })
	if err := call(c.ctx, UnknownMethod, nil, nil); err != nil {
		return c.interceptedError(err)
	}
	return c.rejection // there is no reply to send instead
}

func (c *servedCall) handleIntercepted() error {
	reply := c.replyv.Interface()
	if c.method.replyType.Elem().Size() > 0 { // pointers to values without a size are all the same
		c.method.intercepted.contexts.Store(reply, c.ctx)
		defer c.method.intercepted.contexts.Delete(reply)
	}
	call := c.method.inInterceptors(c.conn.server)
	return c.interceptedError(call(c.ctx, c.serviceMethod, c.argv.Interface(), reply))
}

// hasBegun reports whether the method has begun, to the goroutine that has run the
// call.
func (c *servedCall) hasBegun() bool { return c.begun || c.start.hasBegun() }

// forgo reports whether the method has not begun and, from now on, never will.
func (c *servedCall) forgo() bool { return !c.begun && c.start.forgo() }

// finish notes how the call has ended now, and how long it took. What is left is the
// answer.
func (c *servedCall) finish(err error, now, took time.Duration) {
	if c.method != nil {
		c.record(err, now, took)
	}
	c.stopTime()
	c.err = err
	c.timerAnswer = c.timer != nil && !c.answered.CompareAndSwap(false, true)
}

// panicError returns the error of a call that has panicked, in its method or in an
// interceptor.
func (c *servedCall) panicError(p any) error {
	if !c.forgo() {
		return c.conn.methodPanicked(c.serviceMethod, p)
	}
	text := c.conn.reportPanic("interceptor", c.serviceMethod, p)
	return &Error{Code: CodeInternal, Where: InServer, Ran: RanNever,
		Message: fmt.Sprintf("rpc server: an interceptor panicked: %.256s", text)}
}

// methodPanicked logs a method's panic, which the caller has recovered from, and
// returns its error.
func (c *conn) methodPanicked(serviceMethod string, p any) error {
	text := c.reportPanic("method", serviceMethod, p)
	return &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
		Message: fmt.Sprintf("rpc server: method %s panicked: %.256s", serviceMethod, text)}
}

// reportPanic logs a panic of a user's code, which the caller has recovered from, and
// returns its text.
func (c *conn) reportPanic(of, serviceMethod string, p any) (text string) {
	text = usercode.PanicText(p)
	c.server.report(slog.LevelError, "rpc server: "+of+" panicked",
		"method", serviceMethod, "peer", c.peer.Addr, "panic", text, "stack", usercode.Stack())
	return text
}

// callPool has calls that have been answered, with values for the next call of the
// same method.
var callPool = sync.Pool{New: func() any { return new(servedCall) }}

// recycle gives up calls that have been answered. A call with a handle timeout is
// not used again: the runtime keeps a timer that was stopped, and the call with it,
// for some time.
func recycle(calls []*servedCall) {
	for _, c := range calls {
		c.recycle()
	}
	clear(calls)
}

func (c *servedCall) recycle() {
	if c.timer == nil {
		c.reset()
		callPool.Put(c)
	}
}

// reset forgets the call. Values of which the method has only had copies are zeroed
// and kept for its next call.
func (c *servedCall) reset() {
	kept, m := c.callValues, c.method
	if m == nil || kept.of != m || len(c.conn.server.Interceptors) > 0 { // which have had the values themselves
		kept = callValues{}
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
	*c = servedCall{callValues: kept}
}

// releaseValues lets go of the values of a call that has been answered, and that a
// timer may keep alive.
func (c *servedCall) releaseValues() {
	if c.timer != nil {
		c.callValues, c.err = callValues{}, nil
	}
}
