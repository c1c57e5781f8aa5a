package geerpc

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"geerpc/internal/usercode"
)

// NewConn makes a net.Conn of a stream that can be read and written, such as
// the standard input and output of a child process, or an SSH channel, for
// NewClient. (Server.ServeConn takes rwc as it is.) It returns nil for a nil
// rwc, and rwc itself if that is a net.Conn.
//
// Addresses, deadlines and CloseWrite are passed on to rwc if it has such
// methods. If not, an address reads "stream", setting a deadline fails with
// os.ErrNoDeadline and CloseWrite with errors.ErrUnsupported. A Client needs
// none of them: it limits connecting and writing by timers of its own.
//
// Close closes rwc, which should end a Read and a Write that are under way.
// Client.Close says what happens if it doesn't.
func NewConn(rwc io.ReadWriteCloser) net.Conn {
	if rwc == nil {
		return nil
	}
	if conn, ok := rwc.(net.Conn); ok {
		return conn
	}
	return &streamConn{rwc}
}

// A streamConn adds what rwc lacks to be a net.Conn.
type streamConn struct{ io.ReadWriteCloser }

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr {
	if rwc, ok := c.ReadWriteCloser.(interface{ LocalAddr() net.Addr }); ok {
		return rwc.LocalAddr()
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
	if rwc, ok := c.ReadWriteCloser.(interface{ SetDeadline(time.Time) error }); ok {
		return rwc.SetDeadline(t)
	}
	return os.ErrNoDeadline
}

// SetReadDeadline implements net.Conn.
func (c *streamConn) SetReadDeadline(t time.Time) error {
	if rwc, ok := c.ReadWriteCloser.(interface{ SetReadDeadline(time.Time) error }); ok {
		return rwc.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}

// SetWriteDeadline implements net.Conn.
func (c *streamConn) SetWriteDeadline(t time.Time) error {
	if rwc, ok := c.ReadWriteCloser.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return rwc.SetWriteDeadline(t)
	}
	return os.ErrNoDeadline
}

// CloseWrite ends one direction, as that of a net.TCPConn.
func (c *streamConn) CloseWrite() error {
	if rwc, ok := c.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return rwc.CloseWrite()
	}
	return errors.ErrUnsupported
}

type streamAddr struct{}

func (streamAddr) Network() string { return "stream" }
func (streamAddr) String() string  { return "stream" }
