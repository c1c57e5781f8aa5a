package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
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

	unknownCode = 2 // the Code of an error that has none
)

// maxPairs limits the pairs of metadata in a frame. The limits of the core,
// which counts them later, are lower.
const maxPairs = 1 << 10

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

// parse reads a frame behind its length. Of a frame of an unknown kind it reads
// only the kind and the seq: the core ignores such messages.
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
			h.frame.Code = unknownCode // 0 would mean success
		}
	}
	if flags&flagMetadata != 0 {
		h.frame.Metadata = p.pairs()
	}
	if flags&flagBody != 0 {
		c.body = slices.Clip(p.data) // a user's decoder may append to it
	}
	return p.err
}

// A parser takes fields off the front of a frame. After its first error data is
// empty, and all that it returns is zero.
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
