package geerpc

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/wire"
)

// Calls of methods that have proved quick run inline: on the goroutine that reads
// the connection, a batch at a time, because starting a goroutine costs more than
// they do. A method proves quick while its calls have goroutines of their own. If
// it is slow for once, another goroutine takes over the reading within about two
// milliseconds, and the method has to prove itself again.
const (
	quickLimit   = 20 * time.Microsecond // a call that takes longer is not quick
	inlineAfter  = 32                    // calls of a method that have to be quick
	maxPace      = inlineAfter + 32      // as many quick calls count in a method's favour,
	slowPenalty  = 16                    // as many does a call cancel that is not quick,
	stallPenalty = 1000                  // and as many one that stalls the reader
	stallLimit   = time.Millisecond      // how long calls may keep the reader from reading
)

// nanotime is a clock that never jumps. What it returns may be added to any
// duration: where the sum overflows, the difference to a later time is right.
func nanotime() time.Duration { return wire.Now() }

// runsInline reports whether a call may run on the goroutine that reads.
func (c *conn) runsInline(k *servedCall) bool {
	return k.method != nil && k.refused == nil && k.method.pace.Load() >= inlineAfter && !c.server.Ordered
}

// notePace notes whether calls of the method were quick, for each of them.
func (m *method) notePace(quick bool) {
	switch pace := m.pace.Load(); {
	case !quick:
		m.pace.Store(min(pace, max(pace-slowPenalty, 0)))
	case pace < maxPace:
		m.pace.Add(1)
	}
}

// A reader is the state of the goroutine that reads a connection. Goroutines
// replace each other as readers, and the epoch says whose turn it is: it is even
// while the reader goes about its own work, and odd while it runs a user's code
// and may be replaced. Whoever replaces the reader, or it itself when it returns
// from that code, makes the epoch even; all else in here belongs to whoever did.
type reader struct {
	epoch atomic.Int64
	begun atomic.Int64 // when the reader began its latest batch, as nanotime returns it

	batch    []*servedCall // runs inline
	highest  uint64        // seq in it
	next     int           // call of it to run
	finished []*servedCall // calls of it that have run and must be answered
	previous []*servedCall // what finished was for the batch before

	watched   atomic.Bool // by the server's stallWatch, to which the next two belong
	seen      int64       // begun, when it last looked
	quietness int         // how often it has seen that since
}

// reading reads the connection, from an epoch on, and ends it unless another
// goroutine has taken over, or will.
func (c *conn) reading(epoch int64) {
	err := errReaderExit // unless read returns
	defer func() {
		if c.reader.epoch.Load() == epoch {
			c.submit(false)
			c.end(err)
		}
	}()
	defer c.link.Caught("reading a connection", &err)
	err = c.read()
}

// runInline runs the calls of a batch and answers them. It reports false if this
// goroutine has been replaced, and must leave alone what is the reader's.
func (c *conn) runInline() bool {
	r := &c.reader
	epoch := r.epoch.Load()
	begun := nanotime()
	r.begun.Store(int64(begun))
	var running *servedCall
	defer func() {
		if running != nil { // it has ended our goroutine, or we have been replaced meanwhile
			c.answer(running)
			c.link.Flush(false)
		}
	}()
	for r.next < len(r.batch) {
		running = r.batch[r.next]
		r.next++
		c.enterUserCode(epoch)
		running.do()
		if !r.epoch.CompareAndSwap(epoch+1, epoch) {
			return false
		}
		r.finished = append(r.finished, running)
	}
	running = nil
	r.notePace(nanotime() - begun)
	finished := r.endBatch()
	c.enterUserCode(epoch)
	c.answer(finished...)
	recycle(finished)
	c.link.Flush(false)
	return r.epoch.CompareAndSwap(epoch+1, epoch)
}

// enterUserCode allows others to replace the reader.
func (c *conn) enterUserCode(epoch int64) {
	c.reader.epoch.Store(epoch + 1)
	if r := &c.reader; !r.watched.Load() && r.watched.CompareAndSwap(false, true) {
		c.server.stalls.add(c)
	}
}

// notePace notes whether the calls of the batch, which took so long together, were
// quick. Those that were refused, or cancelled in time, say nothing of their
// methods.
func (r *reader) notePace(took time.Duration) {
	begun := 0
	for _, k := range r.batch {
		if k.hasBegun() {
			begun++
		}
	}
	quick := took <= time.Duration(begun)*quickLimit
	for _, k := range r.batch {
		if k.hasBegun() {
			k.method.notePace(quick)
		}
	}
}

// add adds a call to the batch.
func (r *reader) add(k *servedCall) {
	r.batch = append(r.batch, k)
	r.highest = max(r.highest, k.seq)
}

// has reports whether a call with that seq is in the batch.
func (r *reader) has(seq uint64) bool {
	return seq <= r.highest && // our clients count up
		slices.ContainsFunc(r.batch, func(k *servedCall) bool { return k.seq == seq })
}

// endBatch returns the finished calls, in a slice that stays as it is until the
// end of the next batch.
func (r *reader) endBatch() (finished []*servedCall) {
	clear(r.batch)
	r.batch, r.highest, r.next = r.batch[:0], 0, 0
	finished = r.finished
	r.finished, r.previous = r.previous[:0], finished
	return finished
}

// callPool has calls that have been answered, with values for the next call of
// the same method.
var callPool = sync.Pool{New: func() any { return new(servedCall) }}

// recycle lets go of calls that have been answered. The runtime keeps a timer
// that was stopped, and with it the call, for some time: it is not used again.
func recycle(calls []*servedCall) {
	for _, k := range calls {
		if k.timer == nil {
			k.reset()
			callPool.Put(k)
		}
	}
	clear(calls)
}
