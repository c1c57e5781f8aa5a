package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	patience     = 20 * time.Millisecond // how long a caller waits for the peer before a goroutine takes over
	minPatience  = 5 * time.Millisecond
	maxSlice     = 2 * time.Second // how long a socket's write waits before it is tried again
	unlimitedFor = 100 * 365 * 24 * time.Hour

	maxWrite   = 256 << 10 // bytes in one system call on a socket
	smallWrite = 16 << 10  // bytes in one write elsewhere, where a write in progress shows nothing of it
)

// ErrFlushTimeout means that the peer took no byte for the Writer's limit.
var ErrFlushTimeout = errors.New("the peer did not read for too long")

// A sinkKind says how a write can be ended that the peer does not take.
type sinkKind int

const (
	// A socket's write that is ended by a deadline says how many bytes it has
	// written, and another one goes on from there.
	socket sinkKind = iota

	// A wrapper with deadlines most likely passes them to a socket. That is
	// tried only when the connection would be closed otherwise.
	wrapped

	// A TLS connection is of no use after a deadline, and some connections
	// have none. There only closing ends a write.
	sealed
)

// kindOf returns the kind of a connection.
func kindOf(conn io.Writer) sinkKind {
	_, hasDeadline := conn.(deadliner)
	beneath := any(conn)
	if c, ok := conn.(interface{ Unwrap() net.Conn }); ok {
		beneath = c.Unwrap()
	}
	switch beneath.(type) {
	case interface{ HandshakeContext(context.Context) error }: // as *tls.Conn has
		return sealed
	case *net.TCPConn, *net.UnixConn:
		if hasDeadline {
			return socket
		}
	}
	if hasDeadline {
		return wrapped
	}
	return sealed
}

type deadliner interface{ SetWriteDeadline(time.Time) error }

// A sink is a connection as the flusher of a Writer sees it. It gives up when
// the peer has taken nothing for a limit; each byte taken begins a new wait, so
// that a slow peer is not taken for a stuck one. The kernel does not show every
// byte that it gets rid of: a blocked write may sleep until a third of the
// socket's buffer is free. So a socket's write is tried again now and then.
type sink struct {
	conn  io.Writer
	kind  sinkKind
	limit time.Duration
	fail  func(error)   // closes the connection, which ends a write that no deadline can end
	alarm *Alarm        // calls fail; made when first needed
	until time.Duration // the deadline that is set, by now

	taken     atomic.Int64 // when the connection last took bytes, by now
	unblocked atomic.Int64 // when it last took bytes after having taken none for a while, by now
}

// init makes s the sink for conn.
func (s *sink) init(conn io.Writer, limit time.Duration, fail func(error)) {
	s.conn, s.kind, s.limit, s.fail = conn, sealed, limit, fail
	if limit < 0 {
		s.limit = unlimitedFor
	}
	s.taken.Store(int64(now()))
	s.unblocked.Store(s.taken.Load())
	defer func() { recover() }() // what is beneath conn may be anybody's; conn is sealed then
	if s.kind = kindOf(conn); s.kind == sealed {
		showProgress(conn)
	}
}

// showProgress has the kernel keep few bytes of a TLS connection that are not
// on their way yet: a write of some kilobytes then ends when the peer has read
// some, and not when it has read megabytes.
func showProgress(conn io.Writer) {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := c.NetConn().(*net.TCPConn); ok {
			limitUnsent(tcp, 2*smallWrite)
		}
	}
}

// writeNow writes batch to a socket with little patience, and returns what the
// peer has not taken.
func (s *sink) writeNow(batch []byte) (rest []byte, err error) {
	// Setting a deadline costs as much as encoding a small call: let one
	// serve for as long as enough of it is left.
	start := now()
	if left := s.until - start; left < minPatience || left > patience {
		s.setDeadline(patience)
	}
	n, err := s.writeConn(batch)
	if n > 0 {
		s.taken.Store(int64(start))
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
	stalledAt := now() // since when nothing has been taken
	for len(batch) > 0 {
		begun, wait := now(), s.wait(now()-stalledAt)
		n, err := s.write(batch, wait)
		batch = batch[n:]
		switch {
		case n > 0 || late(begun+wait, wait):
			s.took(n, begun, stalledAt)
			stalledAt = now()
		case err == nil:
			err = io.ErrNoProgress
		case errors.Is(err, os.ErrDeadlineExceeded) && now()-stalledAt >= s.limit:
			err = ErrFlushTimeout
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// wait returns how long the next write may take after nothing has been taken
// for some time.
func (s *sink) wait(stalled time.Duration) time.Duration {
	fifth := (s.limit + 4) / 5
	switch {
	case s.kind == socket:
		return min(fifth, maxSlice)
	case s.kind == wrapped && stalled < s.limit-fifth:
		return s.limit - fifth
	case s.kind == wrapped:
		return fifth
	}
	return s.limit
}

// write writes the beginning of batch, within the time given.
func (s *sink) write(batch []byte, wait time.Duration) (int, error) {
	piece := batch[:min(len(batch), smallWrite)]
	if s.kind == socket {
		piece = batch[:min(len(batch), maxWrite)]
	}
	if s.kind != sealed {
		if s.setDeadline(wait) == nil {
			return s.writeConn(piece)
		}
		s.kind = sealed
	}
	if s.alarm == nil {
		s.alarm = NewAlarm(func() { s.fail(ErrFlushTimeout) })
	}
	s.alarm.Set(s.limit)
	defer s.alarm.Stop()
	return s.writeConn(piece)
}

// writeConn calls the connection's Write, which may be anybody's.
func (s *sink) writeConn(p []byte) (n int, err error) {
	err = errExited
	defer func() {
		if err == errExited { // nobody flushes any more
			s.fail(err)
		}
	}()
	defer Recover("the connection's Write", &err)
	if n, err = s.conn.Write(p); n < 0 || n > len(p) {
		return 0, errCount
	}
	return n, err
}

// setDeadline limits what is written from now on.
func (s *sink) setDeadline(wait time.Duration) (err error) {
	defer Recover("the connection's SetWriteDeadline", &err)
	s.until = now() + wait
	return s.conn.(deadliner).SetWriteDeadline(time.Now().Add(wait))
}

// took notes that n bytes have been taken by a write.
func (s *sink) took(n int, begun, stalledAt time.Duration) {
	if n == 0 {
		return
	}
	t := now()
	s.taken.Store(int64(t))
	if t-begun >= patience || begun-stalledAt >= patience {
		s.unblocked.Store(int64(t))
	}
}
