package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/codec"
)

// A conn is a connection being served. One goroutine reads it and starts the
// calls; they answer by themselves, through the link.
type conn struct {
	server  *Server
	link    *link
	peer    Peer
	hello   hello
	heard   atomic.Bool // a first byte has arrived
	greeted atomic.Bool // the handshake is done

	mu       sync.Mutex // guards state; see update
	state    connState
	finished chan struct{} // closed when the last answer is on its way and no call can follow
	ended    chan struct{} // closed when nothing is read any more
	slot     chan struct{} // capacity 1: there may be a free slot, look
	leaving  sync.WaitGroup
}

// connState is all that changes about a conn.
type connState struct {
	calls    map[uint64]*call // those that hold a slot, by seq
	open     int              // calls that hold a slot or have not been answered
	queue    []*call          // with Server.Ordered: those that wait for the one that runs
	running  bool             // with Server.Ordered: one runs
	left     bool             // no more calls are taken
	finished bool
	lastCall time.Time // with Server.IdleTimeout: when a call last began or ended
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
		finished: make(chan struct{}),
		ended:    make(chan struct{}),
		slot:     make(chan struct{}, 1),
	}
	c.link = newLink(rwc, limits{
		maxRead: limit(s.MaxMessageBytes, DefaultMaxMessageBytes),
		flush:   limit(s.FlushTimeout, DefaultFlushTimeout),
		log:     s.logger(),
	})
	return c
}

// serve serves the connection until the client has hung up and its calls are
// answered, or the connection has failed and its methods have returned.
func (c *conn) serve() {
	err := c.greet()
	if err == nil {
		c.greeted.Store(true)
		if c.server.conns.closing() { // Shutdown may have passed by
			c.drain(c.link.ctx)
		}
		c.keepAlive()
		err = c.read()
	} else {
		c.server.rejected(c, err)
	}
	close(c.ended)
	if err != io.EOF || c.link.extended {
		// It is gone, or broken. (On the plain layout the end of the stream
		// only means that there are no more requests.)
		c.link.fail(err)
	}
	c.update(func(s *connState) { s.left = true })
	<-c.finished
	c.link.out.Drain(c.link.ctx)
	c.link.fail(errDone)
	c.link.wait()
	c.leaving.Wait()
	if c.link.codec != nil {
		c.link.codec.Close()
	}
}

var errDone = errors.New("connection closed in good order")

