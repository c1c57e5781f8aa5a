package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"runtime"
	"sync"
	"time"

	"geerpc/codec"
)

// A Client is one connection to a server. It may be used by any number of
// goroutines, whose calls share it, and it never reconnects: when the
// connection has gone every call fails with ErrShutdown. (An xclient.XClient
// reconnects, with a single server as well.)
//
// A Client is made by Dial and its relatives and ends with Close.
type Client struct {
	opt     Option
	link    *link
	call    CallFunc // invoke, in the interceptors
	pending pendingTable
	outbox  combiner[waiter]
	senders workers       // one at a time empties the outbox
	done    chan struct{} // closed when nothing is read any more
	closed  chan struct{} // closed by Close
	waiters sync.Pool     // of the Client, not of the process: a channel made in a synctest bubble must not leave it
}

var (
	_ Caller    = (*Client)(nil)
	_ io.Closer = (*Client)(nil)
)

// NewClient returns a Client on conn, which is the Client's from now on, also
// if this fails. It shakes hands with the server at the other end, within
// opt.ConnectTimeout. A nil opt is DefaultOption; opt.Dialer and opt.TLSConfig
// are not used.
func NewClient(conn net.Conn, opt *Option) (*Client, error) {
	o, err := parseOptions(opt)
	if err != nil {
		conn.Close()
		return nil, err
	}
	ctx, cancel := o.connectContext(context.Background())
	defer cancel()
	return newClient(ctx, conn, o)
}

// newClient shakes hands within ctx.
func newClient(ctx context.Context, conn net.Conn, opt Option) (*Client, error) {
	c := &Client{
		opt:    opt,
		done:   make(chan struct{}),
		closed: make(chan struct{}),
	}
	c.pending.freed = make(chan struct{}, 1)
	c.pending.drained = func() { c.link.fail(errDrained) }
	c.waiters.New = newWaiter
	c.call = chain(opt.Interceptors, c.invoke)
	c.link = newLink(conn, limits{opt.MaxMessageBytes, opt.FlushTimeout, opt.Logger})
	if err := c.greet(ctx); err != nil {
		c.link.fail(err)
		c.link.close()
		return nil, err
	}
	if c.link.kinds.has(codec.Ping) && opt.PingInterval > 0 {
		dead := opt.PingInterval + opt.PingTimeout
		if opt.PingTimeout == 0 {
			dead = 0
		}
		c.link.watch(opt.PingInterval, dead)
	}
	go c.receive() // ends with the connection; Close waits
	return c, nil
}

// Close closes the connection. Calls in flight fail with an error that wraps
// ErrShutdown. It returns when nothing of the Client is left running, or
// ErrShutdown at once if Close has been called before.
func (c *Client) Close() error {
	if c.pending.state.Or(closing)&closing != 0 {
		return ErrShutdown
	}
	close(c.closed)
	c.link.fail(ErrShutdown)
	<-c.done
	return nil
}

// IsAvailable tells whether the Client takes new calls: it has not been closed,
// the connection is there, and the server is not shutting down.
func (c *Client) IsAvailable() bool {
	return c.pending.refusal() == nil
}

// Call calls the named method, waits for its reply and returns its error. The
// reply is decoded into reply, a pointer; nil drops it.
//
// When ctx ends, Call returns at once with an error for which
// errors.Is(err, ctx.Err()) holds, and the server is told: the deadline goes
// with the call and a cancellation is sent after it. Once Call has returned,
// args and reply are not touched any more; it waits, if it has to, for its own
// args to be encoded and its own reply to be decoded.
func (c *Client) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	return c.call(ctx, serviceMethod, args, reply)
}

