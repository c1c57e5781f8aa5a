package geerpc

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/link"
	"geerpc/internal/wire"
)

// Calls of methods that are known to be quick run on the goroutine that reads
// the connection, batch by batch: waking a worker costs more than they do. Who
// is known to be quick has shown it on workers. If a method is not, this time,
// another goroutine takes over the reading when that is noticed, which takes
// about two milliseconds where there is a core for it, and the method has to
// show itself again.
const (
	quickLimit = 20 * time.Microsecond // a call that takes longer is not quick
	quickProof = 32                    // so many calls have to be
	quickBonus = 32                    // so many more count in a method's favour,
	quickLoss  = 16                    // and so many does a call that is not take away
	quickFine  = 1000                  // so many does one take away that held up others
	heldUp     = time.Millisecond      // for how long reading may wait for calls
)

// nanotime is a clock that never jumps. What it tells may be added to any
// duration: where the sum overflows, the difference to a later time is right.
func nanotime() time.Duration { return wire.Now() }

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
	last  uint64  // the highest seq of it
	next  int     // of calls
	ran   []*call // those of calls that are to be answered

	before []*call // what ran was for the batch before

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
	defer c.link.Caught("reading a connection", &err)
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
	var k *call // that is running
	defer func() {
		if k != nil { // we were relieved meanwhile, or are going to be: it has ended this goroutine
			c.settle(k)
			c.link.Flush(false)
		}
	}()
	for s.next < len(s.calls) {
		k = s.calls[s.next]
		s.next++
		s.now.Store(number + 1)
		c.watch() // the last look may have given up between two calls
		k.do()
		if !s.now.CompareAndSwap(number+1, number) {
			return false
		}
		s.ran = append(s.ran, k)
	}
	k = nil
	s.pace(nanotime() - begun)
	ran := s.end()
	first := c.hand(ran)
	s.now.Store(number + 1)
	c.watch()
	if first {
		c.settleAll()
		recycle(ran)
	} else {
		clear(ran) // whoever settles has them, and is not to find them here for ever
	}
	c.link.Flush(false)
	return s.now.CompareAndSwap(number+1, number)
}

// pace notes whether the calls of the batch, which took so long together, were
// quick. Those that were refused, or cancelled in time, say nothing of their
// methods.
func (s *shift) pace(took time.Duration) {
	begun := 0
	for _, k := range s.calls {
		if k.hasBegun() {
			begun++
		}
	}
	quick := took <= time.Duration(begun)*quickLimit
	for _, k := range s.calls {
		if k.hasBegun() {
			k.method.paced(quick)
		}
	}
}

// add adds a call to the batch.
func (s *shift) add(k *call) {
	s.calls = append(s.calls, k)
	s.last = max(s.last, k.seq)
}

// has tells whether a call with that seq is about to run here.
func (s *shift) has(seq uint64) bool {
	return seq <= s.last && // which those of our clients rarely are
		slices.ContainsFunc(s.calls, func(k *call) bool { return k.seq == seq })
}

// end ends a batch and returns the calls of it that are to be answered, in a
// slice that stays as it is until the end of the next.
func (s *shift) end() (ran []*call) {
	clear(s.calls)
	s.calls, s.last, s.next = s.calls[:0], 0, 0
	ran = s.ran
	s.ran, s.before = s.before[:0], ran
	return ran
}

// spare has calls that have been answered, a batch at a time, for readers to
// use again.
var spare = sync.Pool{New: func() any { return new([]*call) }}

// newCall returns a call for the reader to fill.
func (c *conn) newCall() *call {
	if c.spare == nil {
		c.spare = spare.Get().(*[]*call)
	}
	n := len(*c.spare) - 1
	if n < 0 {
		return new(call)
	}
	k := (*c.spare)[n]
	(*c.spare)[n] = nil // a slice in the pool must not keep a call that is in use, and its arguments
	*c.spare = (*c.spare)[:n]
	return k
}

// leaveSpare gives back the calls that the reader has not used.
func (c *conn) leaveSpare() {
	if c.spare != nil {
		spare.Put(c.spare)
		c.spare = nil
	}
}

// recycle lets go of calls that have been answered.
func recycle(calls []*call) {
	batch := spare.Get().(*[]*call)
	for _, k := range calls {
		if k.timer == nil && len(*batch) < link.MaxTogether {
			k.reset()
			*batch = append(*batch, k)
		}
	}
	spare.Put(batch)
	clear(calls)
}

// relieve has another goroutine take over from a reader that is held up: first
// the calls that it has not come to, for workers, and what it has not answered.
func (c *conn) relieve(held int64) {
	s := &c.shift
	if !s.now.CompareAndSwap(held, held+1) {
		return
	}
	if s.next > 0 {
		k := s.calls[s.next-1] // is held up
		k.method.pace.Store(-quickFine)
		c.update(func(state *connState) { state.list(k) }) // it can be cancelled from now on
	}
	rest := slices.Clone(s.calls[s.next:])
	ran := s.end()
	s.ran, s.before = nil, nil // the reader that is relieved, or answerAll, may be using them
	c.queue(rest)
	go c.reading(held + 1) // ends when it is relieved or the connection ends; serve waits for the last
	if len(ran) > 0 {
		go c.answerAll(ran) // ends with the connection's calls
	}
}

// watch sees to it that a reader which is held up is relieved. The reader calls
// it after it has made the number odd, and look tells that nobody looks before
// it reads the number a last time: one of them sees the other.
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
	if s.now.Load()&1 == 1 { // the reader has gone somewhere relying on this look
		c.watch()
	}
}