// read reads messages until there are no more.
func (c *conn) read() error {
	if err := skipNewline(c.link.in); err != nil {
		return err
	}
	var h codec.Header
	for {
		if err := c.link.readHeader(&h); err != nil {
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
	if err := c.link.readBody(nil); err != nil {
		return fmt.Errorf("body of %v: %w", kind, err)
	}
	switch kind {
	case codec.Cancel:
		c.cancelCall(h.Seq)
	case codec.Ping:
		c.link.post(control{kind: codec.Pong})
	case codec.Goaway:
		c.leave(c.link.ctx)
	}
	return nil
}

// request reads a call and has it run, or refused. An error ends the
// connection.
func (c *conn) request(h *codec.Header) error {
	refusal, err := c.admit(h.Seq)
	if err != nil {
		return err
	}
	if refusal != nil {
		c.link.readBody(nil)
		if refusal != errDiscard {
			c.link.post(control{kind: codec.Reply, seq: h.Seq, err: refusal})
		}
		return nil
	}
	c.begin(c.readCall(h))
	return nil
}

var errDiscard = &Error{Code: CodeUnavailable, Message: "not even answered"}

// admit says why a request is refused, if it is. On the plain layout, which
// knows no limit on calls in flight, it waits for a slot instead.
func (c *conn) admit(seq uint64) (refusal *Error, err error) {
	for {
		full := false
		c.update(func(s *connState) {
			switch {
			case s.left && !c.link.extended:
				refusal = errDiscard
			case s.left:
				refusal = &Error{Code: CodeUnavailable, Where: InServer, Ran: RanNever,
					Message: "rpc server: shutting down"}
			case s.calls[seq] != nil:
				refusal = &Error{Code: CodeInvalidArgument, Where: InServer, Ran: RanNever,
					Message: fmt.Sprintf("rpc server: a call with seq %d is in flight already", seq)}
			default:
				most := c.server.maxInFlight()
				full = most > 0 && len(s.calls) >= most
			}
		})
		switch {
		case !full:
			return refusal, nil
		case c.link.extended:
			return &Error{Code: CodeResourceExhausted, Where: InServer, Ran: RanNever,
				Message: fmt.Sprintf("rpc server: more than %d calls in flight on one connection", c.server.maxInFlight())}, nil
		}
		select {
		case <-c.slot:
		case <-c.link.ctx.Done():
			return nil, c.link.cause()
		}
	}
}

// readCall reads the body of a request. A request that can't be met is a call
// as well: one that is answered with the reason.
func (c *conn) readCall(h *codec.Header) *call {
	k := &call{conn: c, seq: h.Seq, serviceMethod: h.ServiceMethod, metadata: h.Frame().Metadata}
	k.method = c.server.registry.method(h.ServiceMethod)
	if k.method == nil {
		c.link.readBody(nil)
		k.refused = c.server.registry.missing(h.ServiceMethod)
		k.arm(0, time.Duration(h.Frame().Timeout))
		return k
	}
	var argp reflect.Value
	argp, k.argv = k.method.newArgs()
	err := c.link.readBody(argp.Interface())
	if err == nil {
		err = k.metadata.validate()
	}
	if err != nil {
		k.refused = newError(CodeInvalidArgument, InServer, RanNever, "rpc server: arguments of "+h.ServiceMethod, err)
		return k
	}
	k.replyv = k.method.newReply()
	k.arm(c.handleTimeout(), time.Duration(h.Frame().Timeout))
	return k
}

// handleTimeout returns the shorter of the client's and the server's.
func (c *conn) handleTimeout() time.Duration {
	mine, theirs := max(c.server.HandleTimeout, 0), max(c.hello.HandleTimeout, 0)
	if mine == 0 || theirs > 0 && theirs < mine {
		return theirs
	}
	return mine
}

// begin has a call run, with Server.Ordered after those before it.
func (c *conn) begin(k *call) {
	if k.method != nil {
		k.method.begin()
	}
	run := true
	c.update(func(s *connState) {
		if s.calls == nil {
			s.calls = make(map[uint64]*call)
		}
		s.calls[k.seq] = k
		s.open++
		if c.server.Ordered {
			if run = !s.running; run {
				s.running = true
			} else {
				s.queue = append(s.queue, k)
			}
		}
	})
	if run {
		c.server.workers.run(k)
	}
}

// release gives a call's slot back and tells whether others are open. The
// call has yet to be answered: its answer tells the client of the free slot.
func (c *conn) release(k *call) (others bool) {
	c.update(func(s *connState) {
		delete(s.calls, k.seq)
		others = s.open > 1
	})
	if !c.link.extended {
		select {
		case c.slot <- struct{}{}:
		default:
		}
	}
	return others
}

// end is called when a call has been answered and its method has returned.
// With Server.Ordered it starts the next one.
func (c *conn) end() {
	var next *call
	c.update(func(s *connState) {
		s.open--
		if c.server.IdleTimeout > 0 {
			s.lastCall = time.Now()
		}
		if c.server.Ordered {
			if s.running = len(s.queue) > 0; s.running {
				next, s.queue = s.queue[0], s.queue[1:]
			}
		}
	})
	if next != nil {
		c.server.workers.run(next)
	}
}

// cancelCall ends the context of a call whose caller has left.
func (c *conn) cancelCall(seq uint64) {
	c.mu.Lock()
	k := c.state.calls[seq]
	c.mu.Unlock()
	if k != nil && k.cancel != nil {
		k.cancel(context.Canceled)
	}
}
