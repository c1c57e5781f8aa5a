package codec

import (
	"fmt"
	"io"

	"geerpc/internal/gobstream"
	"geerpc/internal/wire"
)

// A GobCodec speaks GeeRPC's wire: a header and a body, each a gob value, on
// one gob stream for each direction. Between our own peers the framed layout
// replaces it, see [GobCodec.Extend].
type GobCodec struct {
	stream
	enc  gobstream.Writer
	dec  gobstream.Reader
	body gobstream.Value // of the message being read
}

// gobHeader is a Header as GeeRPC knows it. It has only built-in types: a header
// must never define a type that a body has as well.
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
	c.dec.LimitDefinitions(c.conn.MaxReadDefinitions)
	header, err := c.dec.Scan(c.conn, 0, c.conn.MaxRead)
	if err != nil {
		return err
	}
	if c.body, err = c.dec.Scan(c.conn, header.End(), c.conn.MaxRead); err != nil {
		return err
	}
	c.message = c.body.End()
	var gh gobHeader
	if err = c.dec.DecodeScanned(header, c.conn.Buffered(), &gh); err != nil {
		return fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	*h = Header{ServiceMethod: gh.ServiceMethod, Seq: gh.Seq, Error: gh.Error}
	return nil
}

// ReadBody implements Codec.
func (c *GobCodec) ReadBody(body any) error {
	value := c.body
	c.body = gobstream.Value{}
	return c.dec.DecodeScanned(value, c.conn.Buffered(), body)
}

// Write implements Codec. A nil body is sent as an empty struct.
func (c *GobCodec) Write(h *Header, body any) error {
	if body == nil {
		body = struct{}{}
	}
	c.enc.LimitDefinitions(c.conn.MaxWriteDefinitions)
	defer c.enc.Drop() // if Write fails, or the value's encoder panics or ends the goroutine
	buffer, start, err := c.appendHeader(h)
	if err == nil {
		buffer, err = c.enc.Append(buffer, body, c.conn.MaxWrite)
	}
	if err == nil {
		err = c.fits(buffer[start:])
	}
	if err != nil {
		return err
	}
	c.enc.Sent(buffer[start:])
	return c.send(buffer, start)
}

// WriteHeader sends a header without a body. A server of GeeRPC's original
// version that can't find the method answers at once, and reads no body for it;
// that distinguishes it from a server that has stopped. Any other peer goes on
// waiting for the body.
func (c *GobCodec) WriteHeader(h *Header) error {
	defer c.enc.Drop()
	buffer, start, err := c.appendHeader(h)
	if err != nil {
		return err
	}
	c.enc.Sent(buffer[start:])
	return c.send(buffer, start)
}

// appendHeader begins a message, and returns where.
func (c *GobCodec) appendHeader(h *Header) (buffer []byte, start int, err error) {
	buffer, start = c.begin()
	buffer, err = c.enc.Append(buffer, gobHeader{h.ServiceMethod, h.Seq, h.Error}, 0)
	return buffer, start, err
}

// gobBodies keeps one gob stream for each direction of a framed codec. Both are
// made with the first body, because most of many connections may be idle.
type gobBodies struct {
	conn *wire.Conn // for its limits
	enc  *gobstream.Writer
	dec  *gobstream.Reader
}

func (g *gobBodies) append(dst []byte, v any, room int) ([]byte, error) {
	if g.enc == nil {
		g.enc = new(gobstream.Writer)
	}
	g.enc.LimitDefinitions(g.conn.MaxWriteDefinitions)
	return g.enc.Append(dst, v, room)
}

func (g *gobBodies) sent(message []byte) {
	if g.enc != nil {
		g.enc.Sent(message)
	}
}

func (g *gobBodies) drop() {
	if g.enc != nil {
		g.enc.Drop()
	}
}

func (g *gobBodies) decode(data []byte, v any) error {
	if g.dec == nil {
		g.dec = new(gobstream.Reader)
	}
	g.dec.LimitDefinitions(g.conn.MaxReadDefinitions)
	return g.dec.Decode(data, v)
}
