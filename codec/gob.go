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
}

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
	return &framed{stream: c.stream, bodies: &gobBodies{conn: c.conn}}
}

// Ready implements Extended.
func (c *GobCodec) Ready() bool { return false }

// ReadHeader implements Codec. It waits for the whole message, body included.
func (c *GobCodec) ReadHeader(h *Header) error {
	c.next()
	c.dec.schema.limit = c.conn.MaxReadDefinitions
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
				return nil, 0, wire.TooLarge(next, c.conn.MaxRead)
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
	value := c.body
	c.body = gobValue{}
	if value.err != nil || body == nil {
		return value.err
	}
	return c.dec.decode(value.in(c.conn.Buffered()), body)
}

// Write implements Codec. A nil body is sent as an empty struct.
func (c *GobCodec) Write(h *Header, body any) error {
	if body == nil {
		body = struct{}{}
	}
	c.enc.schema.limit = c.conn.MaxWriteDefinitions
	defer c.enc.drop() // if it fails, ends the goroutine or panics
	message, err := c.enc.append(c.scratch[:0], gobHeader{h.ServiceMethod, h.Seq, h.Error}, 0)
	if err == nil {
		message, err = c.enc.append(message, body, c.conn.MaxWrite)
	}
	if err == nil {
		err = c.fits(message)
	}
	if err != nil {
		return err
	}
	c.enc.keep(message)
	return c.send(message)
}

// WriteHeader sends a header without a body. A server of GeeRPC's original
// version answers one whose method it can't find at once, and reads no body for
// it; that tells it from a server that has stopped. Any other peer goes on
// waiting for the body.
func (c *GobCodec) WriteHeader(h *Header) error {
	defer c.enc.drop()
	message, err := c.enc.append(c.scratch[:0], gobHeader{h.ServiceMethod, h.Seq, h.Error}, 0)
	if err != nil {
		return err
	}
	c.enc.keep(message)
	return c.send(message)
}
