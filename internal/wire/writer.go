package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	maxGathered  = 1 << 20   // bytes waiting for the peer, beyond which writers wait for room
	maxWrite     = 256 << 10 // bytes in one system call, each with a time limit of its own
	keepBuffer   = 64 << 10  // a larger buffer is not kept for the next flush
	maxRounds    = 16        // flushes that one caller does for others before a goroutine takes over
	patience     = 20 * time.Millisecond
	minPatience  = 5 * time.Millisecond
	unlimitedFor = 100 * 365 * 24 * time.Hour
)

// Errors of Writer and Gate, and of a Reader with a budget.
var (
	ErrClosed       = errors.New("connection is closed")
	ErrFlushTimeout = errors.New("the peer did not read for too long")
	ErrBudget       = errors.New("message exceeds the size limit")
)

// A Writer gathers what is written to a connection and lets one system call
// carry all of it. Whoever flushes first, and finds nobody flushing, writes
// for all: a lone caller waits for nobody, and N callers cost far less than N
// system calls.
//
// Flush never blocks for longer than a moment. On a socket the caller writes,
// and if the peer doesn't take the bytes in that moment a goroutine carries
// on. On any other connection, where a write that timed out can't be resumed
// (crypto/tls) or can't time out at all, a goroutine writes from the start.
type Writer struct {
	conn    io.Writer
	limit   time.Duration // for one write to be taken by the peer
	onError func(error)   // told once, when a write has failed or timed out

	deadline interface{ SetWriteDeadline(time.Time) error } // nil: conn has none
	inline   bool                                           // conn's writes can stop half-way and go on
	until    time.Time                                      // the deadline that is set; the flusher's own

	mu       sync.Mutex // guards what follows
	buf      []byte     // gathered
	spare    []byte     // the buffer of the last flush, to be used again
	total    uint64     // bytes gathered so far
	flushing bool
	room     chan struct{} // closed when buf has been taken or a flush ends; nil if nobody waits
	err      error
	wg       sync.WaitGroup // the goroutine that flushes
}

// NewWriter returns a Writer to conn. A write that the peer doesn't take
// within limit (negative: no limit) fails it. onError is called at most once,
// without locks held.
func NewWriter(conn io.Writer, limit time.Duration, onError func(error)) *Writer {
	if limit < 0 {
		limit = unlimitedFor
	}
	w := &Writer{conn: conn, limit: limit, onError: onError}
	w.deadline, _ = conn.(interface{ SetWriteDeadline(time.Time) error })
	w.inline = resumable(conn)
	return w
}

// resumable tells whether a write on conn that timed out can be continued
// where it stopped.
func resumable(conn io.Writer) bool {
	if c, ok := conn.(interface{ Unwrap() net.Conn }); ok {
		conn = c.Unwrap()
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// WaitRoom returns when there is room for another message. It gives up with
// ctx's error when ctx ends.
func (w *Writer) WaitRoom(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.err != nil || len(w.buf) < maxGathered {
			defer w.mu.Unlock()
			return w.err
		}
		room := w.roomLocked()
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Write gathers p. It does not wait and does not write to the connection.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.buf = append(w.buf, p...)
	w.total += uint64(len(p))
	return len(p), nil
}

// Total returns how many bytes have been gathered so far.
func (w *Writer) Total() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

// Flush sees to it that what has been gathered leaves, now or with a flush
// that is under way. With yield set it first lets other goroutines run, so
// that what they are about to write goes along.
func (w *Writer) Flush(yield bool) {
	w.mu.Lock()
	if w.flushing || w.err != nil || len(w.buf) == 0 {
		w.mu.Unlock()
		return
	}
	w.flushing = true
	if !w.inline {
		w.wg.Add(1)
		w.mu.Unlock()
		go w.flushRest(nil) // ends with the connection's error at the latest; Wait waits
		return
	}
	w.mu.Unlock()
	w.flushInline(yield)
}

// flushInline writes in the caller's goroutine while the peer keeps up.
func (w *Writer) flushInline(yield bool) {
	for range maxRounds {
		if yield {
			runtime.Gosched()
		}
		batch := w.take()
		if batch == nil {
			return
		}
		if rest := w.writeNow(batch); rest != nil {
			w.handOver(rest)
			return
		}
		w.done(batch)
	}
	w.handOver(nil)
}

// handOver lets a goroutine carry on from rest.
func (w *Writer) handOver(rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		w.flushing = false
		return
	}
	w.wg.Add(1)
	go w.flushRest(rest) // ends with the connection's error at the latest; Wait waits
}

// flushRest writes rest and then whatever gathers, until nothing is left.
func (w *Writer) flushRest(rest []byte) {
	defer w.wg.Done()
	batch := rest
	for {
		if batch == nil {
			runtime.Gosched()
			batch = w.take()
		}
		if batch == nil || !w.writeAll(batch) {
			return
		}
		w.done(batch)
		batch = nil
	}
}

// take hands the gathered bytes to the flusher, or ends the flush and returns
// nil if there are none.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 || w.err != nil {
		w.flushing = false
		w.freeRoomLocked()
		return nil
	}
	batch := w.buf
	w.buf, w.spare = w.spare[:0], nil
	w.freeRoomLocked()
	return batch
}