// invoke makes a call and waits for it.
func (c *Client) invoke(ctx context.Context, serviceMethod string, args, reply any) error {
	w := c.waiters.Get().(*waiter)
	w.reply = reply
	h := codec.Header{ServiceMethod: serviceMethod}
	others, err := c.begin(ctx, &h, w)
	switch {
	case err != nil:
	case others:
		c.enqueue(w, h, args)
	default:
		err = c.send(ctx, h, args, w, false)
	}
	reusable := true
	if err == nil {
		reusable, err = c.await(ctx, w)
	}
	if w.replyMD != nil {
		putReplyMetadata(ctx, w.replyMD)
	}
	if reusable {
		w.reset()
		c.waiters.Put(w)
	}
	return err
}

// begin completes the header of a call and registers it. It also tells whether
// others are in flight.
func (c *Client) begin(ctx context.Context, h *codec.Header, p pending) (others bool, err error) {
	if err := checkReply(p.target()); err != nil {
		return false, err
	}
	if err := c.putMetadata(ctx, h); err != nil {
		return false, err
	}
	h.Seq, others, err = c.pending.add(ctx, p, c.link.ctx.Done())
	if err == nil {
		if err = c.putTimeout(ctx, h); err != nil && c.pending.claim(h.Seq) == nil {
			p.recall() // the connection has ended meanwhile, and the call with it
		}
	}
	return others, err
}

// checkReply says whether reply can be decoded into, before the method runs.
func checkReply(reply any) error {
	if reply == nil {
		return nil
	}
	if v := reflect.ValueOf(reply); v.Kind() != reflect.Pointer || v.IsNil() {
		return &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
			Message: fmt.Sprintf("rpc client: reply must be a pointer to decode into, or nil to drop what comes; it is %s", kindOf(v))}
	}
	return nil
}

// kindOf names what v is, a nil pointer included.
func kindOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		return "a nil " + v.Type().String()
	}
	return v.Type().String()
}

// send sends a call from its caller's goroutine. If it fails, the call was
// never sent and p will not hear of it.
func (c *Client) send(ctx context.Context, h codec.Header, args any, p pending, yield bool) error {
	returned := false
	defer func() {
		if !returned { // the arguments have ended the caller's goroutine
			c.pending.claim(h.Seq)
		}
	}()
	// The connection may end meanwhile, and the call with it, as one that may
	// have run.
	err := c.link.send(ctx, h, args)
	returned = true
	if err != nil && (c.pending.claim(h.Seq) != nil || p.recall()) {
		return c.unsent(ctx, err)
	}
	c.link.flush(yield)
	return nil
}

// putTimeout puts into h how much time is left, now.
func (c *Client) putTimeout(ctx context.Context, h *codec.Header) error {
	deadline, ok := ctx.Deadline()
	if !ok || !c.link.extended {
		return nil
	}
	f := h.Frame()
	if f.Timeout = int64(time.Until(deadline)); f.Timeout <= 0 {
		return contextError(context.DeadlineExceeded, InClient, RanNever)
	}
	return nil
}

// putMetadata puts the metadata of a call into h, unless it is too late for it.
func (c *Client) putMetadata(ctx context.Context, h *codec.Header) error {
	if err := ctx.Err(); err != nil {
		return contextError(err, InClient, RanNever)
	}
	if !c.link.extended {
		return nil
	}
	f := h.Frame()
	if md := callMetadata(ctx); md != nil {
		if err := md.validate(); err != nil {
			return &Error{Code: CodeInvalidArgument, Message: err.Error(), Where: InClient, Ran: RanNever}
		}
		f.Metadata = md
	}
	return nil
}

// unsent returns the error of a call that could not be sent because of err.
func (c *Client) unsent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return contextError(err, InClient, RanNever)
	case c.link.cause() != nil:
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: not sent", fmt.Errorf("%w: %w", ErrShutdown, c.link.cause()))
	case err == errLeft:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client", err)
	case errors.Is(err, codec.ErrTooLarge):
		return newError(CodeResourceExhausted, InClient, RanNever, "rpc client: arguments, for the server's Server.MaxMessageBytes", err)
	}
	return newError(CodeInvalidArgument, InClient, RanNever, "rpc client: encoding the arguments", err)
}

