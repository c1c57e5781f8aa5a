package geerpc

import (
	"slices"
	"time"
)

// answer answers calls that have run, in as few turns as it takes. The answers
// leave with the next flush.
func (c *conn) answer(calls ...*servedCall) { c.sendAnswers(calls, func() { c.free(calls) }) }

// sendAnswers encodes the answers of calls, and calls begin at the start of the
// first turn. A reply may end the goroutine that encodes it; then another one
// goes on, and flushes.
func (c *conn) sendAnswers(calls []*servedCall, begin func()) {
	sent, exited := 0, true
	defer func() {
		c.answered(calls[:sent])
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
			begin()
		}
		if sent == len(calls) {
			return false
		}
		k := calls[sent]
		sent++
		if alive && !k.mute {
			k.answer(k.err)
		}
		return sent < len(calls)
	})
	exited = false
}

// free gives back the slots of calls that are about to be answered. That comes
// before the answers, which tell the client that there are slots, and that it
// may use the seqs again. It comes no sooner, because a client that reads no
// answers must not have any number of calls run.
func (c *conn) free(calls []*servedCall) {
	c.update(func(s *connState) {
		for _, k := range calls {
			if s.calls[k.seq] == k {
				delete(s.calls, k.seq)
			}
			k.answering = true
		}
	})
	c.release(len(calls))
}

// answered ends calls whose answers have been gathered, to leave with the next
// flush.
func (c *conn) answered(calls []*servedCall) {
	for _, k := range calls {
		k.forget()
	}
	c.update(func(s *connState) {
		s.open -= len(calls)
		if c.server.IdleTimeout > 0 {
			s.lastCall = time.Now()
		}
	})
}
