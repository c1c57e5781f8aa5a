// Package wire moves bytes for both ends of a connection: a reader that holds
// one whole message at a time and costs little at rest, a writer that lets
// many callers share a system call, and the gate that orders those callers.
package wire

import (
	"errors"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
)

const (
	firstBuffer  = 512      // what a connection gets with its first bytes
	steadyBuffer = 64 << 10 // how far reading ahead may grow it; a larger one is shared
	maxClaimed   = 4        // times as many bytes as have arrived may be made room for
	lightReads   = 64       // reads that used a quarter at most, before it is halved
	emptyReads   = 100      // reads of nothing, without an error, before giving up
)

// ErrBudget means that a message is larger than a Reader's budget.
var ErrBudget = errors.New("message exceeds the size limit")

// A Reader reads a connection through a buffer of its own. A message is peeked
// at whole, in place, and discarded when it has been dealt with.
//
// The buffer grows with bytes that have arrived, and hardly with a length that a peer
// has merely claimed, so a false length costs nothing: there is room for a few times
// what has arrived, or for as much as the peer's latest messages had. For messages that
// fit into 64 KiB, the buffer doubles while reads fill it and shrinks again when they
// don't; a larger message has a buffer to itself, which is given back behind it.
//
// A Reader is for one goroutine at a time; only Waiting, Received, Interrupt and Resume may
// be called from another.
type Reader struct {
	src   io.Reader
	buf   []byte
	r, w  int  // buf[r:w] has been read from src, but not been discarded
	full  bool // the last read filled the buffer: more is waiting
	light int  // reads in a row that a buffer a quarter as large had held
	shown int  // bytes of the largest of the latest messages; the next one may be as large without proof
	err   error

	budget int // bytes that Read may still hand out; negative: any number

	deadliner   readDeadliner // src, if its reads can be interrupted; else nil
	interrupted atomic.Bool

	received   atomic.Int64 // bytes, from src
	waitsSince atomic.Int64 // when the current read of src began, by monotime; notWaiting: there is none

	tiny [16]byte // a connection that is silent so far needs no more
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: src, budget: -1, deadliner: interruptible(src)}
	r.buf = r.tiny[:]
	r.waitsSince.Store(notWaiting)
	return r
}

// notWaiting stands where the beginning of a read would.
const notWaiting = math.MinInt64

// Unpack passes all that is read from now on through what wrap returns. It returns the
// Reader of the connection that wrap is given, which has the bytes that are buffered.
func (r *Reader) Unpack(wrap func(below *Reader) io.Reader) (below *Reader) {
	below = NewReader(r.src)
	below.buf = append(below.buf[:0], r.Buffered()...)
	below.w = len(below.buf)
	below.received.Store(r.received.Load())
	below.err, r.err = r.err, nil
	r.buf, r.r, r.w, r.full, r.light = r.tiny[:], 0, 0, false, 0
	r.src, r.deadliner = wrap(below), nil
	return below
}

// Peek returns the next n bytes without discarding them. They are valid until
// the next call of another method than Buffered. If there are fewer, it
// returns what there is and why: io.EOF only if there is nothing at all,
// io.ErrUnexpectedEOF if the stream ends within the n bytes.
func (r *Reader) Peek(n int) ([]byte, error) {
	for r.w-r.r < n {
		if err := r.fill(n); err != nil {
			if err == io.EOF && r.w > r.r {
				err = io.ErrUnexpectedEOF
			}
			return r.Buffered(), err
		}
	}
	return r.buf[r.r : r.r+n], nil
}

// More waits for at least one byte beyond those buffered.
func (r *Reader) More() error { return r.fill(r.w - r.r + 1) }

// Err returns why nothing more can be read, nil if that is not known.
func (r *Reader) Err() error { return r.err }

// Buffered returns what has been read and not been discarded.
func (r *Reader) Buffered() []byte { return r.buf[r.r:r.w] }