// receive reads until the connection ends, and then ends what is pending.
func (c *Client) receive() {
	err := errReaderExit // unless the loop is left
	defer func() {
		c.link.fail(err)
		c.terminate(c.link.cause())
		c.link.close()
		c.senders.release()
		close(c.done)
	}()
	err = c.readAll()
}

// readAll reads until the connection ends, and returns why it did.
func (c *Client) readAll() error {
	var h codec.Header
	for {
		if err := c.link.readHeader(&h); err != nil {
			return err
		}
		if err := c.dispatch(&h); err != nil {
			return err
		}
		if !c.link.ready() {
			runtime.Gosched() // callers that have their reply come before waiting for more
		}
	}
}

// dispatch handles one message. An error ends the connection.
func (c *Client) dispatch(h *codec.Header) error {
	kind := h.Frame().Kind
	if !c.link.extended {
		kind = codec.Reply
	}
	if kind == codec.Reply {
		c.reply(h)
		return nil
	}
	if err := c.link.readBody(nil); err != nil {
		return err
	}
	switch kind {
	case codec.Ping:
		c.link.answerPing()
	case codec.Goaway:
		c.leave()
	}
	return nil
}

// reply gives a reply to whoever waits for it.
func (c *Client) reply(h *codec.Header) {
	if !c.link.whole {
		c.slowReply(h)
		return
	}
	err := replyError(h, c.link.extended)
	md := Metadata(h.Frame().Metadata)
	if unfit := md.validate(); unfit != nil {
		md = nil
		if err == nil {
			err = newError(CodeInternal, InClient, RanYes, "rpc client: reply", unfit)
		}
	}
	p := c.pending.claim(h.Seq)
	if p == nil || err != nil {
		c.link.readBody(nil)
		if p != nil {
			p.deliver(md, err)
		}
		return
	}
	err = errReaderExit
	defer func() { p.deliver(md, err) }() // also if the reply ends our goroutine
	if err = c.link.readBody(p.target()); err != nil {
		err = newError(CodeInternal, InClient, RanYes, "rpc client: reading body", err)
	}
}

// slowReply is reply for a codec that may wait for the network in the middle
// of a body. Meanwhile the caller may leave and take its reply along, so the
// body goes into a value of its own first.
func (c *Client) slowReply(h *codec.Header) {
	target := c.pending.target(h.Seq)
	err := replyError(h, c.link.extended)
	if err != nil {
		target = nil
	}
	fresh, bad := c.readFresh(target)
	if bad != nil {
		err = newError(CodeInternal, InClient, RanYes, "rpc client: reading body", bad)
	}
	p := c.pending.claim(h.Seq)
	if p == nil {
		return
	}
	if err == nil && fresh.IsValid() {
		reflect.ValueOf(p.target()).Elem().Set(fresh.Elem())
	}
	p.deliver(nil, err)
}

// readFresh reads a body into a new value of the type that target points to;
// it skips the body if target is nil.
func (c *Client) readFresh(target any) (fresh reflect.Value, err error) {
	if target == nil {
		c.link.readBody(nil)
		return fresh, nil
	}
	fresh = reflect.New(reflect.TypeOf(target).Elem())
	return fresh, c.link.readBody(fresh.Interface())
}

// terminate ends all pending calls, and those that wait for a slot.
func (c *Client) terminate(cause error) {
	left := c.pending.end()
	if len(left) > 0 && c.pending.state.Load()&closing == 0 {
		c.opt.Logger.Warn("rpc client: connection lost", "calls", len(left), "err", cause)
	}
	for _, p := range left {
		p.deliver(nil, lostError(cause))
	}
}

// lostError is what a call fails with whose connection was closed under it.
func lostError(cause error) error {
	if cause == io.EOF {
		cause = io.ErrUnexpectedEOF
	}
	if !errors.Is(cause, ErrShutdown) {
		cause = fmt.Errorf("connection lost: %w", cause)
	}
	return newError(CodeUnavailable, OnLink, RanMaybe, "rpc client", cause)
}
