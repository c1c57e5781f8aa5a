package geerpc

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
)

// Inline calls. Starting a goroutine costs more than a quick method does, so calls of
// methods that have proved quick run on the goroutine that reads the connection, a
// batch at a time. A method proves quick while its calls have goroutines of their own.
// If it is slow for once, the server's stallWatch notices within about two
// milliseconds, another goroutine takes over the reading, and the method has to prove
// itself again:
//
//	reader     read, read, run a, run b ─ stalls ─────────────────→ answer b, end
//	stallWatch          look        look: stalled
//	new reader                          └→ answer a, start c, read, read …
const (
	quickLimit   = 20 * time.Microsecond // a call that takes longer is not quick
	inlineAfter  = 32                    // calls of a method that have to be quick
	maxPace      = inlineAfter + 32      // quick calls that count in a method's favour at most
	slowPenalty  = 16                    // quick calls that a call which is not quick cancels
	batchPenalty = 1                     // the same, for each call of a batch that is not quick
	stallPenalty = 1000                  // quick calls that one which stalls the reader costs
	stallLimit   = time.Millisecond      // how long calls may keep the reader from reading
)

// runsInline reports whether a call may run on the goroutine that reads.
func (c *conn) runsInline(k *servedCall) bool {
	return k.method != nil && k.rejection == nil && k.method.pace.Load() >= inlineAfter && !c.server.Ordered
}

// notePace notes whether a call of the method was quick. If not, it cancels as many quick
// ones as the penalty says.
func (m *method) notePace(quick bool, penalty int32) {
	switch pace := m.pace.Load(); {
	case !quick:
		m.pace.Store(min(pace, max(pace-penalty, 0))) // a negative pace stays
	case pace < maxPace:
		m.pace.Add(1)
	}
}

// A reader is the state of the goroutine that reads a connection. Goroutines replace
// each other as readers, and the epoch says which of them is the reader. It is odd while
// the reader runs a user's code. To come back from that code, or to take the reader's
// place, a goroutine makes it even by a compare-and-swap. The one that succeeds owns all
// that follows, except what belongs to the stallWatch.
type reader struct {
	epoch atomic.Int64
	begun atomic.Int64 // when the reader began its latest batch, by monotime

	incoming []*servedCall // calls that have been read, and wait to be started
	starting []*servedCall // those of the incoming calls that get goroutines

	batch    []*servedCall // those of the incoming calls that run inline
	highest  uint64        // seq in the batch
	next     int           // call of the batch to run
	finished []*servedCall // calls of the batch that have run and must be answered
	previous []*servedCall // the slice that was finished for the batch before, to be used again

	behind  int // calls of a batch that are to be read behind the latest one
	counted int // those of them that are counted in connState.unanswered

	admitting *callContext // what Server.Admit is asked with

	lastName   string // of the method that was looked up last; the next call is often of it
	lastMethod *method

	watched  atomic.Bool // by the server's stallWatch, which owns the next two
	seen     int64       // the value of begun when the stallWatch last looked
	idleSeen int         // how often it has seen that value since
}

// findMethod returns the method of a name, or nil. A name that is missing is not kept:
// it may yet be registered, and may be of any size.
func (r *reader) findMethod(in *registry, name string) *method {
	if r.lastMethod != nil && r.lastName == name {
		return r.lastMethod
	}
	m := in.method(name)
	if m != nil {
		r.lastName, r.lastMethod = name, m
	}
	return m
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

// endBatch returns the finished calls, in a slice that is valid until the next batch
// ends.
func (r *reader) endBatch() (finished []*servedCall) {
	clear(r.batch)
	r.batch, r.highest, r.next = r.batch[:0], 0, 0
	finished = r.finished
	r.finished, r.previous = r.previous[:0], finished
	return finished
}

// notePace notes whether the calls of the batch, which took so long together, were
// quick. Calls that were rejected, or cancelled in time, say nothing of their methods.
//
// One slow batch proves little: the processor may have been another process's for a
// while. If it took a method away from the reader, all calls that have arrived meanwhile
// would get goroutines of their own. It takes more slow batches than quick ones.
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
			k.method.notePace(quick, batchPenalty)
		}
	}
}

