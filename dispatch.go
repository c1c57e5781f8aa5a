package geerpc

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// Dispatch: what the reader does with each message. Calls are read one by one and
// submitted together, as long as more are at hand, because starting goroutines one by
// one costs more than reading small requests.

// read reads messages until there are no more, or until another goroutine has taken
// over, with errReplaced.
func (c *conn) read() error {
	var h codec.Header
	for !(c.onlyOne && c.readOne && c.reader.behind == 0) {
		if err := c.link.ReadHeader(&h); err != nil {
			return err
		}
		c.readOne = true
		if err := c.dispatch(&h); err != nil {
			return err
		}
	}
	return io.EOF
}

var errReplaced = errors.New("another goroutine reads now")

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

// cancelCall cancels a call whose caller has stopped waiting.
func (c *conn) cancelCall(seq uint64) {
	c.mu.Lock()
	k := c.state.calls[seq]
	c.mu.Unlock()
	if k != nil {
		k.cancel()
	}
}

// cancelCalls cancels all calls, because their client has gone.
func (c *conn) cancelCalls() {
	c.mu.Lock()
	calls := slices.Collect(maps.Values(c.state.calls))
	c.mu.Unlock()
	for _, k := range calls {
		k.cancel()
	}
}

// request reads a call, and submits or rejects it. An error ends the connection.
func (c *conn) request(h *codec.Header) error {
	r := &c.reader
	k, admitted := c.readCall(h)
	if !c.link.Extended() {
		c.count(k, h.Frame().Behind)
	}
	if !admitted {
		c.rejectUnadmitted(k)
		return c.submitIfLast()
	}
	rejection, err := c.awaitSlot()
	switch {
	case err != nil:
		k.drop()
		c.update(k.uncount)
	case rejection != nil:
		k.recordRejected(rejection)
		c.reject(k, rejection)
	default:
		r.incoming = append(r.incoming, k)
	}
	if err != nil {
		return err
	}
	return c.submitIfLast()
}

// submitIfLast submits what has been read, if no more is at hand or that is enough.
func (c *conn) submitIfLast() error {
	if len(c.reader.incoming) >= link.MaxTogether || !c.link.Ready() {
		if !c.submit(true) {
			return errReplaced
		}
	}
	return nil
}

// count makes sure that a call which has been read is answered, even if the server
// begins to shut down while the call waits for a slot: a plain client can't be told
// that it never ran. With the first call of a batch it counts all those behind it, because
// none is answered without the others.
func (c *conn) count(k *servedCall, behind int) {
	r := &c.reader
	r.behind = behind
	c.update(func(s *connState) {
		switch {
		case r.counted > 0:
			r.counted--
			k.counted = true
		case !s.noNewCalls:
			k.counted, r.counted = true, behind
			s.unanswered += 1 + behind
		}
	})
}

// uncount takes back what count did.
func (k *servedCall) uncount(s *connState) {
	if k.counted {
		s.unanswered--
	}
}

// awaitSlot returns when there is a slot for one more call, or why the call is
// rejected. The plain layout knows no limit on calls in flight: there it waits for a
// slot, unless the connection ends, and nothing else is read meanwhile.
func (c *conn) awaitSlot() (rejection *Error, err error) {
	for c.slots.full(len(c.reader.incoming)) {
		if c.link.Extended() {
			return &Error{Code: CodeResourceExhausted, Where: InServer, Ran: RanNever,
				Message: fmt.Sprintf("rpc server: more than the %d calls in flight on one connection that Server.MaxInFlight allows (a method that runs on after its handle timeout counts)", c.slots.most)}, nil
		}
		c.submit(false) // the calls that hold the slots must run first
		select {
		case <-c.slots.freed:
		case <-c.link.Context().Done():
			return nil, c.link.Cause()
		}
	}
	return nil, nil
}

// readCall reads the body of a request, if Server.Admit admits the call. A request that
// can't be met is a call too: one that is answered with the reason.
func (c *conn) readCall(h *codec.Header) (k *servedCall, admitted bool) {
	k = callPool.Get().(*servedCall)
	k.conn, k.seq, k.serviceMethod = c, h.Seq, h.ServiceMethod
	if k.rejection = c.refused(h); k.rejection != nil {
		c.link.ReadBody(nil)
		return k, false
	}
	md := Metadata(h.Frame().Metadata)
	invalid := md.validate()
	if invalid != nil {
		md = nil
	}
	remaining := time.Duration(h.Frame().Timeout)
	if k.method = c.reader.findMethod(&c.server.registry, h.ServiceMethod); k.method == nil {
		c.link.ReadBody(nil)
		k.rejection = c.missing(h)
		k.setTime(0, remaining, md)
		return k, true
	}
	if invalid != nil {
		c.link.ReadBody(nil)
		k.rejection = k.badArguments(invalid)
		return k, true
	}
	if len(c.server.Admit) > 0 {
		if k.rejection = c.admit(k.serviceMethod, remaining, md); k.rejection != nil {
			c.link.ReadBody(nil)
			return k, false
		}
	}
	k.prepare(k.method)
	if err := c.link.ReadBody(k.argp.Interface()); err != nil {
		k.rejection = k.badArguments(k.method.explain(err))
		return k, true
	}
	k.setTime(c.handleTimeout, remaining, md)
	return k, true
}

