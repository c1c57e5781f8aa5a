package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	"geerpc/internal/nesting"
)

// A jsonCodec sends the header as a line of JSON and the body as another, so
// that a person with nc, or a program in any language, can take part. Values
// that it reads need not be on lines of their own.
type jsonCodec struct {
	jsonStream
	extended bool
	body     []byte       // of the message being read
	unfit    error        // what is wrong with its header, if that concerns this message alone
	names                 // methods called so far
	strays   jsonrpcCalls // requests that are not ours
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
func NewJSONCodec(conn io.ReadWriteCloser) Codec {
	return &jsonCodec{jsonStream: jsonStream{stream: newStream(conn)}}
}

// Extend implements Extended: the header gets more fields.
func (c *jsonCodec) Extend() Codec {
	c.extended = true
	return c
}

// ReadHeader implements Codec. It waits for the whole message, body included.
func (c *jsonCodec) ReadHeader(h *Header) error {
	c.next()
	if err := c.await(); err != nil {
		return err
	}
	header, body := c.take()
	c.body = slices.Clip(body) // a user's decoder may append to it
	var jh jsonHeader
	c.unfit = nil
	if !jh.parse(header, &c.names) {
		if isStray(header) {
			c.readStray(h, header)
			return nil
		}
		var err error
		if jh, c.unfit, err = unmarshalJSONHeader(header); err != nil {
			return err
		}
	}
	jh.put(h, c.extended)
	return nil
}

// Resumes implements wire.Resumer.
func (c *jsonCodec) Resumes() {}

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
	if h.Seq >= firstStray {
		if stray, err := c.writeStray(h); stray {
			return err
		}
	}
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
