package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// An AheadConn is a connection of which some bytes have been read already.
type AheadConn struct {
	net.Conn
	in io.Reader
}

// WithAhead returns conn as if the bytes in ahead had not been read yet.
func WithAhead(conn net.Conn, ahead []byte) net.Conn {
	if len(ahead) == 0 {
		return conn
	}
	return &AheadConn{conn, io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), conn)}
}

// Read implements net.Conn.
func (c *AheadConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// CloseWrite closes the connection for writing, if it can.
func (c *AheadConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Unwrap returns the connection beneath.
func (c *AheadConn) Unwrap() net.Conn { return c.Conn }
