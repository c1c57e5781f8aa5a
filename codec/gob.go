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
	defs definitionBudget
	body []byte // of the message being read

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
	end, err := c.value(0)
	if err != nil {
		return err
	}
	if c.message, err = c.value(end); err != nil {
		return err
	}
	message := c.conn.Buffered()[:c.message]
	c.body = message[end:]
	var gh gobHeader
	if err := c.dec.decode(message[:end], &gh); err != nil {
		return fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	*h = Header{ServiceMethod: gh.ServiceMethod, Seq: gh.Seq, Error: gh.Error}
	return nil
}

// value buffers the gob value that starts at offset start of the buffered
// bytes, with the definitions before it, and returns where it ends.
// Gob itself would allocate up to 10 MiB on the word of a false length.
func (c *GobCodec) value(start int) (end int, err error) {
	for end = start; ; {
		section, need, err := parseGobSection(c.conn.Buffered()[min(end, len(c.conn.Buffered())):])
		if err != nil {
			return 0, err
		}
		if need > 0 {
			if _, err := c.conn.Peek(end + need); err != nil {
				return 0, err
			}
			continue
		}
		end += section.size
		if wire.Exceeds(end, c.conn.MaxRead) {
			return 0, tooLarge(end, c.conn.MaxRead)
		}
		if section.definition {
			if err := c.defs.spend(section.size); err != nil {
				return 0, err
			}
		}
		if _, err := c.conn.Peek(end); err != nil {
			return 0, err
		}
		if !section.definition {
			return end, nil
		}
	}
}

// ReadBody implements Codec.
func (c *GobCodec) ReadBody(body any) error {
	data := c.body
	c.body = nil
	return c.dec.decode(data, body)
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
	// The body goes first, for the first header brings its own definition
	// along, which must not be dropped with a body that fails.
	settled, err := c.enc.prepare(body, room)
	if err != nil {
		return err
	}
	gh := gobHeader{h.ServiceMethod, h.Seq, h.Error}
	message, err := c.enc.encode(c.scratch[:0], gh, c.begun)
	if err != nil {
		return err
	}
	c.begun = true
	if message, err = c.enc.encode(message, body, settled); err != nil {
		return err
	}
	return c.send(message)
}
