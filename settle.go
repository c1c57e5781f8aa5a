package geerpc

import (
	"time"

	"geerpc/internal/link"
)

// Settling is the answering of the calls that have been run: a worker that
// finds nobody at it does it for all. Workers that took turns at the link
// would spend their time waiting for it.
type settling struct {
	done     combiner[call] // those that have been run
	batch    []*call        // those that are being answered; these are of the one who settles
	answered int            // of batch
}

// settle has a call answered that has been run.
func (c *conn) settle(k *call) {
	if c.hand([]*call{k}) {
		c.settleAll()
	}
}

// answerAll has calls answered that the reader ran before it was relieved. That
// is no work for the goroutine that reads now: a reply may take its time to be
// encoded, or end the goroutine.
func (c *conn) answerAll(calls []*call) {
	if c.hand(calls) {
		c.settleAll()
	}
	c.link.Flush(false)
}

// hand gives calls that have been run to whoever settles, and reports whether
// that is to be the caller.
func (c *conn) hand(calls []*call) (first bool) {
	if len(calls) == 0 {
		return false
	}
	var last *job[call]
	for _, k := range calls {
		k.job = job[call]{of: k, next: last}
		last = &k.job
	}
	return c.settling.done.addAll(&calls[0].job, last)
}

// settleAll answers until all have been.
func (c *conn) settleAll() {
	s, ended := &c.settling, false
	defer func() {
		if !ended { // a reply has ended our goroutine
			go func() { // ends with the connection's calls
				c.settleAll()
				c.link.Flush(false)
			}()
		}
	}()
	for !ended {
		c.link.SendTogether(c.answerNext)
		if ended = s.done.end(); !ended {
			c.link.Flush(false) // it may go on for long, by a few at a time
		}
	}
}

// answerNext answers a call, if one is left.
func (c *conn) answerNext(alive bool) bool {
	s := &c.settling
	if s.answered == len(s.batch) {
		c.nextBatch()
		if len(s.batch) == 0 {
			return false
		}
	}
	k := s.batch[s.answered]
	s.answered++
	if alive && !k.mute {
		k.answer(k.err)
	}
	return true
}

// nextBatch ends the calls that have been answered and takes those that are to
// be.
func (c *conn) nextBatch() {
	s := &c.settling
	answered := len(s.batch)
	for _, k := range s.batch {
		k.forget()
	}
	clear(s.batch)
	s.batch, s.answered = s.batch[:0], 0
	for len(s.batch) < link.MaxTogether { // slots come free no faster than answers go
		k := s.done.take()
		if k == nil {
			break
		}
		s.batch = append(s.batch, k)
	}
	c.update(func(state *connState) {
		state.open -= answered
		if answered > 0 && c.server.IdleTimeout > 0 {
			state.lastCall = time.Now()
		}
		for _, k := range s.batch {
			if state.calls[k.seq] == k { // once answered, the client may use the seq again
				delete(state.calls, k.seq)
			}
			k.settled = true
		}
	})
	c.release(len(s.batch)) // before the answers, which tell the client that there are slots
}
