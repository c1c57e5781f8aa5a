package wire

import (
	"net"
	"time"
)

// A socket is a connection of the kernel's. Only there a read or write that a deadline has
// cut short says how many bytes it has moved, so that another one can go on. Any other
// type may encrypt, compress or frame what passes, and be of no use after a deadline.
type socket interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// rawSocket returns the socket that conn is, or nil.
func rawSocket(conn any) socket {
	for c, ok := conn.(*AheadConn); ok; c, ok = conn.(*AheadConn) {
		conn = c.Conn
	}
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case *net.UnixConn:
		return c
	}
	return nil
}

// IsSocket reports whether conn is the kernel's, and not of a type of somebody's own.
func IsSocket(conn net.Conn) bool { return rawSocket(conn) != nil }
