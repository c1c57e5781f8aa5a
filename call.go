package geerpc

import (
	"context"
	"fmt"
	"log/slog"

	"geerpc/internal/usercode"
)

// A Call is a call under way, as Go returns it.
type Call struct {
	Seq           uint64     // of the request on its connection; 0 if it was never sent, or by interceptors
	ServiceMethod string     // format "Service.Method"
	Args          any        // the argument of the method
	Reply         any        // the reply of the method, a pointer
	Error         error      // once the call is done: how it ended
	Done          chan *Call // receives the Call itself when it is done
}

// Go makes a call without waiting for its reply. When the call is done, it is
// sent on done, which calls may share; if done is nil, a new channel is made. If
// done is full or unbuffered, the call waits for its receiver, and delays no other
// call. Shutdown waits for that, within its context, but Close does not: a call that
// has no receiver when the Client is closed is never received. So give done room for
// all calls, or receive them all before you close the Client. If the program has
// closed done, the call is lost, and that is logged.
//
// Calls that one goroutine makes with Go are sent in that order, and args may be
// changed once Go has returned. With Option.Interceptors neither holds: an
// interceptor may wait, or make a call again, so each call runs through them on a
// goroutine of its own. If a Server that is Ordered must keep the order, use Call.
//
// Go waits for its args to be encoded, and may wait until the connection has room
// for the call. There is no context: to limit the time use Call. (An
// Option.HandleTimeout begins when the server has the call.) As with Call, an
// argument must not wait while it is encoded, nor call the same Client.
func (c *Client) Go(serviceMethod string, args, reply any, done chan *Call) *Call {
	if done == nil {
		done = make(chan *Call, 1)
	}
	call := &Call{ServiceMethod: serviceMethod, Args: args, Reply: reply, Done: done}
	if len(c.opt.Interceptors) > 0 {
		c.unannounced.Add()
		go c.intercepted(call) // ends with the call, at the latest with the connection; Shutdown waits
		return call
	}
	if err := c.sendAsync(call); err != nil {
		call.Seq, call.Error = 0, c.named(err, serviceMethod, 0)
		c.announce(call)
	}
	return call
}

// sendAsync sends a call before it returns, so that args may then be changed.
func (c *Client) sendAsync(call *Call) error {
	cc := &clientCall{serviceMethod: call.ServiceMethod, args: call.Args, reply: call.Reply, async: call}
	ctx := context.Background()
	if _, err := c.prepare(ctx, cc); err != nil {
		return err
	}
	return c.send(ctx, cc, c.batchPays())
}

// intercepted makes a call through the interceptors, in a goroutine of the
// Client's. If one of them panics or ends the goroutine, that is the call's error.
func (c *Client) intercepted(call *Call) {
	defer c.unannounced.Done()
	call.Error = &Error{Code: CodeInternal, Where: InClient, Ran: RanMaybe,
		Message: "rpc client: an interceptor ended its goroutine"}
	defer func() {
		p := recover()
		if p == nil {
			c.announce(call)
			return
		}
		text, stack := fmt.Sprint(p), usercode.Stack() // now: p may change before it is logged
		call.Error = &Error{Code: CodeInternal, Where: InClient, Ran: RanMaybe,
			Message: fmt.Sprintf("rpc client: calling %s panicked: %.256s", call.ServiceMethod, text)}
		method := call.ServiceMethod // before the call is announced: then it belongs to its caller
		c.announce(call)
		c.report(slog.LevelError, "rpc client: interceptor panicked", "method", method, "panic", text, "stack", stack)
	}()
	call.Error = c.Call(context.Background(), call.ServiceMethod, call.Args, call.Reply)
}

// announce sends a call that is done on its Done channel, without blocking.
func (c *Client) announce(call *Call) {
	if c.sendDone(call, nil) {
		return
	}
	c.unannounced.Add()
	go func() { // ends when the call is received or the Client closed; Shutdown waits
		defer c.unannounced.Done()
		c.sendDone(call, c.closeCalled)
	}()
}

// sendDone sends a call on its Done channel, and reports false if nobody receives
// it before end is closed; with a nil end it does not wait. If the program has
// closed the channel, that is logged: a panic would end the reader, and so all calls.
func (c *Client) sendDone(call *Call, end <-chan struct{}) (sent bool) {
	defer func() {
		if p := recover(); p != nil {
			c.report(slog.LevelError, "rpc client: call not announced: its Done channel is closed", "method", call.ServiceMethod)
			sent = true
		}
	}()
	select {
	case call.Done <- call:
		return true
	default:
	}
	if end == nil {
		return false
	}
	select {
	case call.Done <- call:
		return true
	case <-end:
		return false
	}
}
