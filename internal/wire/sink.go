package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
)

const (
	patience     = 20 * time.Millisecond // how long a caller waits for the peer before a goroutine takes over
	minPatience  = 5 * time.Millisecond
	maxSlice     = 2 * time.Second // how long a socket's write waits before it is tried again
	unlimitedFor = 100 * 365 * 24 * time.Hour

	maxWrite   = 256 << 10 // bytes in one system call on a socket
	maxUnsent  = 64 << 10  // bytes that a socket's kernel may hold back: a ping behind more would be late
	smallWrite = 16 << 10  // bytes in one write elsewhere, where a write in progress shows nothing of it
)

// Errors of connections whose Write does not do as it should.
var (
	errExited = errors.New("the connection's Write ended the goroutine that called it")
	errCount  = errors.New("the connection's Write returned an invalid count")
)

// ErrFlushTimeout means that the peer took no byte for the Writer's limit.
var ErrFlushTimeout = errors.New("the peer did not read for too long")

// tcpBeneath returns the TCP connection that conn is, or wraps and shows.
func tcpBeneath(conn any) *net.TCPConn {
	for range 8 {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }: // as *tls.Conn has
			conn = c.NetConn()
		case interface{ Unwrap() net.Conn }:
			conn = c.Unwrap()
		default:
			return nil
		}
	}
	return nil
}

// A sink is a connection as the flusher of a Writer sees it. It gives up when
// the peer has taken nothing for a limit; each byte taken begins a new wait, so
// that a slow peer is not taken for a stuck one. Not every byte that the peer
// takes can be seen. On a socket a blocked write may sleep until a third of the
// kernel's buffer is free, so it is tried again now and then. Elsewhere a write
// in progress shows nothing, so the pieces are small, and the kernel is asked to
// hold few bytes back. There only closing the connection ends a write.
type sink struct {
	conn   io.Writer
	socket socket // conn, if it is a socket itself; else nil
	limit  time.Duration
	fail   func(error)     // closes the connection
	alarm  *monotime.Alarm // calls fail; made when first needed
	until  time.Duration   // the deadline that is set, by monotime

	taken         atomic.Int64 // bytes
	lastTaken     atomic.Int64 // when the connection last took bytes, by monotime
	lastUnblocked atomic.Int64 // when it last took bytes after having taken none for a while, by monotime
}

// init makes s the sink for conn.
func (s *sink) init(conn io.Writer, limit time.Duration, fail func(error)) {
	s.conn, s.limit, s.fail = conn, limit, fail
	if limit < 0 || limit > unlimitedFor {
		s.limit = unlimitedFor
	}
	s.lastTaken.Store(int64(monotime.Now()))
	s.lastUnblocked.Store(s.lastTaken.Load())
	defer func() { recover() }() // what is beneath conn may be anybody's
	s.socket = rawSocket(conn)
	if tcp := tcpBeneath(conn); tcp != nil && s.socket == nil {
		limitUnsent(tcp, 2*smallWrite)
	} else if tcp != nil {
		limitUnsent(tcp, maxUnsent)
	}
}

// writeNow writes batch to a socket with little patience, and returns what the
// peer has not taken.
func (s *sink) writeNow(batch []byte) (rest []byte, err error) {
	// Setting a deadline costs as much as encoding a small call: let one
	// serve for as long as enough of it is left.
	start := monotime.Now()
	if left := s.until - start; left < minPatience || left > patience {
		s.setDeadline(patience)
	}
	n, err := s.writeConn(batch)
	if n > 0 {
		s.lastTaken.Store(int64(start))
	}
	if err == nil {
		return nil, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return batch[n:], err
}

// writeAll writes batch, however slowly the peer takes it.
func (s *sink) writeAll(batch []byte) error {
	stalledAt := monotime.Now() // since when nothing has been taken
	for len(batch) > 0 {
		begun, wait := monotime.Now(), s.wait()
		n, err := s.write(batch, wait)
		batch = batch[n:]
		if err == nil && n == 0 {
			err = io.ErrNoProgress
		}
		expired := s.socket != nil && errors.Is(err, os.ErrDeadlineExceeded) // a deadline of ours
		if err != nil && !expired {
			return err
		}
		if n > 0 || monotime.Late(begun+wait, wait) {
			s.noteTaken(n, begun, stalledAt)
			stalledAt = monotime.Now()
		} else if monotime.Now()-stalledAt >= s.limit {
			return ErrFlushTimeout
		}
	}
	return nil
}

// wait returns how long the next write may take.
func (s *sink) wait() time.Duration {
	if s.socket != nil {
		return min((s.limit+4)/5, maxSlice)
	}
	return s.limit
}

// write writes the beginning of batch, within the time given.
func (s *sink) write(batch []byte, wait time.Duration) (int, error) {
	if s.socket != nil {
		s.setDeadline(wait)
		return s.writeConn(batch[:min(len(batch), maxWrite)])
	}
	if s.alarm == nil {
		s.alarm = monotime.NewAlarm(func() { s.fail(ErrFlushTimeout) })
	}
	s.alarm.Set(wait)
	defer s.alarm.Stop()
	return s.writeConn(batch[:min(len(batch), smallWrite)])
}

// writeConn calls the connection's Write, which may be anybody's.
func (s *sink) writeConn(p []byte) (n int, err error) {
	err = errExited
	defer func() {
		if err == errExited { // nobody flushes any more
			s.fail(err)
		}
	}()
	defer usercode.Recover("the connection's Write", &err)
	if n, err = s.conn.Write(p); n < 0 || n > len(p) {
		return 0, errCount
	}
	s.taken.Add(int64(n))
	return n, usercode.Error(err)
}

// setDeadline limits what is written to the socket from now on.
func (s *sink) setDeadline(wait time.Duration) {
	s.until = monotime.Now() + wait
	s.socket.SetWriteDeadline(time.Now().Add(wait))
}

// noteTaken notes that n bytes have been taken by a write.
func (s *sink) noteTaken(n int, begun, stalledAt time.Duration) {
	if n == 0 {
		return
	}
	t := monotime.Now()
	s.lastTaken.Store(int64(t))
	if t-begun >= patience || begun-stalledAt >= patience {
		s.lastUnblocked.Store(int64(t))
	}
}
