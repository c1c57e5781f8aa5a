package codec

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

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
}

// jsonHeader is a Header as it is sent. The fields behind Error are sent only
// between peers that have agreed on it.
type jsonHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
	Kind          string       `json:",omitempty"` // empty: a call or a reply
	Timeout       int64        `json:",omitempty"` // nanoseconds
	Code          uint8        `json:",omitempty"`
	Where         uint8        `json:",omitempty"`
	Ran           uint8        `json:",omitempty"`
	Metadata      jsonMetadata `json:",omitempty"`
}

// maxJSONMetadata limits the bytes of metadata as it is sent. Metadata that the
// core allows takes far fewer.
const maxJSONMetadata = 256 << 10

// jsonMetadata is metadata that is measured before it is decoded.
type jsonMetadata map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *jsonMetadata) UnmarshalJSON(data []byte) error {
	if len(data) > maxJSONMetadata {
		return fmt.Errorf("%w: metadata of %d bytes", ErrTooLarge, len(data))
	}
	return json.Unmarshal(data, (*map[string]string)(m))
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
	if c.unfit = json.Unmarshal(header, &jh); c.unfit != nil {
		// A field of the wrong type concerns this message alone, if it is still
		// clear which message that is. ReadBody will return the error.
		var id struct {
			ServiceMethod, Kind string
			Seq                 uint64
		}
		if err := json.Unmarshal(header, &id); err != nil {
			return fmt.Errorf("%w: header: %w", ErrCorrupt, err)
		}
		jh.ServiceMethod, jh.Kind, jh.Seq = id.ServiceMethod, id.Kind, id.Seq
	}
	*h = Header{ServiceMethod: jh.ServiceMethod, Seq: jh.Seq, Error: jh.Error}
	if c.extended {
		h.frame = Frame{jsonKind(&jh), jh.Timeout, jh.Code, jh.Where, jh.Ran, jh.Metadata}
	}
	return nil
}

// jsonKind returns the kind of a message. Without a kind, it is a call if it
// names a method, else a reply.
func jsonKind(jh *jsonHeader) Kind {
	switch {
	case jh.Kind != "":
		return ParseKind(jh.Kind)
	case jh.ServiceMethod == "":
		return Reply
	}
	return Call
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
	return json.Unmarshal(data, body)
}

// Write implements Codec. A nil body is sent as null.
func (c *jsonCodec) Write(h *Header, body any) error {
	if err := jsonNesting.Check(body, c.conn.MaxWrite); err != nil {
		return err
	}
	jh := jsonHeader{ServiceMethod: h.ServiceMethod, Seq: h.Seq, Error: h.Error}
	if f := &h.frame; c.extended {
		if f.Kind != Call || h.ServiceMethod == "" { // see jsonKind
			jh.Kind = f.Kind.String()
		}
		jh.Timeout, jh.Code, jh.Where, jh.Ran, jh.Metadata = f.Timeout, f.Code, f.Where, f.Ran, f.Metadata
	}
	buffer := c.begin()
	start := len(buffer)
	message := bytes.NewBuffer(buffer)
	enc := json.NewEncoder(message) // ends each value with a newline
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&jh); err != nil {
		return err
	}
	if err := enc.Encode(body); err != nil {
		return err
	}
	if err := c.fits(message.Bytes()[start:]); err != nil {
		return err
	}
	return c.send(message.Bytes(), start)
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
	c.body = data[at.header:at.end]
	return data[:at.header]
}
