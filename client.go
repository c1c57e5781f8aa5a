package geerpc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"geerpc/codec"
	"geerpc/internal/inflight"
	"geerpc/internal/link"
	"geerpc/internal/readturn"
	"geerpc/internal/replycopy"
	"geerpc/internal/report"
	"geerpc/internal/usercode"
	"geerpc/internal/waitgroup"
)

// A Client is one connection to a server. It may be used by any number of
// goroutines, whose calls share it. It never reconnects: when the connection has
// ended, every new call fails with ErrShutdown. (An xclient.XClient reconnects,
// with a single server as well.)
//
// Dial and its relatives make a Client, and Close ends it.
type Client struct {
	opt    Option
	link   *link.Link
	server string   // its address, as XDial takes it; of a connection, asked for once, because that may be a user's
	call   CallFunc // invoke, wrapped by the interceptors

	serverLeaves atomic.Bool // the server has sent a goaway

	closeCalled   chan struct{} // closed by Close
	readerStopped chan struct{} // closed when nothing is read any more
	ended         chan struct{} // closed when all calls have been ended: with readerStopped, or a second after the connection's end

	inFlight *inflight.Table[*clientCall]
	callPool sync.Pool // of the Client, not of the process: a channel made in a synctest bubble must not leave it

	// repliesBatched reports whether the last replies came together, as the next
	// calls are likely to.
	repliesBatched atomic.Bool

	readTurn *readturn.Turn
	lends    bool // the reader may lend its turn

	_       [64]byte // callers read what is above; it stays in their caches
	latest  message
	pattern callPattern
	_       [64]byte // the reader writes what is above, callers what is below
	outbox  outbox
	pings   pings

	unannounced waitgroup.Group // goroutines that have a Call of Go to announce
	reports     report.Queue
}

var (
	_ Caller    = (*Client)(nil)
	_ io.Closer = (*Client)(nil)
)

// Close closes the connection. Calls in flight fail with an error that wraps
// ErrShutdown. It returns when nothing of the Client is left running, or
// ErrShutdown at once if Close has been called before.
//
// If the connection's own Close does not return, or does not end its Read, as with
// many files, Close returns after a second: all calls have ended by then, and the
// goroutine that reads ends when the connection lets it.
func (c *Client) Close() error {
	if !c.inFlight.Close() {
		return ErrShutdown
	}
	close(c.closeCalled)
	c.link.Fail(ErrShutdown)
	<-c.ended
	c.reports.Wait(report.Grace)
	return nil
}

// String names the Client by its server. (Printed as it is, its Option would show the
// Token.)
func (c *Client) String() string { return "rpc client of " + c.server }

// GoString is String, for %#v.
func (c *Client) GoString() string { return c.String() }

// report logs a message, without waiting for the Logger.
func (c *Client) report(level slog.Level, text string, args ...any) {
	c.reports.Log(c.opt.Logger, level, text, args...)
}

// IsAvailable reports whether the Client takes new calls: it has not been closed,
// the connection is there, and the server is not shutting down.
func (c *Client) IsAvailable() bool {
	return c.inFlight != nil && c.inFlight.Err() == nil // a zero Client has no connection
}

// Call calls the named method, waits for its reply and returns its error. The
// reply is decoded into reply, a pointer; nil drops it.
//
// When ctx ends, Call returns at once with an error for which
// errors.Is(err, ctx.Err()) holds. The server learns of it, because the deadline is
// sent with the call, and a cancellation after it. Once Call has returned, args and
// reply are not used any more; if necessary, Call waits until its args have been
// encoded, or its reply decoded.
//
// So an argument that encodes itself must not wait for anything, nor call the
// same Client: meanwhile nothing else is sent on the connection. All other calls
// wait, under their contexts, and so do pings, without which the server closes the
// connection in the end.
func (c *Client) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	if ctx == nil {
		return c.named(errNilContext, serviceMethod, 0)
	}
	return c.call(ctx, serviceMethod, args, reply)
}

var errNilContext error = &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
	Message: "nil context; use context.Background()"}

// checkReply returns an error if a reply can't be decoded into reply: before the call
// is sent, because afterwards the method has run.
func checkReply(reply any, t codec.Type) error {
	if reply == nil {
		return nil
	}
	v := reflect.ValueOf(reply)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return unfitReply("reply must be a pointer to decode into, or nil to drop what comes; it is %s", kindOf(v))
	}
	if v = v.Elem(); v.Kind() == reflect.Interface && v.NumMethod() > 0 && v.IsNil() && t == codec.JsonType {
		return unfitReply("JSON can't be decoded into the interface %v, for it has methods; use any, or a type without interfaces", v.Type())
	}
	return nil
}

func unfitReply(format string, a ...any) error {
	return &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever, Message: fmt.Sprintf(format, a...)}
}

// kindOf names what v is, a nil pointer included.
func kindOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		return "a nil " + v.Type().String()
	}
	return v.Type().String()
}

