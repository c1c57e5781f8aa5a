package geerpc

// work runs calls until none wait. Any number of workers may be at it: before
// a worker runs a call, which may take for ever, it has seen to it that
// another one is about to look at those that are left. If calls are quick,
// that one comes too late to find any, and a few workers serve a thousand
// callers; if they are slow, each gets a worker of its own.
func (c *conn) work() {
	for k := c.take(true); k != nil; k = c.take(false) {
		k.run()
	}
}

// take takes the next call from the queue; arriving tells that the worker has
// just come. Answers leave when the queue is empty; while it is not, another
// worker is about to come, and that is the first thing it does.
func (c *conn) take(arriving bool) (k *call) {
	var wake, rest, others bool
	c.update(func(s *connState) {
		if arriving || c.server.Ordered {
			s.waking = false
		}
		k = s.queue.pop()
		rest = s.queue.first != nil
		others = s.open > 0
		if c.server.Ordered {
			s.waking = k != nil // nobody else until this one is done
		} else {
			wake = s.wake()
		}
	})
	if wake {
		c.server.workers.run(c)
	}
	if !rest || arriving || c.server.Ordered {
		c.link.Flush(k == nil && others)
	}
	return k
}

// wake tells whether a worker is needed that is not on its way.
func (s *connState) wake() bool {
	needed := s.queue.first != nil && !s.waking
	s.waking = s.waking || needed
	return needed
}

// A callQueue is a first-in, first-out queue of calls.
type callQueue struct{ first, last *call }

func (q *callQueue) push(k *call) {
	if q.first == nil {
		q.first = k
	} else {
		q.last.next = k
	}
	q.last = k
}

func (q *callQueue) pop() *call {
	k := q.first
	if k != nil {
		q.first, k.next = k.next, nil
	}
	if q.first == nil {
		q.last = nil // an idle connection must not keep its latest call
	}
	return k
}

// list has a call found by its seq until it is settled.
func (s *connState) list(k *call) {
	if k.settled {
		return
	}
	if s.calls == nil {
		s.calls = make(map[uint64]*call)
	}
	s.calls[k.seq] = k
}

// queue puts calls that are in flight already in the queue.
func (c *conn) queue(calls []*call) {
	wake := false
	c.update(func(s *connState) {
		for _, k := range calls {
			s.list(k)
			s.queue.push(k)
		}
		wake = s.wake()
	})
	if wake {
		c.server.workers.run(c)
	}
}
