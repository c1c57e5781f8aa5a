package geerpc

import (
	"sync/atomic"
	"time"
)

// Calls of methods that are known to be quick run on the goroutine that reads
// the connection, batch by batch: waking a worker costs more than they do. Who
// is known to be quick has shown it on workers. If a method is not, this time,
// another goroutine takes over the reading, so that it holds up the calls of
// others for two milliseconds at most, and has to show itself again.
const (
	quickLimit = 20 * time.Microsecond // a call that takes longer is not quick
	quickProof = 32                    // so many calls have to be
	quickBonus = 32                    // so many more count in a method's favour,
	quickLoss  = 16                    // and so many does a call that is not take away
	quickFine  = 1000                  // so many does one take away that held up others
	heldUp     = time.Millisecond      // for how long reading may wait for calls
)

var processStart = time.Now()

// nanotime is a clock that never jumps.
func nanotime() time.Duration { return time.Since(processStart) }

// quick tells whether a call may run where the connection is read.
func (c *conn) quick(k *call) bool {
	return k.method != nil && k.refused == nil && k.method.pace.Load() >= quickProof && !c.server.Ordered
}

// paced notes whether a call was quick.
func (m *method) paced(quick bool) {
	switch pace := m.pace.Load(); {
	case !quick:
		m.pace.Store(min(pace, max(pace-quickLoss, 0)))
	case pace < quickProof+quickBonus:
		m.pace.Add(1)
	}
}

// A shift is the time during which one goroutine reads a connection, and
// shares with nobody what belongs to the reader. Shifts have even numbers; the
// number is odd while the reader is somewhere from where it can be relieved.
type shift struct {
	now   atomic.Int64
	since atomic.Int64 // the reader began a batch, as nanotime tells

	calls []*call // a batch that runs here
	next  int     // of calls
	ran   []*call // those of calls that are to be answered

	watched atomic.Bool // watch is going to look
	looked  int64       // since, when it last did
}

// reading reads the connection, beginning with the shift of a number, and ends
// it unless another goroutine is going to.
func (c *conn) reading(number int64) {
	err := errReaderExit // unless read returns
	defer func() {
		if c.shift.now.Load() == number {
			c.submit(false)
			c.end(err)
		}
	}()
	err = c.read()
}

// runHere runs the quick calls of a batch, and answers them. It reports false
// if this goroutine has been relieved, and has to leave all that is the
// reader's alone.
func (c *conn) runHere() bool {
	s := &c.shift
	number := s.now.Load()
	begun := nanotime()
	s.since.Store(int64(begun))
	c.watch()
	var k *call // that is running
	defer func() {
		if k != nil { // we were relieved meanwhile, or are going to be: it has ended this goroutine
			c.settle(k)
			c.link.flush(false)
		}
	}()
	for s.next < len(s.calls) {
		k = s.calls[s.next]
		s.next++
		s.now.Store(number + 1)
		k.do()
		if !s.now.CompareAndSwap(number+1, number) {
			return false
		}
		s.ran = append(s.ran, k)
	}
	k = nil
	quick := nanotime()-begun <= time.Duration(len(s.calls))*quickLimit
	for _, k := range s.calls {
		k.method.paced(quick)
	}
	first := c.hand(s.ran)
	s.clear()
	s.now.Store(number + 1)
	if first {
		c.settleAll()
	}
	c.link.flush(false)
	return s.now.CompareAndSwap(number+1, number)
}

// clear ends a batch.
func (s *shift) clear() {
	clear(s.calls)
	clear(s.ran)
	s.calls, s.ran, s.next = s.calls[:0], s.ran[:0], 0
}

// relieve has another goroutine take over from a reader that is held up: first
// the calls that it has not come to, for workers, and what it has not answered.
func (c *conn) relieve(held int64) {
	s := &c.shift
	if !s.now.CompareAndSwap(held, held+1) {
		return
	}
	if s.next > 0 {
		s.calls[s.next-1].method.pace.Store(-quickFine)
	}
	rest, ran := append([]*call(nil), s.calls[s.next:]...), append([]*call(nil), s.ran...)
	s.clear()
	go func() { // ends with its shift; serve waits for the last
		if c.hand(ran) {
			c.settleAll()
		}
		c.queue(rest)
		c.reading(held + 1)
	}()
}

// watch sees to it that a reader which is held up is relieved.
func (c *conn) watch() {
	if !c.shift.watched.Load() && c.shift.watched.CompareAndSwap(false, true) {
		time.AfterFunc(heldUp, c.look) // looks on as long as there are batches
	}
}

func (c *conn) look() {
	s := &c.shift
	now, since := s.now.Load(), s.since.Load()
	held := now&1 == 1
	if held && int64(nanotime())-since >= int64(heldUp) {
		c.relieve(now)
	} else if held || since > s.looked {
		s.looked = since
		time.AfterFunc(heldUp, c.look)
		return
	}
	s.watched.Store(false)
	if s.now.Load()&1 == 1 { // a batch has begun that relied on this look
		c.watch()
	}
}
