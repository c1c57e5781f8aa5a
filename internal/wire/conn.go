package wire

import "io"

// A Conn is what the core hands to a codec: the connection with its reader,
// its writer and the limits that both sides agreed on. To a codec that knows
// nothing of this package it is a plain io.ReadWriteCloser (and an
// io.ByteReader) whose writes are gathered.
type Conn struct {
	*Reader
	*Writer
	io.Closer

	MaxRead  int // bytes in a message that this side takes; 0: no limit
	MaxWrite int // bytes in a message that the peer takes; 0: no limit

	// The bytes of gob type definitions that each side takes on the
	// connection; 0: no limit.
	MaxReadDefinitions, MaxWriteDefinitions int
}

// Exceeds tells whether a message of n bytes is over the limit max, where 0 is
// no limit.
func Exceeds(n, max int) bool { return max > 0 && n > max }
