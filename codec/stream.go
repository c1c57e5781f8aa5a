package codec

import (
	"io"

	"geerpc/internal/wire"
)

// The limits of a connection that brings none of its own: a bare one, without
// package geerpc around it and without a method MessageLimits.
const (
	DefaultMaxMessageBytes    = 4 << 20  // in a message
	DefaultMaxDefinitionBytes = 64 << 10 // of gob type definitions that are read
)

// keepScratch is how large the buffer of a bare connection may be to be kept for the
// next message.
const keepScratch = 64 << 10

// A stream is what the codecs of this package have in common: a reader that
// holds whole messages, a buffer for the messages being written, and the limits
// of both.
type stream struct {
	conn *wire.Conn // messages are read from here; the limits may change until the first one
	bare io.Writer  // a connection that is written to with one Write a message; nil: conn gathers

	message int    // length of the message being read; the next one starts behind it
	written int    // length that the next message to be written may have, after the latest ones
	scratch []byte // the message being written to a bare connection
}

// newStream returns a stream on the core's connection, or on a bare one.
func newStream(conn io.ReadWriteCloser) stream {
	if c, ok := conn.(*wire.Conn); ok {
		return stream{conn: c}
	}
	s := stream{bare: conn, conn: &wire.Conn{Reader: wire.NewReader(conn), Closer: conn,
		MaxRead: DefaultMaxMessageBytes, MaxWrite: DefaultMaxMessageBytes, MaxReadDefinitions: DefaultMaxDefinitionBytes}}
	if l, ok := conn.(interface{ MessageLimits() (read, write int) }); ok { // 0: no limit
		s.conn.MaxRead, s.conn.MaxWrite = l.MessageLimits()
	}
	return s
}

// Close closes the connection.
func (s *stream) Close() error { return s.conn.Close() }

// next drops the message that has been read.
func (s *stream) next() {
	s.conn.Discard(s.message)
	s.message = 0
}

// room returns how many bytes are left for a body beside a header of n bytes;
// 0 is no limit.
func (s *stream) room(n int) (int, error) {
	switch {
	case s.conn.MaxWrite == 0:
		return 0, nil
	case n >= s.conn.MaxWrite:
		return 0, wire.TooLarge(n, s.conn.MaxWrite)
	}
	return s.conn.MaxWrite - n, nil
}

// fits refuses a message that is over the peer's limit.
func (s *stream) fits(message []byte) error {
	if wire.Exceeds(len(message), s.conn.MaxWrite) {
		return wire.TooLarge(len(message), s.conn.MaxWrite)
	}
	return nil
}

// begin returns the buffer that a message is appended to, and where in it the message
// starts: what is before belongs to others.
func (s *stream) begin() (buffer []byte, start int) {
	if s.bare != nil {
		return s.scratch[:0], 0
	}
	buffer = s.conn.Buffer(s.written)
	return buffer, len(buffer)
}

// send writes the message that begins at an offset of the buffer.
func (s *stream) send(buffer []byte, start int) error {
	s.written = max(len(buffer)-start, s.written/2)
	if s.bare == nil {
		return s.conn.Commit(buffer)
	}
	s.scratch = buffer[:0]
	if cap(buffer) > keepScratch {
		s.scratch = nil
	}
	_, err := s.bare.Write(buffer)
	return err
}
