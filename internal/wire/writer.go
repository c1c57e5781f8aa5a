package wire

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
)

const (
	maxGathered   = 1 << 20  // bytes waiting for the peer, beyond which writers wait for room
	maxOwnBuffer  = 64 << 10 // bytes of a buffer that a connection keeps; a larger one is shared
	maxOwnBuffers = 2        // that a connection keeps: as many as are in use while one is being written
	largeWrite    = 16 << 10 // bytes that don't join others in a buffer too small for all
	maxRounds     = 16       // flushes that one caller does for others before a goroutine takes over
)

// A Writer gathers what is written to a connection and lets one system call
// carry all of it. Whoever flushes first, and finds nobody flushing, writes
// for all: a lone caller waits for nobody, and N callers cost far less than N
// system calls.
//
//	Begin(ctx)    // waits for its turn and for room
//	Write ...     // gathers, any number of times; or Buffer and Commit
//	End()
//	Flush(yield)  // at the latest when there is nothing else to be written
type Writer struct {
	sink    sink        // used by the flusher
	onError func(error) // told once, when a write has failed or timed out

	err      atomic.Pointer[error] // set once
	failed   chan struct{}         // closed then
	flushing atomic.Bool

	turn  gate   // held from Begin to End, by one who may be slow: it runs users' code
	open  []byte // written in this turn
	total int    // bytes written so far

	mu       sync.Mutex    // guards what follows; held for a moment only
	packer   Packer        // nil: bytes are written as they were gathered
	gathered [][]byte      // one write each; the small ones have been put together
	size     int           // bytes of all of them
	free     [][]byte      // buffers that have been written, to be used again
	room     chan struct{} // closed when some of gathered has been taken or a flush ends; nil if nobody waits

	wg sync.WaitGroup // the goroutine that flushes

	packing Packer // for the latest batch; the flusher's own, as is
	packed  []byte // what it made of that
}

// A Packer changes what is written to a connection, to make it smaller.
type Packer interface {
	// Pack appends what src becomes to dst, and returns that.
	Pack(dst, src []byte) []byte
}

// NewWriter returns a Writer to conn. If the peer takes no byte for limit
// (negative: no limit), the Writer fails with ErrFlushTimeout. onError is called
// at most once, without locks held; it closes conn, and must not wait for that.
func NewWriter(conn io.Writer, limit time.Duration, onError func(error)) *Writer {
	w := &Writer{onError: onError, failed: make(chan struct{})}
	w.sink.init(conn, limit, w.Fail)
	w.turn.freed = make(chan struct{}, 1)
	return w
}

// SetPacker makes the Writer pack all that is written from now on. What was written
// before must have been flushed: see Drain.
func (w *Writer) SetPacker(p Packer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packer = p
}

