package geerpc

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"geerpc/codec"
	"geerpc/internal/monotime"
)

// Answers. Whoever has run calls answers them, all in one turn of writing if they
// are few; a handle timeout answers for its call alone. A reply is encoded by a
// user's code, which may fail, panic or end the goroutine; the caller gets an error
// then, and the other answers go on.

// answer answers calls that have run. The answers leave with the next flush.
func (c *conn) answer(calls ...*servedCall) {
	c.sendAnswers(calls, func() { c.freeSlots(calls) })
}

// sendAnswers calls before and then encodes the answers of calls. If a reply ends our
// goroutine, another one sends the rest, and flushes.
func (c *conn) sendAnswers(calls []*servedCall, before func()) {
	sent, exited := 0, true
	defer func() {
		c.noteAnswered(calls[:sent])
		if exited {
			rest := slices.Clone(calls[sent:])
			go func() { // ends with the connection's calls
				defer c.link.Flush(false)
				c.sendAnswers(rest, func() {})
			}()
		}
	}()
	c.link.SendTogether(func(alive bool) bool {
		if sent == 0 {
			before()
		}
		if sent == len(calls) {
			return false
		}
		k := calls[sent]
		sent++
		if alive && !k.timerAnswer {
			k.send(k.err)
		}
		return sent < len(calls)
	})
	exited = false
}

// freeSlots frees the slots and seqs of calls that are about to be answered. It
// comes before the answers, which tell the client that it may use them again, and
// no sooner, because a client that reads no answers must not have any number of
// calls run.
func (c *conn) freeSlots(calls []*servedCall) {
	c.update(func(s *connState) {
		for _, k := range calls {
			if s.calls[k.seq] == k {
				delete(s.calls, k.seq)
			}
			k.slotFreed = true
		}
	})
	c.slots.free(len(calls))
}

// noteAnswered notes that the answers of calls leave with the next flush.
func (c *conn) noteAnswered(calls []*servedCall) {
	for _, k := range calls {
		k.releaseValues()
	}
	c.update(func(s *connState) {
		s.unanswered -= len(calls)
		c.noteCall(s)
	})
}

// answerAlone answers with err, without waiting for other answers.
func (c *servedCall) answerAlone(err error) {
	defer c.conn.link.Flush(false) // even if what is encoded ends our goroutine
	c.conn.link.SendTogether(func(alive bool) bool {
		if alive {
			c.send(err)
		}
		return false
	})
}

// send encodes the reply or, if err is not nil, that. The caller holds the write
// turn, and flushes. If it can't be encoded, an error takes its place.
func (c *servedCall) send(err error) {
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
	problem := errReplyExit
	defer func() { // even if a reply ends the goroutine that encodes it, or its error panics
		recover()
		if problem != nil && c.conn.link.Context().Err() == nil {
			c.sendInstead(h, problem.insteadOf(failure), err == nil)
		}
	}()
	if unsent := c.put(h, failure); unsent != nil {
		problem = c.encodingError(unsent)
	} else {
		problem = nil
	}
}

// put encodes the reply, or the failure that is in the header. A method's own text
// is not cut.
func (c *servedCall) put(h codec.Header, failure *Error) error {
	switch {
	case failure == nil:
		return c.conn.link.Put(h, c.method.body(c.replyv))
	case failure.Ran == RanYes:
		return c.conn.link.Put(h, nil)
	}
	return c.conn.link.PutError(h)
}

// sendInstead answers with an error because the answer could not be encoded.
func (c *servedCall) sendInstead(h codec.Header, e *Error, succeeded bool) {
	if succeeded {
		c.method.stats.RecordFailure(monotime.Now(), uint8(e.Code))
		if e.Code != CodeResourceExhausted { // a client sets its limit as it likes, and must not fill the log
			c.conn.server.report(slog.LevelWarn, "rpc server: reply not sent", "method", c.serviceMethod, "peer", c.conn.peer.Addr, "err", e)
		}
	}
	e.put(&h)
	h.Frame().Metadata = nil
	c.conn.link.PutLast(h)
}

var errReplyExit = &Error{Code: CodeInternal, Where: InMethod, Ran: RanYes,
	Message: "rpc server: encoding the reply: it ended the goroutine that encoded it, or its error panicked"}

// encodingError returns the answer for a reply, or an error, that could not be encoded.
func (c *servedCall) encodingError(err error) *Error {
	answer := "an error"
	if c.method != nil {
		answer = fmt.Sprintf("the reply of %v (%.100v)", c.method, c.method.replyType.Elem())
	}
	code, what := CodeInternal, "encoding "+answer
	if errors.Is(err, codec.ErrTooLarge) {
		code, what = CodeResourceExhausted, answer+" is too large for the client, which sets the limit"
	}
	return newError(code, InMethod, RanYes, "rpc server: "+what, err)
}

// insteadOf returns what to send because the answer could not be encoded: e or, if the
// answer was a failure of a call that never ran, an error that says so too.
func (e *Error) insteadOf(failure *Error) *Error {
	if failure == nil || failure.Ran == RanYes {
		return e
	}
	return &Error{Code: failure.Code, Where: failure.Where, Ran: failure.Ran,
		Message: fmt.Sprintf("%.1024s (%s)", failure.Message, e.Message)}
}
