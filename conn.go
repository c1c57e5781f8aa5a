package geerpc

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/link"
	"geerpc/internal/usercode"
)

// A conn is a connection being served. One goroutine at a time reads it and
// runs the calls that are quick; workers run the others. Whoever has run a call
// and finds nobody answering, a worker or the reader, answers for all; a handle
// timeout answers for its call on its own.
type conn struct {
	server  *Server
	link    *link.Link
	since   time.Time
	peer    Peer
	heard   atomic.Bool // a first byte has arrived
	greeted atomic.Bool // the handshake is done

	codecType codec.Type    // as the client wants it
	handle    time.Duration // until a call is answered, done or not; 0: no limit

	pingInterval time.Duration // how often each side is to be heard; 0: nothing was agreed

	taking   int64        // slots so far; the reader's own
	taken    atomic.Int64 // the same, when calls were last submitted, for others
	returned atomic.Int64 // slots so far
	reader   reader

	mu       sync.Mutex // guards state; see update
	state    connState
	finished chan struct{} // closed when the last answer is on its way and no call can follow
	ended    chan struct{} // closed when nothing is read any more
	gone     chan struct{} // closed when nothing of the connection is left
	slot     chan struct{} // on the plain layout; capacity 1: there may be a free slot, look
	incoming []*servedCall // read and not yet started; the reader's own
	starting []*servedCall // about to be; the reader's own
	called   *method       // by the latest request; the reader's own, as is
	name     string        // by which it was
	leaving  sync.WaitGroup
}

// connState is all that changes about a conn.
type connState struct {
	calls    map[uint64]*servedCall // those with a goroutine that have not been answered, by seq
	open     int                    // calls that have not ended, and timeouts that answer: the last answers are on their way
	queue    []*servedCall          // of an Ordered server, those that have not begun
	running  bool                   // then: a goroutine runs them
	left     bool                   // no more calls are taken
	finished bool

	idle     *time.Timer // with Server.IdleTimeout: runs checkIdleness
	lastCall time.Time   // then: when a call last ended
}

// update is the gate through which state changes, and the one place that
// decides when a connection has done its work.
func (c *conn) update(f func(s *connState)) {
	c.mu.Lock()
	f(&c.state)
	finished := c.state.left && c.state.open == 0 && !c.state.finished
	if finished {
		c.state.finished = true
	}
	c.mu.Unlock()
	if finished {
		close(c.finished)
	}
}

// newConn prepares to serve rwc.
func newConn(s *Server, rwc io.ReadWriteCloser) *conn {
	c := &conn{
		server:   s,
		since:    time.Now(),
		finished: make(chan struct{}),
		ended:    make(chan struct{}),
		gone:     make(chan struct{}),
	}
	c.link = link.New(rwc, link.Config{
		MaxRead:        limit(s.MaxMessageBytes, DefaultMaxMessageBytes),
		MaxDefinitions: limit(s.MaxDefinitionBytes, DefaultMaxDefinitionBytes),
		FlushTimeout:   limit(s.FlushTimeout, DefaultFlushTimeout),
		Report:         s.report,
	})
	return c
}

// serve serves the connection until the client has hung up and its calls are
// answered, or the connection has failed and its methods have returned.
func (c *conn) serve() {
	defer func() { <-c.gone }() // whoever reads by then
	if c.begin() {
		c.reading(0)
	}
}

// begin does what comes before the first message. It reports false if the
// connection has ended instead.
func (c *conn) begin() (ok bool) {
	err := errHandshakeExit
	defer func() {
		if ok {
			return
		}
		if !c.greeted.Load() {
			c.server.reject(c, err)
		}
		c.end(err)
	}()
	defer c.link.Caught("a handshake", &err)
	if err = c.secure(); err == nil {
		err = c.handshake()
	}
	if err != nil {
		return false
	}
	if !c.link.Extended() {
		c.slot = make(chan struct{}, 1)
	}
	c.greeted.Store(true)
	if c.server.conns.IsStopped() { // Shutdown may have passed by
		c.drain(c.link.Context())
	}
	c.keepAlive()
	c.watchIdleness()
	err = handshake.SkipNewline(c.link)
	return err == nil
}