// receive reads until the connection ends, and then ends all calls.
func (c *Client) receive() {
	err := errReaderExit // unless readAll returns
	defer func() { c.finish(err) }()
	defer c.link.Caught("reading a connection", &err)
	err = c.readAll()
}

// finish ends the connection and all calls when reading has ended with err. Its
// steps are deferred because the connection and the codec may be a user's, and end
// our goroutine when they are closed.
func (c *Client) finish(err error) {
	defer close(c.readerStopped)
	defer c.link.Close()
	defer func() { c.terminate(c.link.Cause()) }()
	c.link.Fail(usercode.Error(err))
}

// readAll reads until the connection ends, and returns why it did.
func (c *Client) readAll() error {
	h := &c.latest.header
	for replies := 1; ; replies++ {
		if err := c.link.ReadHeader(h); err != nil {
			return err
		}
		if err := c.dispatch(h); err != nil {
			return err
		}
		if c.link.Ready() {
			continue
		}
		batched := replies > 1
		if c.repliesBatched.Load() != batched { // a store would slow down all callers, who read it
			c.repliesBatched.Store(batched)
		}
		replies = 0
		if c.lends && c.callsFollow(batched) {
			if err := c.lendTurn(); err != nil {
				return err
			}
		} else {
			runtime.Gosched() // let callers use their replies before waiting for more
		}
	}
}

// errReaderExit is why a connection ends if decoding a body has ended the goroutine that
// reads. On a client it becomes the error of the call whose reply that was, which has
// run. On a server it is only logged.
var errReaderExit error = &Error{Code: CodeInternal, Where: InClient, Ran: RanYes,
	Message: "decoding a body ended the goroutine that reads the connection"}

// dispatch handles one message. An error ends the connection.
func (c *Client) dispatch(h *codec.Header) error {
	kind := c.kind(h)
	if kind == codec.Reply {
		c.reply(h)
		return nil
	}
	if err := c.link.ReadBody(nil); err != nil {
		return err
	}
	switch kind {
	case codec.Ping:
		c.link.AnswerPing()
	case codec.Pong:
		c.pings.answered()
	case codec.Goaway:
		c.serverLeaves.Store(true)
		c.drain()
	}
	return nil
}

// kind returns the kind of a message. The plain wire has none, and only replies.
func (c *Client) kind(h *codec.Header) codec.Kind {
	if !c.link.Extended() {
		return codec.Reply
	}
	return h.Frame().Kind
}

// reply decodes a reply and delivers its call.
func (c *Client) reply(h *codec.Header) {
	if !c.link.Whole() {
		c.slowReply(h)
		return
	}
	err := replyError(h)
	md := Metadata(h.Frame().Metadata)
	if unfit := md.validate(); unfit != nil {
		md = nil
		if err == nil {
			err = callFailed(CodeInternal, InClient, RanYes, "reply", unfit)
		}
	}
	call := c.inFlight.Claim(h.Seq)
	if call == nil {
		c.link.ReadBody(nil)
		return
	}
	defer func() { c.deliver(call, md, err) }() // also if the body ends our goroutine
	if err != nil {
		c.link.ReadBody(nil)
		return
	}
	err = errReaderExit
	if err = c.link.ReadBody(call.reply); err != nil {
		err = unreadable(call.reply, err)
	}
}

// slowReply is reply for a codec that may wait for the network in the middle of a
// body. Meanwhile the caller may abandon the call and use its reply, so the body is
// decoded into a copy first.
func (c *Client) slowReply(h *codec.Header) {
	err := replyError(h)
	var reply *replycopy.Copy
	if err == nil {
		reply = c.copyTarget(h.Seq)
	}
	if reply == nil {
		c.link.ReadBody(nil)
	} else if bad := c.link.ReadBody(reply.Target()); bad != nil {
		err = unreadable(reply.Target(), bad)
	}
	call := c.inFlight.Claim(h.Seq)
	if call == nil {
		return
	}
	if err == nil && reply != nil {
		reply.Merge()
	}
	c.deliver(call, nil, err)
}

// copyTarget copies what the reply of a call is decoded into. It returns nil if the
// call has been abandoned, or its caller wants no reply. The table's lock keeps the
// caller from abandoning the call, and then using the reply, while it is copied.
func (c *Client) copyTarget(seq uint64) (reply *replycopy.Copy) {
	c.inFlight.Visit(seq, func(call *clientCall) {
		if call.reply != nil {
			reply = replycopy.Of(call.reply)
		}
	})
	return reply
}

// terminate ends all calls, those in flight and those in the outbox, and logs that
// calls were lost.
func (c *Client) terminate(cause error) {
	lost := c.inFlight.End()
	closed := c.inFlight.Closed()
	for _, call := range lost {
		c.deliver(call, nil, lostError(cause))
	}
	c.closeOutbox()
	if len(lost) > 0 && !closed {
		c.report(slog.LevelWarn, "rpc client: connection lost", "server", c.server, "calls", len(lost), "err", cause)
	}
}