// reading reads the connection, from an epoch on, and ends it unless another goroutine
// has taken over, or is going to.
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

// runInline runs the calls of the batch and answers them. If this goroutine has been
// replaced, it returns false, and must leave alone what is the reader's.
func (c *conn) runInline() bool {
	r := &c.reader
	epoch := r.epoch.Load()
	begun := monotime.Now()
	now := begun
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
		now = running.do(now)
		if !r.epoch.CompareAndSwap(epoch+1, epoch) {
			return false
		}
		r.finished = append(r.finished, running)
	}
	running = nil
	r.notePace(now - begun)
	finished := r.endBatch()
	c.enterUserCode(epoch)
	c.answer(finished...)
	recycle(finished)
	c.link.Flush(false)
	return r.epoch.CompareAndSwap(epoch+1, epoch)
}

// enterUserCode allows others to replace the reader.
func (c *conn) enterUserCode(epoch int64) {
	r := &c.reader
	r.epoch.Store(epoch + 1)
	if !r.watched.Load() && r.watched.CompareAndSwap(false, true) {
		c.server.stalls.add(c)
	}
}

// A stallWatch watches readers that run methods inline. Once a millisecond it looks at
// all of them, and replaces each that a method has kept from reading for that long. It
// has no goroutine of its own, and no timer while nothing runs inline. The zero value
// is ready.
type stallWatch struct {
	mu      sync.Mutex // guards what follows
	conns   []*conn
	ticking bool
}

// add watches a connection's reader until it has been idle for a while.
func (w *stallWatch) add(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	if !w.ticking {
		w.ticking = true
		time.AfterFunc(stallLimit, w.tick) // until no reader is watched
	}
}

func (w *stallWatch) tick() {
	w.mu.Lock()
	conns := w.conns
	w.conns = nil
	w.mu.Unlock()
	conns = slices.DeleteFunc(conns, func(c *conn) bool { return !c.lookForStall() })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(conns, w.conns...)
	if w.ticking = len(w.conns) > 0; w.ticking {
		time.AfterFunc(stallLimit, w.tick)
	}
}

// idleLooks is how often a reader is seen idle until it is watched no more.
const idleLooks = 2

// lookForStall replaces the reader if it is stalled. It reports whether to look again.
//
// When it gives up, it clears watched first and then reads the epoch, while the reader
// sets the epoch first and then reads watched. So one of them sees what the other did.
func (c *conn) lookForStall() (again bool) {
	r := &c.reader
	epoch, begun := r.epoch.Load(), r.begun.Load()
	inUserCode := epoch&1 == 1
	switch {
	case inUserCode && int64(monotime.Now())-begun >= int64(stallLimit):
		c.replaceReader(epoch)
		return true
	case inUserCode || begun != r.seen:
		r.seen, r.idleSeen = begun, 0
		return true
	case r.idleSeen < idleLooks:
		r.idleSeen++
		return true
	}
	r.watched.Store(false)
	return r.epoch.Load()&1 == 1 && r.watched.CompareAndSwap(false, true)
}

// replaceReader starts another goroutine in place of a reader that is stalled in an odd
// epoch. It takes over the reading, the calls of the batch that have not begun, and the
// answers that have not been sent.
func (c *conn) replaceReader(epoch int64) {
	r := &c.reader
	if !r.epoch.CompareAndSwap(epoch, epoch+1) {
		return
	}
	rest := slices.Clone(r.batch[r.next:])
	c.update(func(s *connState) {
		if r.next > 0 {
			stalled := r.batch[r.next-1]
			stalled.method.pace.Store(-stallPenalty)
			s.track(stalled) // it can be cancelled from now on
		}
		for _, k := range rest {
			s.track(k)
		}
	})
	finished := r.endBatch()
	r.finished, r.previous = nil, nil // in use by the reader that was replaced, and below
	c.start(rest)
	go c.reading(epoch + 1) // ends when it is replaced or the connection ends; serve waits for the last
	if len(finished) > 0 {
		go func() { // ends with the connection's calls
			c.answer(finished...)
			c.link.Flush(false)
		}()
	}
}