// done takes a written buffer back.
func (w *Writer) done(batch []byte) {
	if cap(batch) > keepBuffer {
		return
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
}

// writeNow writes batch with little patience and returns what is left: nil if
// all is written, batch's end if the peer is slow or the connection broken.
func (w *Writer) writeNow(batch []byte) []byte {
	// Setting a deadline costs as much as encoding a small call: let one
	// serve for as long as enough of it is left.
	if now := time.Now(); w.until.Sub(now) < minPatience || w.until.Sub(now) > patience {
		w.until = now.Add(patience)
		w.deadline.SetWriteDeadline(w.until)
	}
	n, err := w.conn.Write(batch)
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		w.Fail(err)
	}
	return batch[n:]
}

// writeAll writes batch, each piece within the limit.
func (w *Writer) writeAll(batch []byte) bool {
	for len(batch) > 0 {
		stop := w.startTimer()
		n, err := w.conn.Write(batch[:min(len(batch), maxWrite)])
		stop()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = ErrFlushTimeout
			}
			w.Fail(err)
			return false
		}
		batch = batch[n:]
	}
	return true
}

// startTimer bounds the next write: by a deadline, or, on a connection without
// deadlines, by failing the Writer, whose owner then closes the connection.
func (w *Writer) startTimer() (stop func() bool) {
	if w.deadline != nil {
		w.until = time.Now().Add(w.limit)
		if w.deadline.SetWriteDeadline(w.until) == nil {
			return func() bool { return true }
		}
	}
	return time.AfterFunc(w.limit, func() { w.Fail(ErrFlushTimeout) }).Stop
}

// Fail makes all that follows fail with err, and tells the owner. Only the
// first call counts.
func (w *Writer) Fail(err error) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.err = err
	w.buf, w.spare = nil, nil
	w.freeRoomLocked()
	w.mu.Unlock()
	w.onError(err)
}

// Err returns what the Writer failed with, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Wait returns when no goroutine of the Writer is left. It is called after
// Fail, and after the connection has been closed.
func (w *Writer) Wait() { w.wg.Wait() }

// Drain returns when all that was gathered has been written, the Writer has
// failed or ctx has ended.
func (w *Writer) Drain(ctx context.Context) {
	for {
		w.Flush(false)
		w.mu.Lock()
		if w.err != nil || !w.flushing && len(w.buf) == 0 {
			w.mu.Unlock()
			return
		}
		room := w.roomLocked()
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
	}
}

func (w *Writer) roomLocked() <-chan struct{} {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

func (w *Writer) freeRoomLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}