// Begin waits until it is the caller's turn and there is room for another
// message. It fails with ctx's error when ctx ends, and with the Writer's when
// that has failed; otherwise End must follow.
func (w *Writer) Begin(ctx context.Context) error {
	for {
		if err := w.Err(); err != nil {
			return err
		}
		if err := w.turn.lock(ctx, w.failed); err != nil {
			return err
		}
		room := w.full()
		if room == nil {
			return nil
		}
		w.turn.unlock()
		w.Flush(false)
		select {
		case <-room:
		case <-w.failed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// full returns nil if there is room, or a channel to wait for.
func (w *Writer) full() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size < maxGathered {
		return nil
	}
	return w.roomLocked()
}

func (w *Writer) roomLocked() <-chan struct{} {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

// Write gathers p, between Begin and End. It does not wait and does not write
// to the connection.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.Commit(append(w.Buffer(len(p)), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Buffer returns a buffer to append a message to, between Begin and End. What it holds
// must not be changed. The message may have more bytes than n, or fewer, but no buffer
// has to be allocated or moved for it if n is right. It counts once the buffer has been
// handed to Commit.
func (w *Writer) Buffer(n int) []byte {
	if n > largeWrite && n > cap(w.open)-len(w.open) {
		w.mu.Lock()
		w.gather()
		w.mu.Unlock()
		w.open = takeBuffer(n)
	}
	return w.open
}

// Commit gathers what has been appended to the buffer.
func (w *Writer) Commit(buffer []byte) error {
	if err := w.Err(); err != nil {
		return err
	}
	w.total += len(buffer) - len(w.open)
	w.open = buffer
	return nil
}

// Wanted tells whether somebody waits for the turn.
func (w *Writer) Wanted() bool { return w.turn.waiters.Load() > 0 }

// Total returns how many bytes have been written since the Writer was made. It
// is called between Begin and End.
func (w *Writer) Total() int { return w.total }

// End gives the turn to the next. What was written leaves with the next Flush,
// which the caller owes.
func (w *Writer) End() {
	w.mu.Lock()
	w.gather()
	if n := len(w.free); n > 0 {
		w.open, w.free = w.free[n-1], w.free[:n-1]
	}
	w.mu.Unlock()
	w.turn.unlock()
}

// gather adds what is in the open buffer to what is gathered, and leaves none open.
func (w *Writer) gather() {
	b := w.open
	w.size += len(b)
	last := len(w.gathered) - 1
	switch {
	case len(b) == 0: // of a message that was given up, perhaps
		w.recycle(b)
	case last >= 0 && len(w.gathered[last])+len(b) <= maxOwnBuffer:
		w.gathered[last] = append(w.gathered[last], b...)
		w.recycle(b)
	default:
		w.gathered = append(w.gathered, b)
	}
	w.open = nil
}

// recycle keeps a buffer of which all has been written, for what is written next.
func (w *Writer) recycle(b []byte) {
	if cap(b) > maxOwnBuffer {
		releaseBuffer(b)
	} else if cap(b) > 0 && len(w.free) < maxOwnBuffers {
		w.free = append(w.free, b[:0])
	}
}

// Flush sees to it that what has been gathered leaves, now or with a flush that
// is under way. With yield set it first lets other goroutines run, so that what
// they are about to write goes along.
//
// Flush waits little for a peer that is slow. On a socket the caller writes, and a
// goroutine carries on if the peer doesn't take the bytes within 20 ms, or after 16
// writes: a third of a second at most. On any other connection, where a write can't be
// cut short and resumed, a goroutine writes from the start.
func (w *Writer) Flush(yield bool) {
	w.mu.Lock()
	empty := len(w.gathered) == 0
	w.mu.Unlock()
	if empty || !w.flushing.CompareAndSwap(false, true) {
		return
	}
	if w.sink.socket != nil {
		w.flushInline(yield)
	} else {
		w.handOver(nil, nil)
	}
}

// flushInline writes in the caller's goroutine while the peer keeps up.
func (w *Writer) flushInline(yield bool) {
	if yield {
		runtime.Gosched()
	}
	for range maxRounds {
		batch := w.take()
		if batch == nil {
			return
		}
		rest, err := w.sink.writeNow(w.pack(batch))
		if err != nil {
			w.Fail(err)
		}
		if rest != nil {
			w.handOver(batch, rest)
			return
		}
		w.noteWritten(batch)
	}
	w.handOver(nil, nil)
}

// handOver lets a goroutine carry on with the rest of a batch.
func (w *Writer) handOver(batch, rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Err() != nil {
		w.flushing.Store(false)
		return
	}
	w.wg.Add(1)
	go w.flushRest(batch, rest) // ends with the connection's error at the latest; Wait waits
}

// flushRest writes the rest of a batch and then whatever gathers, until nothing is
// left.
func (w *Writer) flushRest(batch, rest []byte) {
	defer w.wg.Done()
	if !w.writeAll(rest) {
		return
	}
	w.noteWritten(batch)
	for {
		runtime.Gosched()
		batch := w.take()
		if batch == nil || !w.writeAll(w.pack(batch)) {
			return
		}
		w.noteWritten(batch)
	}
}

// writeAll writes batch. It reports false if that has failed, which ends the
// flush.
func (w *Writer) writeAll(batch []byte) bool {
	err := w.sink.writeAll(batch)
	if err != nil {
		w.Fail(err)
		w.flushing.Store(false)
	}
	return err == nil
}

// take hands some of the gathered bytes to the flusher, or ends the flush and returns
// nil if there are none.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	if len(w.gathered) == 0 || w.Err() != nil {
		w.packed = nil // an idle connection keeps none
		w.flushing.Store(false)
		return nil
	}
	batch := w.gathered[0]
	w.gathered = slices.Delete(w.gathered, 0, 1)
	w.size -= len(batch)
	w.packing = w.packer
	return batch
}

// pack returns a batch as it is written.
func (w *Writer) pack(batch []byte) []byte {
	if w.packing == nil {
		return batch
	}
	returned := false
	defer func() {
		if !returned { // nobody flushes any more
			w.Fail(errExited)
		}
	}()
	w.packed = w.packing.Pack(w.packed[:0], batch)
	returned = true
	return w.packed
}

// noteWritten notes that a batch, all of it, has been written.
func (w *Writer) noteWritten(batch []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recycle(batch)
}

// Fail makes all that follows fail with err, and tells the owner. Only the
// first call counts. It waits for nobody, as the owner doesn't.
func (w *Writer) Fail(err error) {
	if w.err.CompareAndSwap(nil, &err) {
		close(w.failed)
		w.onError(err)
	}
}

// Err returns what the Writer failed with, or nil.
func (w *Writer) Err() error {
	if err := w.err.Load(); err != nil {
		return *err
	}
	return nil
}

// SinceTaken returns how long ago the connection last took bytes.
func (w *Writer) SinceTaken() time.Duration {
	return monotime.Now() - time.Duration(w.sink.lastTaken.Load())
}

// SinceUnblocked returns how long ago the connection last took bytes that had
// had to wait, which shows that the peer has read some.
func (w *Writer) SinceUnblocked() time.Duration {
	return monotime.Now() - time.Duration(w.sink.lastUnblocked.Load())
}

// Sent returns how many bytes the connection has taken.
func (w *Writer) Sent() int64 { return w.sink.taken.Load() }

// Wait returns when no goroutine of the Writer is left. It is called after
// Fail, and after the connection has been closed.
func (w *Writer) Wait() {
	w.mu.Lock()   // a handOver that has not seen the error has begun, and counts
	w.mu.Unlock() //lint:ignore SA2001 it is waited for
	w.wg.Wait()
}

// Drain returns when all that was gathered has been written, the Writer has
// failed or ctx has ended.
func (w *Writer) Drain(ctx context.Context) {
	for w.Begin(ctx) == nil {
		w.End()
		w.Flush(false)
		w.mu.Lock()
		if len(w.gathered) == 0 && !w.flushing.Load() {
			w.mu.Unlock()
			return
		}
		room := w.roomLocked()
		w.mu.Unlock()
		select {
		case <-room:
		case <-w.failed:
		case <-ctx.Done():
			return
		}
	}
}
