// Package streamconn makes a net.Conn of any stream, such as the standard input and
// output of a child process.
//
// Whatever the stream can do by itself it goes on doing: addresses, deadlines and
// CloseWrite are passed on. What it lacks fails with an error that says so.
package streamconn

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"geerpc/internal/usercode"
)

// New returns rwc if it is a net.Conn, and else a net.Conn of it.
func New(rwc io.ReadWriteCloser) net.Conn {
	if conn, ok := rwc.(net.Conn); ok {
		return conn
	}
	return &streamConn{rwc}
}

// A streamConn adds what a stream lacks to be a net.Conn.
type streamConn struct{ io.ReadWriteCloser }

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr {
	if stream, ok := c.ReadWriteCloser.(interface{ LocalAddr() net.Addr }); ok {
		return stream.LocalAddr()
	}
	return streamAddr{}
}

// RemoteAddr implements net.Conn.
func (c *streamConn) RemoteAddr() net.Addr {
	if addr := usercode.RemoteAddr(c.ReadWriteCloser); addr != nil {
		return addr
	}
	return streamAddr{}
}

// SetDeadline implements net.Conn.
func (c *streamConn) SetDeadline(t time.Time) error {
	if stream, ok := c.ReadWriteCloser.(interface{ SetDeadline(time.Time) error }); ok {
		return stream.SetDeadline(t)
	}
	return os.ErrNoDeadline
}

// SetReadDeadline implements net.Conn.
func (c *streamConn) SetReadDeadline(t time.Time) error {
	if stream, ok := c.ReadWriteCloser.(interface{ SetReadDeadline(time.Time) error }); ok {
		return stream.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}

// SetWriteDeadline implements net.Conn.
func (c *streamConn) SetWriteDeadline(t time.Time) error {
	if stream, ok := c.ReadWriteCloser.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return stream.SetWriteDeadline(t)
	}
	return os.ErrNoDeadline
}

// CloseWrite closes the connection for writing.
func (c *streamConn) CloseWrite() error {
	if stream, ok := c.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return stream.CloseWrite()
	}
	return errors.ErrUnsupported
}

// A streamAddr is the address of a stream that has none.
type streamAddr struct{}

func (streamAddr) Network() string { return "stream" }
func (streamAddr) String() string  { return "stream" }
