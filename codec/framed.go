package codec

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"geerpc/internal/wire"
)

// Framed makes a codec of a serializer: marshal returns the bytes of a value,
// unmarshal decodes them into a pointer. Marshal gets the args of a call as the
// caller passed them, T or *T, and its reply as a pointer; its result is copied.
// Unmarshal must copy what it keeps of data, because data is reused. Neither
// function may keep a pointer to the value, or into it.
//
// A nil body is sent as no bytes at all, and neither function sees it.
//
// Framed returns nil if one of the functions is nil: see [Register].
func Framed(marshal func(v any) ([]byte, error), unmarshal func(data []byte, v any) error) NewCodecFunc {
	if marshal == nil || unmarshal == nil {
		return nil
	}
	return func(conn io.ReadWriteCloser) Codec {
		return &framed{stream: newStream(conn), bodies: funcBodies{marshal, unmarshal}}
	}
}

// bodies is the serializer of a framed codec.
type bodies interface {
	// append appends v to dst, in at most room bytes (0: no limit). Sent or
	// drop must follow.
	append(dst []byte, v any, room int) ([]byte, error)

	// sent says that the message with what was appended is being sent; drop
	// that it is not, unless sent has been called before.
	sent(message []byte)
	drop()

	// decode decodes data into the pointer v, or skips it if v is nil.
	decode(data []byte, v any) error
}

// funcBodies is the serializer of a codec that Framed makes.
type funcBodies struct {
	marshal   func(v any) ([]byte, error)
	unmarshal func(data []byte, v any) error
}

func (f funcBodies) append(dst []byte, v any, room int) ([]byte, error) {
	data, err := f.marshal(v)
	if err == nil && wire.Exceeds(len(data), room) {
		err = wire.TooLarge(len(data), room)
	}
	if err != nil {
		return dst, err
	}
	return append(dst, data...), nil
}

func (f funcBodies) sent([]byte) {}
func (f funcBodies) drop()       {}

func (f funcBodies) decode(data []byte, v any) error {
	if v == nil {
		return nil
	}
	return f.unmarshal(data, v)
}

// A framed codec puts a length before every message and serializes only
// bodies. So neither a bad value nor an unknown kind of message disturbs the
// next message.
type framed struct {
	stream
	bodies
	names        // methods called so far
	body  []byte // of the message being read; nil if it has none
	fatal error  // ends the stream with the next ReadHeader
}

// Extend implements Extended: framed messages have room for whole headers.
func (c *framed) Extend() Codec { return c }

// Ready implements Extended.
func (c *framed) Ready() bool {
	data := c.conn.Buffered()[c.message:]
	return len(data) >= lengthBytes && uint32(len(data)-lengthBytes) >= binary.BigEndian.Uint32(data)
}

// ReadHeader implements Codec. It waits for the whole message.
func (c *framed) ReadHeader(h *Header) error {
	c.next()
	if c.fatal != nil {
		return c.fatal
	}
	prefix, err := c.conn.Peek(lengthBytes)
	if err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(prefix)
	if length > math.MaxInt32 || wire.Exceeds(int(length), c.conn.MaxRead) {
		return wire.TooLarge(int(min(length, math.MaxInt32)), c.conn.MaxRead)
	}
	message, err := c.conn.Peek(lengthBytes + int(length))
	if err != nil {
		return err
	}
	c.message = len(message)
	return c.parse(message[lengthBytes:], h)
}

// Resumes implements wire.Resumer.
func (c *framed) Resumes() {}

// ReadBody implements Codec.
func (c *framed) ReadBody(body any) error {
	data := c.body
	c.body = nil
	if data == nil {
		return nil
	}
	err := c.decode(data, body)
	if errors.Is(err, ErrDefinitions) {
		c.fatal = err
	}
	return err
}

// Write implements Codec.
func (c *framed) Write(h *Header, body any) error {
	buffer, start := c.begin()
	buffer = appendFrame(buffer, h, body != nil)
	header := len(buffer) - start
	room, err := c.room(header)
	if err != nil {
		return err
	}
	defer c.drop() // if Write fails, or the value's encoder panics or ends the goroutine
	if body != nil {
		if buffer, err = c.append(buffer, body, room); err != nil {
			return wire.WithHeader(err, header)
		}
	}
	message := buffer[start:]
	if err := c.fits(message); err != nil {
		return err
	}
	if len(message) > math.MaxInt32 {
		return wire.TooLarge(len(message), math.MaxInt32)
	}
	binary.BigEndian.PutUint32(message, uint32(len(message)-lengthBytes))
	c.sent(message)
	return c.send(buffer, start)
}
