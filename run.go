package geerpc

import "geerpc/internal/monotime"

// Where calls run. A call that does not run inline has a goroutine of its own. On an
// Ordered server the calls of a connection share one, which runs them one by one.

// start starts calls that hold slots.
func (c *conn) start(calls []*servedCall) {
	if c.server.Ordered {
		c.startInOrder(calls)
		return
	}
	for _, k := range calls {
		go k.run() // ends with its method; the connection waits for the answer
	}
}

// run runs the call and answers it, even if the method ends the goroutine, or its reply
// when it is encoded.
func (c *servedCall) run() {
	defer func() { c.conn.link.Flush(c.conn.slots.taken.Load() > 0) }()
	defer c.conn.answer(c)
	c.do(monotime.Now())
}

// startInOrder queues calls for the one goroutine that runs them.
func (c *conn) startInOrder(calls []*servedCall) {
	first := false
	c.update(func(s *connState) {
		s.queue = append(s.queue, calls...)
		first = !s.running && len(s.queue) > 0
		s.running = s.running || first
	})
	if first {
		go c.runInOrder() // ends when no call is queued
	}
}

// runInOrder runs queued calls until there are none. If a method ends its goroutine,
// another one goes on.
func (c *conn) runInOrder() {
	exited := true
	defer func() {
		if exited {
			go c.runInOrder() // ends when no call is queued
		}
	}()
	for k := c.nextQueued(); k != nil; k = c.nextQueued() {
		k.run()
	}
	exited = false
}

func (c *conn) nextQueued() (k *servedCall) {
	c.update(func(s *connState) {
		if len(s.queue) == 0 {
			s.queue, s.running = nil, false
			return
		}
		k, s.queue[0] = s.queue[0], nil
		s.queue = s.queue[1:]
	})
	return k
}

// track makes a call known by its seq until it is answered: it can be cancelled, and no
// other call may have its seq.
func (s *connState) track(k *servedCall) {
	if k.slotFreed {
		return
	}
	if s.calls == nil {
		s.calls = make(map[uint64]*servedCall)
	}
	s.calls[k.seq], k.since = k, monotime.Now()
}
