package geerpc

import (
	"errors"
	"time"

	"geerpc/codec"
	"geerpc/internal/monotime"
	"geerpc/internal/readturn"
	"geerpc/internal/wire"
)

// Callers that read. As a rule the Client's reader takes what comes, and wakes the caller
// that a reply is for. But to wake another goroutine, on another processor perhaps, takes
// longer than a small call. While one call follows the other, the reader therefore lends
// its turn, and each caller reads its own reply:
//
//	reader    read, read, lend ── look ── look ── look: unused, read …
//	caller              call, read, call, read
//
// As soon as two calls are under way at a time the reader reads again. So it does when a
// reply takes its time, because a caller that reads does not see its context end.
const (
	lendAfter     = 32                 // calls, one after the other
	loanPenalty   = 128                // such calls more, after a loan that another call has ended
	rapid         = time.Millisecond   // the time between replies of calls that follow one another
	shortDeadline = 10 * readturn.Look // a caller with less time does not read
)

// A message is what was read last. It belongs to who has the turn to read.
type message struct {
	header codec.Header
	left   bool  // it is for the reader to dispatch
	err    error // why the borrower could not read it
}

// callPattern finds out whether calls follow one another. It belongs to the reader.
type callPattern struct {
	single int           // calls in a row that were alone; negative: after a penalty
	last   time.Duration // when the latest reply came, by monotime
}

// callsFollow reports whether calls follow one another. The reader asks it when a reply
// has come, or a batch of them, and nothing else behind it.
func (c *Client) callsFollow(batched bool) bool {
	p := &c.pattern
	if batched {
		p.single = min(p.single, 0)
		return false
	}
	now := monotime.Now()
	switch inFlight := c.inFlight.Len(); {
	case inFlight > 1 || now-p.last > rapid:
		p.single = min(p.single, 0)
	case inFlight == 0: // else the next call was faster than we
		p.single++
	}
	p.last = now
	return p.single >= lendAfter
}

// lendTurn lets callers read until the reader must.
func (c *Client) lendTurn() error {
	c.readTurn.Lend()
	end := c.readTurn.Await(c.link.Context().Done(), c.link.Interrupt)
	c.link.Resume()
	c.pattern.single = 0
	if end == readturn.Returned {
		c.pattern.single = -loanPenalty
	}
	m := &c.latest
	err, left := m.err, m.left
	m.err, m.left = nil, false
	switch {
	case left:
		return c.dispatch(&m.header)
	case errors.Is(err, wire.ErrInterrupted):
		return nil
	}
	return err
}

// readOwn lets the caller of a call that has been sent read the reply, if the turn is on
// loan and the reply is the next message. Otherwise the reader delivers the call.
func (c *Client) readOwn(call *clientCall, within time.Duration) {
	switch {
	case within > 0 && within < shortDeadline:
		c.readTurn.Recall()
		return
	case !c.readTurn.Borrow():
		return
	case len(call.done) > 0: // the reader has delivered the call, and lent its turn after that
		c.readTurn.GiveBack()
		return
	}
	m := &c.latest
	m.err = errReaderExit // unless we come to an end
	defer func() {
		if m.left || m.err != nil {
			c.readTurn.HandOver()
		} else {
			c.readTurn.GiveBack()
		}
	}()
	defer c.link.Caught("reading a connection", &m.err)
	if err := c.link.ReadHeader(&m.header); err != nil {
		m.err = err
		return
	}
	if m.left = c.kind(&m.header) != codec.Reply || m.header.Seq != call.seq; !m.left {
		c.reply(&m.header)
	}
	m.err = nil
}