// missing returns the error for a call of a method that is not there. Clients of net/rpc
// get the text that it has there, because programs compare it.
func (c *conn) missing(h *codec.Header) *Error {
	registry := &c.server.registry
	e := registry.missing(h.ServiceMethod)
	if c.protocol != GeeRPC && e.Code == CodeInvalidArgument { // elsewhere names may be of any form
		e.Code, e.Message = CodeNotFound, fmt.Sprintf("rpc server: can't find method %.256s", h.ServiceMethod)
	}
	c.recordRefused(&registry.unknown, e)
	if c.protocol == NetRPC || h.Frame().NetRPC {
		return refuse(e.Code, "%s", registry.missingInNetRPC(h.ServiceMethod))
	}
	return e
}

// refused returns why no method is asked for: no call of the connection is served, or the
// codec has read what is no call. (A request of our own protocol has no Error.)
func (c *conn) refused(h *codec.Header) *Error {
	switch {
	case c.refusal != nil:
		return c.refusal
	case h.Error != "":
		text := fmt.Sprintf("%.1024s", h.Error) // it may be a peer's, and waits until it is sent
		e := &Error{Code: Code(h.Frame().Code), Message: text, Where: InServer, Ran: RanNever}
		c.recordRefused(&c.server.registry.unknown, e)
		return e
	}
	return nil
}

// badArguments returns the error of a call whose arguments, or their metadata, are no
// good.
func (k *servedCall) badArguments(err error) *Error {
	return newError(CodeInvalidArgument, InServer, RanNever, "rpc server: arguments of "+k.serviceMethod, err)
}

// submit starts the incoming calls. If mayRunInline is set, the reader itself runs those
// that are quick. If another goroutine replaces it meanwhile, submit returns false.
func (c *conn) submit(mayRunInline bool) bool {
	r := &c.reader
	if len(r.incoming) == 0 {
		return true
	}
	c.slots.take(len(r.incoming))
	c.update(func(s *connState) { c.sortIncoming(s, mayRunInline) })
	c.start(r.starting)
	clear(r.starting)
	r.starting = r.starting[:0]
	for i, k := range r.incoming {
		if k != nil {
			c.slots.free(1)
			c.reject(k, k.rejection)
			r.incoming[i] = nil
		}
	}
	r.incoming = r.incoming[:0]
	return len(r.batch) == 0 || c.runInline()
}

// sortIncoming moves the incoming calls to those that run inline or to those that are
// about to be started, and leaves those that are rejected.
func (c *conn) sortIncoming(s *connState, mayRunInline bool) {
	r := &c.reader
	for i, k := range r.incoming {
		if rejection := c.rejection(k, s); rejection != nil {
			k.rejection = rejection
			k.uncount(s)
			continue
		}
		if !k.counted {
			s.unanswered++
		}
		r.incoming[i] = nil
		if mayRunInline && c.runsInline(k) {
			r.add(k)
		} else {
			s.track(k)
			r.starting = append(r.starting, k)
		}
	}
}

// reject answers a request that does not become a call, unless its handle timeout has
// answered it.
func (c *conn) reject(k *servedCall, why *Error) {
	if k.drop() && why != errDiscarded {
		c.link.Post(link.Control{Kind: codec.Reply, Seq: k.seq, Fill: why.put})
	}
}

// rejection returns why a call is rejected, or nil.
func (c *conn) rejection(k *servedCall, s *connState) *Error {
	switch {
	case s.noNewCalls && !k.counted && !c.link.Extended():
		return errDiscarded
	case s.noNewCalls && !k.counted:
		return &Error{Code: CodeUnavailable, Where: InServer, Ran: RanNever,
			Message: "rpc server: shutting down"}
	case s.calls[k.seq] != nil || c.reader.has(k.seq):
		return &Error{Code: CodeInvalidArgument, Where: InServer, Ran: RanNever,
			Message: fmt.Sprintf("rpc server: a call with seq %d is in flight already", k.seq)}
	}
	return nil
}

// errDiscarded is the rejection of a call that is not answered at all.
var errDiscarded = &Error{Code: CodeUnavailable, Message: "not answered"}
