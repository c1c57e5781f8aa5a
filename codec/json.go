package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	"geerpc/internal/nesting"
	"geerpc/internal/wire"
)

// A jsonCodec sends the header as a line of JSON and the body as another, so
// that a person with nc, or a program in any language, can take part. Values
// that it reads need not be on lines of their own.
type jsonCodec struct {
	stream
	extended bool
	scan     jsonScan // of the message to be read next
	body     []byte   // of the message being read
	unfit    error    // what is wrong with its header, if that concerns this message alone
	names             // methods called so far
}

// maxJSONDepth protects the stack. It counts an interface and the value inside it
// separately; readers have a limit of 10,000 objects and arrays.
const maxJSONDepth = 20_000

// jsonNesting is how package encoding/json goes through values.
var jsonNesting = nesting.Rule{
	MaxDepth: maxJSONDepth,
	TooDeep:  fmt.Errorf("%w, %d levels are allowed in JSON", ErrTooDeep, maxJSONDepth),
	Encoders: []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()},
	Encoded: func(f reflect.StructField) bool {
		return (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-"
	},
}

// NewJSONCodec returns a codec that speaks JSON on conn.
func NewJSONCodec(conn io.ReadWriteCloser) Codec { return &jsonCodec{stream: newStream(conn)} }

// Extend implements Extended: the header gets more fields.
func (c *jsonCodec) Extend() Codec {
	c.extended = true
	return c
}

// Ready implements Extended. ReadHeader will not scan again what this has seen.
func (c *jsonCodec) Ready() bool { return c.scan.scan(c.conn.Buffered()[c.message:]) }

// ReadHeader implements Codec. It waits for the whole message, body included.
func (c *jsonCodec) ReadHeader(h *Header) error {
	c.next()
	if err := c.await(); err != nil {
		return err
	}
	header := c.take()
	var jh jsonHeader
	c.unfit = nil
	if !jh.parse(header, &c.names) {
		var err error
		if jh, c.unfit, err = unmarshalJSONHeader(header); err != nil {
			return err
		}
	}
	jh.put(h, c.extended)
	return nil
}

// ReadBody implements Codec.
func (c *jsonCodec) ReadBody(body any) error {
	data := c.body
	c.body = nil
	switch {
	case body == nil:
		return nil
	case c.unfit != nil:
		return fmt.Errorf("header: %w", c.unfit)
	}
	return unmarshalJSON(data, body)
}

// Write implements Codec. A nil body is sent as null.
func (c *jsonCodec) Write(h *Header, body any) error {
	if err := jsonNesting.Check(body, c.conn.MaxWrite); err != nil {
		return err
	}
	jh := newJSONHeader(h, c.extended)
	buffer, start := c.begin()
	buffer, err := appendJSON(jh.append(buffer), body)
	if err != nil {
		return err
	}
	if err := c.fits(buffer[start:]); err != nil {
		return err
	}
	return c.send(buffer, start)
}

// await waits for the whole of the next message.
func (c *jsonCodec) await() error {
	for {
		complete := c.scan.scan(c.conn.Buffered())
		if wire.Exceeds(c.scan.end, c.conn.MaxRead) {
			return wire.TooLarge(c.scan.end, c.conn.MaxRead)
		}
		if complete {
			return nil
		}
		if err := c.conn.More(); err != nil {
			if err == io.EOF && c.scan.begun() {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// take takes the message that has been awaited, and returns its header. The newline
// at its end goes with it, so that nothing is left in the buffer of a connection that
// is idle.
func (c *jsonCodec) take() (header []byte) {
	data, at := c.conn.Buffered(), c.scan
	c.message, c.scan = at.end, jsonScan{}
	if at.end < len(data) && data[at.end] == '\n' {
		c.message++
	}
	c.body = slices.Clip(data[at.header:at.end]) // a user's decoder may append to it
	return data[:at.header]
}
