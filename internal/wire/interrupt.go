package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// ErrInterrupted means that Interrupt ended a read. Nothing has been lost, and the same
// may be read again after Resume.
var ErrInterrupted = errors.New("the read was interrupted")

// A readDeadliner is a connection on which a read that a deadline has ended can be
// repeated: a socket, or TLS on top of one.
type readDeadliner interface{ SetReadDeadline(time.Time) error }

// interruptible returns conn if it is a readDeadliner, or else nil.
func interruptible(conn io.Reader) readDeadliner {
	if secure, ok := conn.(*tls.Conn); ok {
		if IsSocket(secure.NetConn()) {
			return secure
		}
		return nil
	}
	if s := rawSocket(conn); s != nil {
		return s
	}
	return nil
}

// Interruptible reports whether Interrupt may be called.
func (r *Reader) Interruptible() bool { return r.deadliner != nil }

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// Interrupt ends a read that waits for the connection with ErrInterrupted, and so each
// that follows, until Resume. What is buffered can be read all the same.
func (r *Reader) Interrupt() {
	r.interrupted.Store(true)
	r.deadliner.SetReadDeadline(longAgo)
}

// Resume ends what Interrupt has begun. It may be called without it.
func (r *Reader) Resume() {
	if r.interrupted.Load() {
		r.deadliner.SetReadDeadline(time.Time{})
		r.interrupted.Store(false)
	}
}

// A Resumer is a codec whose ReadHeader may be called again when it has returned
// ErrInterrupted.
type Resumer interface{ Resumes() }
