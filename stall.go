package geerpc

import (
	"slices"
	"sync"
	"time"
)

// A stallWatch watches readers that run methods inline. Once a millisecond it
// looks at all of them, and replaces one that a method has kept from reading for
// that long. It has no goroutine of its own, and no timer while nothing runs
// inline. The zero value is ready.
type stallWatch struct {
	mu      sync.Mutex // guards what follows
	conns   []*conn
	ticking bool
}

// quietLooks is how often a reader must be seen idle until it is watched no more.
const quietLooks = 2

// add has a connection's reader watched until it has been idle for a while.
func (w *stallWatch) add(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	if !w.ticking {
		w.ticking = true
		time.AfterFunc(stallLimit, w.tick)
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

// lookForStall replaces the reader if it is stalled. It reports whether to look
// again.
//
// When it gives up it clears watched first and then reads the epoch, while the
// reader sets the epoch first and then reads watched. One of them sees what the
// other has done.
func (c *conn) lookForStall() (again bool) {
	r := &c.reader
	epoch, begun := r.epoch.Load(), r.begun.Load()
	inUserCode := epoch&1 == 1
	switch {
	case inUserCode && int64(nanotime())-begun >= int64(stallLimit):
		c.replaceReader(epoch)
		return true
	case inUserCode || begun != r.seen:
		r.seen, r.quietness = begun, 0
		return true
	case r.quietness < quietLooks:
		r.quietness++
		return true
	}
	r.watched.Store(false)
	return r.epoch.Load()&1 == 1 && r.watched.CompareAndSwap(false, true)
}

// replaceReader has another goroutine take over from a reader that is stalled in
// an odd epoch: the reading, the calls of its batch that it has not come to, and
// the answers that it has not sent.
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