// Discard drops n buffered bytes.
func (r *Reader) Discard(n int) {
	r.r += min(n, r.w-r.r)
	r.shown = max(n, r.shown/2)
	if len(r.buf) > steadyBuffer && r.w-r.r <= firstBuffer { // a large message has passed, but for its line's end perhaps
		r.resize(firstBuffer)
	}
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// StartOver says that what has been read is no sign of how much will come. Without it, a
// hello that fills the first buffer has it doubled for whatever comes next.
func (r *Reader) StartOver() { r.full = false }

// fill reads once, into a buffer with room for n bytes if that many arrive.
func (r *Reader) fill(n int) error {
	if r.err != nil {
		return r.err
	}
	r.makeRoom(n)
	r.waitsSince.Store(int64(monotime.Now()))
	defer r.waitsSince.Store(notWaiting)
	for range emptyReads {
		got, err := r.read(r.buf[r.w:])
		interrupted := err != nil && r.interrupted.Load() && errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !interrupted {
			r.err = err
		}
		switch {
		case got > 0:
			r.measure(got)
			r.w += got
			return nil
		case interrupted:
			return ErrInterrupted
		case err != nil:
			return err
		}
	}
	r.err = io.ErrNoProgress
	return r.err
}

// read calls the connection's Read, which may be anybody's.
func (r *Reader) read(p []byte) (n int, err error) {
	defer usercode.Recover("the connection's Read", &err)
	n, err = r.src.Read(p)
	r.received.Add(int64(max(n, 0)))
	return n, usercode.Error(err)
}

// makeRoom leaves at least one free byte behind those buffered. It moves or
// grows the buffer only as far as what has arrived justifies.
func (r *Reader) makeRoom(n int) {
	have := r.w - r.r
	switch size := len(r.buf); {
	case have == size || r.full && have < n && size < steadyBuffer:
		claimed := min(n, max(maxClaimed*size, r.shown))
		r.resize(max(2*size, firstBuffer, claimed))
	case have == 0 && r.light >= lightReads && size > firstBuffer:
		r.resize(size / 2)
	case r.r > 0 && (r.w == size || r.r+n > size):
		copy(r.buf, r.buf[r.r:r.w])
		r.r, r.w = 0, have
	}
}

func (r *Reader) resize(size int) {
	old := r.buf
	if size > steadyBuffer {
		r.buf = takeBuffer(size)
		r.buf = r.buf[:cap(r.buf)]
	} else {
		r.buf = make([]byte, size)
	}
	r.w = copy(r.buf, old[r.r:r.w])
	r.r, r.full, r.light = 0, false, 0
	releaseBuffer(old)
}

func (r *Reader) measure(got int) {
	r.full = got == len(r.buf)-r.w
	if got > len(r.buf)/4 {
		r.light = 0
	} else {
		r.light++
	}
}

// Waiting returns how long the current read has been waiting for a byte. It is
// zero while nobody reads: bytes may then have arrived and not been seen.
func (r *Reader) Waiting() time.Duration {
	since := r.waitsSince.Load()
	if since == notWaiting {
		return 0
	}
	return monotime.Now() - time.Duration(since)
}

// Received returns how many bytes have been read from the connection.
func (r *Reader) Received() int64 { return r.received.Load() }

// SetBudget limits how many bytes Read and ReadByte hand out from now on.
// It bounds a codec that does its own framing; a negative n is no limit.
func (r *Reader) SetBudget(n int) { r.budget = n }

// Read implements io.Reader for codecs that do their own framing. It returns
// ErrBudget when the budget is used up.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.budget == 0 {
		return 0, ErrBudget
	}
	if r.r == r.w {
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	have := r.Buffered()
	if r.budget > 0 && len(have) > r.budget {
		have = have[:r.budget]
	}
	n := copy(p, have)
	if r.budget > 0 {
		r.budget -= n
	}
	r.Discard(n)
	return n, nil
}

// ReadByte implements io.ByteReader, so that a gob.Decoder reads from here
// without a buffer in between.
func (r *Reader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := r.Read(b[:])
	return b[0], err
}
