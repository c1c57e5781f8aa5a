package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"geerpc/internal/wire"
)

// The framed layout. All integers without a size are unsigned varints (see
// encoding/binary), a string is its length and its bytes.
//
//	length   4 bytes, big-endian: how many bytes follow
//	kind     1 byte
//	flags    1 byte
//	seq
//	Call:    method; flagTimeout: nanoseconds left
//	Reply:   flagError: code, where, ran (a byte each), text
//	both:    flagMetadata: number of pairs, then key and value of each
//	body     the rest
const (
	lengthBytes = 4

	flagBody     = 1 << 0 // there is a body, of zero bytes perhaps
	flagTimeout  = 1 << 1
	flagError    = 1 << 2
	flagMetadata = 1 << 3

	unknownCode = 2 // a Frame's Code of an error that says nothing else
)

// maxNames is how many method names a connection remembers, so that they are
// not allocated call after call.
const maxNames = 256

// maxPairs limits the pairs of metadata in a frame before they are counted by
// the core, whose own limits are lower.
const maxPairs = 1 << 10

// Framed makes a codec of a serializer: marshal returns the bytes of a value,
// unmarshal fills the value that a pointer points to. Marshal is given the args
// of a call as the caller passed them, T or *T, and its reply as a pointer. The
// bytes that unmarshal is given are valid only during the call: it copies what
// is to stay. Those that marshal returns are copied. Neither function keeps a
// pointer to the value, or into it.
//
// A nil body is sent as no bytes at all and neither function sees it.
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
	// append encodes v behind dst, in at most room bytes (0: no limit).
	append(dst []byte, v any, room int) ([]byte, error)

	// sent says that the message with what was appended is being sent, drop
	// that it isn't, unless sent has been called.
	sent(message []byte)
	drop()

	// decode decodes data into v, or skips it if v is nil.
	decode(data []byte, v any) error
}

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
// bodies, so that neither a bad value nor an unknown kind of message disturbs
// the next one.
type framed struct {
	stream
	bodies
	body  []byte            // of the message being read; nil if it has none
	names map[string]string // methods called so far, to allocate each name once
	last  string            // the latest of them
	fatal error             // ends the stream with the next ReadHeader
}

// Extend implements Extended: a framed codec transmits whole headers as it is.
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
		return fmt.Errorf("%w: %d bytes, allowed are %d", ErrTooLarge, length, c.conn.MaxRead)
	}
	message, err := c.conn.Peek(lengthBytes + int(length))
	if err != nil {
		return err
	}
	c.message = len(message)
	return c.parse(message[lengthBytes:], h)
}

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
	message := appendFrame(c.scratch[:0], h, body != nil)
	room, err := c.room(len(message))
	if err != nil {
		return err
	}
	defer c.drop() // if it fails, ends the goroutine or panics
	if body != nil {
		if message, err = c.append(message, body, room); err != nil {
			return err
		}
	}
	if err := c.fits(message); err != nil {
		return err
	}
	if len(message) > math.MaxInt32 {
		return wire.TooLarge(len(message), math.MaxInt32)
	}
	binary.BigEndian.PutUint32(message, uint32(len(message)-lengthBytes))
	c.sent(message)
	return c.send(message)
}

// appendFrame appends a frame without its body, and room for its length.
func appendFrame(b []byte, h *Header, body bool) []byte {
	f := &h.frame
	failed := h.Error != "" || f.Code != 0
	flags := flag(body, flagBody) | flag(f.Kind == Call && f.Timeout > 0, flagTimeout) |
		flag(f.Kind == Reply && failed, flagError) | flag(len(f.Metadata) > 0, flagMetadata)
	b = append(b, 0, 0, 0, 0, byte(f.Kind), flags)
	b = binary.AppendUvarint(b, h.Seq)
	if f.Kind == Call {
		b = appendString(b, h.ServiceMethod)
	}
	if flags&flagTimeout != 0 {
		b = binary.AppendUvarint(b, uint64(f.Timeout))
	}
	if flags&flagError != 0 {
		b = append(b, f.Code, f.Where, f.Ran)
		b = appendString(b, h.Error)
	}
	if flags&flagMetadata != 0 {
		b = binary.AppendUvarint(b, uint64(len(f.Metadata)))
		for k, v := range f.Metadata {
			b = appendString(appendString(b, k), v)
		}
	}
	return b
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parse reads a frame behind its length. A frame of an unknown kind is passed
// on with its kind alone, for the core to ignore.
func (c *framed) parse(frame []byte, h *Header) error {
	*h = Header{}
	c.body = nil
	p := parser{data: frame}
	h.frame.Kind = Kind(p.byte())
	flags := p.byte()
	h.Seq = p.uvarint()
	if h.frame.Kind > Pong {
		return p.err
	}
	if h.frame.Kind == Call {
		h.ServiceMethod = c.name(p.bytes())
	}
	if flags&flagTimeout != 0 {
		h.frame.Timeout = int64(min(p.uvarint(), math.MaxInt64))
	}
	if flags&flagError != 0 {
		h.frame.Code, h.frame.Where, h.frame.Ran = p.byte(), p.byte(), p.byte()
		h.Error = string(p.bytes())
		if h.frame.Code == 0 {
			h.frame.Code = unknownCode // no error is "OK"
		}
	}
	if flags&flagMetadata != 0 {
		h.frame.Metadata = p.pairs()
	}
	if flags&flagBody != 0 {
		c.body = p.data
	}
	return p.err
}

// name returns b as a string, the same string as the last time where it can.
func (c *framed) name(b []byte) string {
	if string(b) == c.last {
		return c.last
	}
	s, known := c.names[string(b)]
	if !known {
		s = string(b)
		c.remember(s)
	}
	if len(s) <= maxNames { // what a peer makes up is not to stay
		c.last = s
	}
	return s
}

func (c *framed) remember(name string) {
	if len(c.names) >= maxNames || len(name) > maxNames {
		return
	}
	if c.names == nil {
		c.names = make(map[string]string)
	}
	c.names[name] = name
}

// A parser takes fields off the front of a frame. After a first error all that
// follows is zero.
type parser struct {
	data []byte
	err  error
}

func (p *parser) fail() {
	p.data, p.err = nil, fmt.Errorf("%w: frame header cut short", ErrCorrupt)
}

func (p *parser) byte() byte {
	if len(p.data) == 0 {
		p.fail()
		return 0
	}
	b := p.data[0]
	p.data = p.data[1:]
	return b
}

func (p *parser) uvarint() uint64 {
	x, n := binary.Uvarint(p.data)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.data = p.data[n:]
	return x
}

func (p *parser) bytes() []byte {
	n := p.uvarint()
	if n > uint64(len(p.data)) {
		p.fail()
		return nil
	}
	b := p.data[:n]
	p.data = p.data[n:]
	return b
}

func (p *parser) pairs() map[string]string {
	n := p.uvarint()
	if n > maxPairs {
		p.fail()
		return nil
	}
	m := make(map[string]string)
	for range n {
		k := string(p.bytes())
		m[k] = string(p.bytes())
	}
	return m
}
