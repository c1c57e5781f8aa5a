package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
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
	opt         Option
	link        *link
	call        CallFunc // invoke, in the interceptors
	maxInFlight int      // what the server allows; 0: no limit
	done        chan struct{}
	waiters     sync.Pool // of the Client, not of the process: a channel made in a synctest bubble must not leave it

	mu       sync.Mutex // guards what follows
	seq      uint64
	pending  map[uint64]pending // calls in flight by seq; nil: the caller has left, the server not answered
	waiting  int                // calls that wait for a slot
	freed    chan struct{}      // capacity 1: there may be a free slot, look
	closing  bool               // Close has been called
	draining bool               // the server wants no new calls
	shutdown bool               // the connection has gone
}

var (
	_ Caller    = (*Client)(nil)
	_ io.Closer = (*Client)(nil)
)

// pending is what waits for a reply.
type pending interface {
	// begin tells the seq, before anything is sent.
	begin(seq uint64)

	// target returns what the body is decoded into; nil skips it.
	target() any

	// deliver ends the wait. It is called once, and does not block.
	deliver(md Metadata, err error)

	// recall takes back what is being delivered, because the sender knows
	// better. It reports false if it is too late for that.
	recall() bool
}

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
		opt:     opt,
		pending: make(map[uint64]pending),
		freed:   make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	c.waiters.New = func() any { return &waiter{done: make(chan struct{}, 1)} }
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
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return ErrShutdown
	}
	c.closing = true
	c.mu.Unlock()
	c.link.fail(ErrShutdown)
	<-c.done
	return nil
}

// IsAvailable tells whether the Client takes new calls: it has not been closed,
// the connection is there, and the server is not shutting down.
func (c *Client) IsAvailable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closing && !c.draining && !c.shutdown
}

// Call calls the named method, waits for its reply and returns its error. The
// reply is decoded into reply, a pointer; nil drops it.
//
// When ctx ends, Call returns at once with an error for which
// errors.Is(err, ctx.Err()) holds, and the server is told: the deadline goes
// with the call and a cancellation is sent after it. Once Call has returned,
// args and reply are not touched any more.
func (c *Client) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	return c.call(ctx, serviceMethod, args, reply)
}

// invoke makes a call and waits for it.
func (c *Client) invoke(ctx context.Context, serviceMethod string, args, reply any) error {
	w := c.waiters.Get().(*waiter)
	w.reply = reply
	err := c.send(ctx, serviceMethod, args, w)
	if err == nil {
		err = c.await(ctx, w)
	}
	if w.md != nil {
		putReplyMetadata(ctx, w.md)
	}
	*w = waiter{done: w.done} // nobody else has it any more
	c.waiters.Put(w)
	return err
}

// await waits for w, or for ctx to end.
func (c *Client) await(ctx context.Context, w *waiter) error {
	if ctx.Done() == nil { // cheaper than a select
		<-w.done
		return w.err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	if c.abandon(w.seq) {
		return contextError(ctx.Err(), OnLink, RanMaybe)
	}
	<-w.done // it is being decoded already
	return w.err
}

// A waiter is a call somebody waits for. It belongs to the caller, and, while
// it is in pending or has been claimed, to the reader.
type waiter struct {
	seq   uint64
	reply any
	md    Metadata
	err   error
	done  chan struct{} // capacity 1
}

func (w *waiter) begin(seq uint64) { w.seq = seq }

func (w *waiter) target() any { return w.reply }

func (w *waiter) deliver(md Metadata, err error) {
	w.md, w.err = md, err
	w.done <- struct{}{}
}

func (w *waiter) recall() bool {
	<-w.done
	return true
}

// send registers a call and sends it. If it fails, the call was never sent and
// p will not hear of it.
func (c *Client) send(ctx context.Context, serviceMethod string, args any, p pending) error {
	h := codec.Header{ServiceMethod: serviceMethod}
	if err := c.putContext(ctx, &h); err != nil {
		return err
	}
	seq, others, err := c.register(ctx, p)
	if err != nil {
		return err
	}
	h.Seq = seq
	// The connection may end meanwhile, and the call with it, as one that may
	// have run.
	if err := c.link.send(ctx, h, args); err != nil && (c.claim(seq) != nil || p.recall()) {
		return c.unsent(ctx, err)
	}
	c.link.flush(others)
	return nil
}

// putContext puts into h what ctx has to say to the server.
func (c *Client) putContext(ctx context.Context, h *codec.Header) error {
	if err := ctx.Err(); err != nil {
		return contextError(err, InClient, RanNever)
	}
	if !c.link.extended {
		return nil
	}
	f := h.Frame()
	if deadline, ok := ctx.Deadline(); ok {
		if f.Timeout = int64(time.Until(deadline)); f.Timeout <= 0 {
			return contextError(context.DeadlineExceeded, InClient, RanNever)
		}
	}
	if md := callMetadata(ctx); md != nil {
		if err := md.validate(); err != nil {
			return &Error{Code: CodeInvalidArgument, Message: err.Error(), Where: InClient, Ran: RanNever}
		}
		f.Metadata = md
	}
	return nil
}

// register takes a slot for a call, once there is one, and gives it its seq. It
// also tells whether other calls are in flight.
func (c *Client) register(ctx context.Context, p pending) (seq uint64, others bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closing || c.shutdown:
			return 0, false, ErrShutdown
		case c.draining:
			c.wakeLocked() // the next in line has to hear of it too
			return 0, false, newError(CodeUnavailable, InClient, RanNever, "rpc client: the server is shutting down", ErrShutdown)
		case c.maxInFlight == 0 || len(c.pending) < c.maxInFlight:
			c.seq++
			p.begin(c.seq)
			c.pending[c.seq] = p
			c.wakeLocked() // there may be another slot
			return c.seq, len(c.pending) > 1, nil
		}
		c.waiting++
		c.mu.Unlock()
		select {
		case <-c.freed:
		case <-c.link.ctx.Done():
		case <-ctx.Done():
			err = contextError(ctx.Err(), InClient, RanNever)
		}
		c.mu.Lock()
		c.waiting--
		if err != nil {
			c.wakeLocked() // in case it was us who had been woken
			return 0, false, err
		}
	}
}

