package xclient

import (
	"context"
	"fmt"
	"log/slog"

	"geerpc"
)

// Go makes a call as Call does, without waiting for its reply; it returns at
// once, and has a goroutine make the call. args and reply must be left alone
// until the call is done. There is no context: to limit the time use Call, or a
// default deadline.
//
// When the call is done, it is sent on done, which may be shared by calls; if
// done is nil, a new channel is made. A done channel that is full or unbuffered
// holds up nobody else: the call waits for its receiver, until the XClient is
// closed, and Shutdown waits for that too. The call's Seq stays 0.
func (xc *XClient) Go(serviceMethod string, args, reply any, done chan *geerpc.Call) *geerpc.Call {
	if done == nil {
		done = make(chan *geerpc.Call, 1)
	}
	call := &geerpc.Call{ServiceMethod: serviceMethod, Args: args, Reply: reply, Done: done}
	admitted := xc.begin()        // before Go returns: Shutdown waits for what was begun before it
	go runDetached(func() error { // ends when the call is received or the XClient closed
		if admitted != nil {
			return admitted
		}
		return xc.call(context.Background(), serviceMethod, args, reply)
	}, func(err error) {
		call.Error = err
		xc.announce(call)
		if admitted == nil {
			xc.calls.end()
		}
	})
	return call
}

// announce sends a call that is done on its channel. If that has been closed, nobody
// waits.
func (xc *XClient) announce(call *geerpc.Call) {
	defer func() {
		if p := recover(); p != nil {
			xc.set.reports.Log(xc.set.opt.Logger, slog.LevelError,
				"rpc xclient: call not announced: its Done channel is closed", "method", call.ServiceMethod)
		}
	}()
	select {
	case call.Done <- call:
		return
	default:
	}
	select {
	case call.Done <- call:
	case <-xc.set.ctx.Done():
	}
}

// runDetached makes a call on a goroutine that is not its caller's, and passes its
// error to done. A call that panics or ends the goroutine is an error, too: nobody
// else would notice.
func runDetached(call func() error, done func(error)) {
	err := errExited
	defer func() {
		if p := recover(); p != nil {
			err = unknownResult("the call panicked: %.256v", p)
		}
		done(err)
	}()
	err = call()
}

var errExited = unknownResult("the call ended its goroutine")

// unknownResult returns the error of a call of which nobody knows how it ended.
func unknownResult(format string, a ...any) error {
	e := geerpc.Errorf(geerpc.CodeInternal, "rpc xclient: %w", fmt.Errorf(format, a...)).(*geerpc.Error)
	e.Where, e.Ran = geerpc.InClient, geerpc.RanMaybe
	return e
}