var errHandshakeExit = errors.New("the handshake ended the goroutine that it ran on")

// end is what remains to be done when nothing is read any more because of err.
// Its steps are deferred, for the connection and the codec may be a user's, and
// end our goroutine when they are closed.
func (c *conn) end(err error) {
	defer close(c.gone)
	defer c.leaving.Wait()
	defer c.link.Close()
	defer c.link.Fail(errDone)
	defer c.awaitCalls()
	close(c.ended)
	if err != io.EOF || c.link.Extended() {
		// It is gone, or broken. (On the plain layout the end of the stream
		// only means that there are no more requests.)
		c.link.Fail(usercode.Error(err))
		c.server.lost(c)
	}
}

// awaitCalls takes no more calls, and returns when all have been answered.
func (c *conn) awaitCalls() {
	c.update(func(s *connState) {
		s.left = true
		if s.idle != nil {
			s.idle.Stop()
			s.idle = nil
		}
	})
	<-c.finished
	c.link.Drain(c.link.Context())
}

var errDone = errors.New("connection closed in good order")

// read reads messages until there are no more, or with errReplaced until
// another goroutine has taken over.
func (c *conn) read() error {
	var h codec.Header
	for {
		if err := c.link.ReadHeader(&h); err != nil {
			return err
		}
		if err := c.dispatch(&h); err != nil {
			return err
		}
	}
}

// dispatch handles one message. An error ends the connection.
func (c *conn) dispatch(h *codec.Header) error {
	kind := h.Frame().Kind
	if kind == codec.Call {
		return c.request(h)
	}
	c.submit(false) // the calls before it, which it may be about
	if err := c.link.ReadBody(nil); err != nil {
		return fmt.Errorf("body of %v: %w", kind, err)
	}
	switch kind {
	case codec.Cancel:
		c.cancelCall(h.Seq)
	case codec.Ping:
		c.link.AnswerPing()
	case codec.Goaway:
		c.closeAnswered(c.link.Context())
	}
	return nil
}

// request reads a call and has it run, or refused. As long as more messages
// are at hand requests are kept together, for waking a worker costs more than
// reading a small request. An error ends the connection.
func (c *conn) request(h *codec.Header) error {
	k := c.readCall(h)
	if !c.link.Extended() {
		c.count(k)
	}
	refusal, err := c.takeSlot()
	switch {
	case err != nil:
		k.drop()
		c.update(k.uncount)
	case refusal != nil:
		c.refuse(k, refusal)
	default:
		c.incoming = append(c.incoming, k)
	}
	if len(c.incoming) >= link.MaxTogether || !c.link.Ready() {
		if !c.submit(true) {
			return errReplaced
		}
	}
	return err
}

// count has a call that was read answered, and waited for, although the server
// may begin to shut down while it waits for a slot: its client can't be told.
func (c *conn) count(k *servedCall) {
	c.update(func(s *connState) {
		if k.counted = !s.left; k.counted {
			s.open++
		}
	})
}

func (k *servedCall) uncount(s *connState) {
	if k.counted {
		s.open--
	}
}

var errReplaced = errors.New("another goroutine reads now")

// takeSlot takes a slot for a call, or says why there is none. On the plain
// layout, which knows no limit on calls in flight, it waits for one instead.
func (c *conn) takeSlot() (refusal *Error, err error) {
	most := int64(c.server.maxInFlight())
	for most > 0 && c.taking-c.returned.Load() >= most {
		if c.link.Extended() {
			return &Error{Code: CodeResourceExhausted, Where: InServer, Ran: RanNever,
				Message: fmt.Sprintf("rpc server: more than %d calls in flight on one connection", most)}, nil
		}
		c.submit(false) // those that hold the slots have to run first
		select {
		case <-c.slot:
		case <-c.link.Context().Done():
			return nil, c.link.Cause()
		}
	}
	c.taking++
	return nil, nil
}

// release gives slots back.
func (c *conn) release(n int) {
	c.returned.Add(int64(n))
	if !c.link.Extended() {
		signal(c.slot)
	}
}