// wakeLocked has one of those who wait for a slot look again.
func (c *Client) wakeLocked() {
	if c.waiting > 0 {
		select {
		case c.freed <- struct{}{}:
		default:
		}
	}
}

// claim takes a call out of pending: whoever does so owns it, and nobody else
// touches its reply. It returns nil if the caller has left or never was.
func (c *Client) claim(seq uint64) pending {
	c.mu.Lock()
	p, ok := c.pending[seq]
	if !ok {
		c.mu.Unlock()
		return nil
	}
	delete(c.pending, seq)
	c.wakeLocked()
	idle := c.draining && len(c.pending) == 0
	c.mu.Unlock()
	if idle {
		c.link.fail(errDrained)
	}
	return p
}

// unsent returns the error of a call that could not be sent because of err.
func (c *Client) unsent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return contextError(err, InClient, RanNever)
	case c.link.ctx.Err() != nil:
		return newError(CodeUnavailable, OnLink, RanNever, "rpc client: not sent", fmt.Errorf("%w: %w", ErrShutdown, c.link.cause()))
	case err == errLeft:
		return newError(CodeUnavailable, InClient, RanNever, "rpc client", err)
	case errors.Is(err, codec.ErrTooLarge):
		return newError(CodeResourceExhausted, InClient, RanNever, "rpc client", err)
	}
	return newError(CodeInvalidArgument, InClient, RanNever, "rpc client: encoding the arguments", err)
}

// abandon is for a caller that leaves: it reports false if the reply is being
// decoded already. The slot stays taken until the server has answered, for
// the method goes on until it has noticed.
func (c *Client) abandon(seq uint64) bool {
	c.mu.Lock()
	p := c.pending[seq]
	if p != nil {
		c.pending[seq] = nil
	}
	c.mu.Unlock()
	if p != nil && c.link.kinds.has(codec.Cancel) {
		c.link.post(control{kind: codec.Cancel, seq: seq})
	}
	return p != nil
}

// receive reads until the connection ends, and then ends what is pending.
func (c *Client) receive() {
	defer close(c.done)
	var h codec.Header
	var err error
	for err == nil {
		if err = c.link.readHeader(&h); err == nil {
			err = c.dispatch(&h)
		}
	}
	c.link.fail(err)
	c.terminate(c.link.cause())
	c.link.close()
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
		c.goaway()
	}
	return nil
}

// reply gives a reply to whoever waits for it.
func (c *Client) reply(h *codec.Header) {
	if !c.link.whole {
		c.slowReply(h)
		return
	}
	p := c.claim(h.Seq)
	err := replyError(h, c.link.extended)
	md := Metadata(h.Frame().Metadata)
	if unfit := md.validate(); unfit != nil {
		md = nil
		if err == nil {
			err = newError(CodeInternal, InClient, RanYes, "rpc client: reply", unfit)
		}
	}
	if p == nil || err != nil {
		c.link.readBody(nil)
	} else if err = c.link.readBody(p.target()); err != nil {
		err = newError(CodeInternal, InClient, RanYes, "rpc client: reading body", err)
	}
	if p != nil {
		p.deliver(md, err)
	}
}

// slowReply is reply for a codec that may wait for the network in the middle
// of a body. Meanwhile the caller may leave and take its reply along, so the
// body goes into a value of its own first.
func (c *Client) slowReply(h *codec.Header) {
	var target any
	c.mu.Lock()
	if p := c.pending[h.Seq]; p != nil {
		target = p.target() // not later: a caller that leaves reuses its waiter
	}
	c.mu.Unlock()
	err := replyError(h, c.link.extended)
	if err != nil {
		target = nil
	}
	fresh, bad := c.readFresh(target)
	if bad != nil {
		err = newError(CodeInternal, InClient, RanYes, "rpc client: reading body", bad)
	}
	p := c.claim(h.Seq)
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
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		c.link.readBody(nil)
		return fresh, errNoPointer
	}
	fresh = reflect.New(v.Type().Elem())
	return fresh, c.link.readBody(fresh.Interface())
}

var errNoPointer = errors.New("the reply must be a pointer to something")

// goaway stops new calls, tells the server that none will come after those it
// has got by then, and leaves when they are answered.
func (c *Client) goaway() {
	c.mu.Lock()
	c.draining = true
	idle := len(c.pending) == 0
	c.mu.Unlock()
	c.link.post(control{kind: codec.Goaway})
	if idle {
		c.link.fail(errDrained)
	}
}

var errDrained = fmt.Errorf("%w: the server said goodbye", ErrShutdown)

// terminate ends all pending calls, and those that wait for a slot.
func (c *Client) terminate(cause error) {
	c.mu.Lock()
	c.shutdown = true
	left := c.pending
	c.pending = make(map[uint64]pending)
	closing := c.closing
	c.mu.Unlock()
	if len(left) > 0 && !closing {
		c.opt.Logger.Warn("rpc client: connection lost", "calls", len(left), "err", cause)
	}
	for _, p := range left {
		if p != nil {
			p.deliver(nil, lostError(cause))
		}
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
