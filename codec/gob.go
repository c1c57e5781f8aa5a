package codec

import (
	"fmt"
	"io"

	"geerpc/internal/wire"
)

// A GobCodec speaks GeeRPC's wire: a header and a body, each a gob value, on
// one gob stream for each direction. Between our own peers it gives way to the
// framed layout, see [GobCodec.Extend].
type GobCodec struct {
	stream
	enc  gobWriter
	dec  gobReader
	body gobValue // of the message being read

	begun bool // the first header has been written
}

// gobHeaderBytes is more than a header takes beside its strings, its
// definition included.
const gobHeaderBytes = 256

// gobHeader is a Header as GeeRPC knows it. Only builtin types: a header must
// never define a type that a body has as well.
type gobHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// NewGobCodec returns a GobCodec on conn. On a connection that is not package
// geerpc's own, every Write is one write to conn, as in GeeRPC.
func NewGobCodec(conn io.ReadWriteCloser) Codec {
	return &GobCodec{stream: newStream(conn)}
}

// Extend returns the framed gob codec on the same connection.
func (c *GobCodec) Extend() Codec {
	return &framed{stream: c.stream, bodies: &gobBodies{}}
}

// Ready implements Extended.
func (c *GobCodec) Ready() bool { return false }

// ReadHeader implements Codec. It waits for the whole message, body included.
func (c *GobCodec) ReadHeader(h *Header) error {
	c.next()
	header, err := c.dec.scan(c, 0)
	if err != nil {
		return err
	}
	if c.body, err = c.dec.scan(c, header.end); err != nil {
		return err
	}
	c.message = c.body.end
	var gh gobHeader
	if err = header.err; err == nil {
		err = c.dec.decode(header.in(c.conn.Buffered()), &gh)
	}
	if err != nil {
		return fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	*h = Header{ServiceMethod: gh.ServiceMethod, Seq: gh.Seq, Error: gh.Error}
	return nil
}

// section implements gobSource: it buffers a section of the message.
// Gob itself would allocate up to 10 MiB on the word of a false length.
func (c *GobCodec) section(off int) (payload []byte, next int, err error) {
	for {
		length, n, need, err := parseGobLength(c.conn.Buffered()[off:])
		if err != nil {
			return nil, 0, err
		}
		if need == 0 {
			next = off + n + length
			if wire.Exceeds(next, c.conn.MaxRead) {
				return nil, 0, tooLarge(next, c.conn.MaxRead)
			}
			message, err := c.conn.Peek(next)
			return message[min(off+n, len(message)):], next, err
		}
		if _, err := c.conn.Peek(off + need); err != nil {
			return nil, 0, err
		}
	}
}

// ReadBody implements Codec.
func (c *GobCodec) ReadBody(body any) error {
	if c.body.err != nil {
		return c.body.err
	}
	return c.dec.decode(c.body.in(c.conn.Buffered()), body)
}

// Write implements Codec. A nil body is sent as an empty struct.
func (c *GobCodec) Write(h *Header, body any) error {
	if body == nil {
		body = struct{}{}
	}
	room, err := c.room(gobHeaderBytes + len(h.ServiceMethod) + len(h.Error))
	if err != nil {
		return err
	}
	message, err := c.encode(h, body, room)
	if err != nil {
		return c.closeIfBroken(err)
	}
	return c.send(message)
}

// encode puts a message together. The body is tried first, for the first
// header brings its own definition along, which must not be dropped with a body
// that fails.
func (c *GobCodec) encode(h *Header, body any, room int) ([]byte, error) {
	settled, err := c.enc.prepare(body, room)
	if err != nil {
		return nil, err
	}
	gh := gobHeader{h.ServiceMethod, h.Seq, h.Error}
	message, err := c.enc.encode(c.scratch[:0], gh, c.begun)
	if err != nil {
		return nil, err
	}
	c.begun = true
	return c.enc.encode(message, body, settled)
}