// inFlight returns how many calls hold a slot. Slots are counted twice, so
// that readers and workers need not pass a counter from core to core.
func (c *conn) inFlight() int64 {
	returned := c.returned.Load() // first, so that it is not the greater one
	return c.taken.Load() - returned
}

// readCall reads the body of a request. A request that can't be met is a call
// as well: one that is answered with the reason.
func (c *conn) readCall(h *codec.Header) *servedCall {
	k := callPool.Get().(*servedCall)
	k.conn, k.seq, k.serviceMethod = c, h.Seq, h.ServiceMethod
	md := Metadata(h.Frame().Metadata)
	unfit := md.validate()
	if unfit != nil {
		md = nil
	}
	k.method = c.method(h.ServiceMethod)
	if k.method == nil {
		c.link.ReadBody(nil)
		k.refused = c.server.registry.missing(h.ServiceMethod)
		k.arm(0, time.Duration(h.Frame().Timeout), md)
		return k
	}
	k.prepare(k.method)
	err := c.link.ReadBody(k.argp.Interface())
	if err == nil {
		err = unfit
	}
	if err != nil {
		k.refused = newError(CodeInvalidArgument, InServer, RanNever, "rpc server: arguments of "+h.ServiceMethod, k.method.explain(err))
		return k
	}
	k.arm(c.handle, time.Duration(h.Frame().Timeout), md)
	return k
}

// method returns the method of a name, which often is the latest again, or nil.
func (c *conn) method(name string) *method {
	if c.called != nil && c.name == name {
		return c.called
	}
	m := c.server.registry.method(name)
	if m != nil { // what is missing may yet be registered, and its name be of any size
		c.called, c.name = m, name
	}
	return m
}

// submit starts the incoming calls. If the reader has time, it runs those that
// are quick itself; then it may be relieved, which submit reports with false.
func (c *conn) submit(hasTime bool) bool {
	if len(c.incoming) == 0 {
		return true
	}
	c.taken.Store(c.taking)
	c.update(func(s *connState) {
		for i, k := range c.incoming {
			if refusal := c.refuses(k); refusal != nil {
				k.refused = refusal
				k.uncount(s)
				continue
			}
			if !k.counted {
				s.open++
			}
			c.incoming[i] = nil
			if hasTime && c.runsInline(k) {
				c.reader.add(k)
			} else {
				s.track(k)
				c.starting = append(c.starting, k)
			}
		}
	})
	c.start(c.starting)
	clear(c.starting)
	c.starting = c.starting[:0]
	for i, k := range c.incoming {
		if k != nil {
			c.release(1)
			c.refuse(k, k.refused)
			c.incoming[i] = nil
		}
	}
	c.incoming = c.incoming[:0]
	return len(c.reader.batch) == 0 || c.runInline()
}

// refuse answers a request that does not become a call, unless its handle
// timeout has done so.
func (c *conn) refuse(k *servedCall, why *Error) {
	if k.drop() && why != errDiscard {
		c.link.Post(link.Control{Kind: codec.Reply, Seq: k.seq, Fill: why.put})
	}
}

// refuses says why a call is not taken, if so.
func (c *conn) refuses(k *servedCall) *Error {
	seq := k.seq
	switch s := &c.state; {
	case s.left && !c.link.Extended() && !k.counted:
		return errDiscard
	case s.left && !k.counted:
		return &Error{Code: CodeUnavailable, Where: InServer, Ran: RanNever,
			Message: "rpc server: shutting down"}
	case s.calls[seq] != nil || c.reader.has(seq):
		return &Error{Code: CodeInvalidArgument, Where: InServer, Ran: RanNever,
			Message: fmt.Sprintf("rpc server: a call with seq %d is in flight already", seq)}
	}
	return nil
}

var errDiscard = &Error{Code: CodeUnavailable, Message: "not even answered"}

// cancelCall cancels a call whose caller has left.
func (c *conn) cancelCall(seq uint64) {
	c.mu.Lock()
	k := c.state.calls[seq]
	c.mu.Unlock()
	if k != nil {
		k.cancel()
	}
}

// signal wakes the goroutine that receives on c, a channel of capacity one, now
// or when it looks next.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
