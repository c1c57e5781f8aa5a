package codec

import (
	"encoding/gob"
	"fmt"
	"io"
	"reflect"
	"sync"

	"geerpc/internal/wire"
)

// maxDefinitionBytes limits the type definitions that a peer may send on one
// connection: a gob.Decoder keeps them all.
const maxDefinitionBytes = 64 << 10

// A gobWriter appends gob values to a buffer, as one persistent stream.
//
// On such a stream a type is defined once, before its first value. A value
// that turns out not to be encodable, or to be too large, must therefore not
// take definitions with it when it is dropped. So a value whose encoding may
// define types is encoded beside the stream first: one of a type that is new
// to the stream, or one that may hold anything in an interface.
type gobWriter struct {
	enc     *gob.Encoder
	out     []byte
	defined map[reflect.Type]bool // types that can't define anything any more
	last    reflect.Type          // the latest of them
	broken  error                 // definitions were lost; nothing can follow
}

// Write implements io.Writer for the encoder.
func (g *gobWriter) Write(p []byte) (int, error) {
	g.out = append(g.out, p...)
	return len(p), nil
}

// prepare makes sure that v can be encoded within room bytes (0: no limit), if
// encoding it may define types. It reports whether it can't.
func (g *gobWriter) prepare(v any, room int) (settled bool, err error) {
	if g.broken != nil {
		return false, g.broken
	}
	if t := reflect.TypeOf(v); t == g.last {
		return true, nil
	} else if g.defined[t] {
		g.last = t
		return true, nil
	}
	var n counter
	if err := encodeGob(gob.NewEncoder(&n), v); err != nil {
		return false, err
	}
	if wire.Exceeds(int(n), room) {
		return false, tooLarge(int(n), room)
	}
	return false, nil
}

// encode appends v, which has been prepared, to dst. If it fails, nothing has
// been appended.
func (g *gobWriter) encode(dst []byte, v any, settled bool) ([]byte, error) {
	if g.enc == nil {
		g.enc = gob.NewEncoder(g)
		g.defined = make(map[reflect.Type]bool)
	}
	start := len(dst)
	g.out = dst
	err := encodeGob(g.enc, v)
	dst, g.out = g.out, nil
	switch t := reflect.TypeOf(v); {
	case err == nil:
		if !settled && !holdsInterface(t) {
			g.defined[t] = true
		}
		return dst, nil
	case !settled: // it went well a moment ago
		g.broken = fmt.Errorf("gob stream lost its type definitions: %w", err)
	}
	return dst[:start], err
}

// encodeGob turns the encoder's panics (a nil pointer, a user's GobEncode)
// into errors: they must cost one call, not the process.
func encodeGob(enc *gob.Encoder, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: encoding %T panicked: %v", v, p)
		}
	}()
	return enc.Encode(v)
}

// A counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// A gobReader decodes gob values from byte slices that each hold one whole
// value and the definitions before it, as one persistent stream.
type gobReader struct {
	dec *gob.Decoder
	in  gobInput
}

// decode decodes the value in data into v, or skips it if v is nil.
// Whatever happens, data is consumed, and the definitions in it are learnt.
func (g *gobReader) decode(data []byte, v any) (err error) {
	if g.dec == nil {
		g.dec = gob.NewDecoder(&g.in)
	}
	g.in = data
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: decoding into %T panicked: %v", v, p)
		}
		g.in = nil
	}()
	err = g.dec.Decode(v)
	if err != nil && len(g.in) > 0 {
		g.dec.DecodeValue(reflect.Value{}) // v was unfit, and data has not been looked at
	}
	if err == nil && len(g.in) > 0 {
		err = fmt.Errorf("%w: %d bytes behind the gob value", ErrCorrupt, len(g.in))
	}
	return err
}

// A gobInput is the bytes of one value. It is an io.ByteReader, so that the
// decoder takes it as it is and reads nothing ahead.
type gobInput []byte

// Read implements io.Reader.
func (b *gobInput) Read(p []byte) (int, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, *b)
	*b = (*b)[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (b *gobInput) ReadByte() (byte, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	c := (*b)[0]
	*b = (*b)[1:]
	return c, nil
}

// gobSection describes the gob section at the start of some bytes, a length
// and as many bytes, which either define a type or hold a value.
type gobSection struct {
	size       int  // with its length
	definition bool // and not a value
}

// parseGobSection reads the start of a section. If data is too short to tell,
// it returns how many bytes are needed at least.
// See "Encoding Details" in the documentation of encoding/gob.
func parseGobSection(data []byte) (s gobSection, need int, err error) {
	lengthSize, err := gobUintSize(data, 0)
	if err != nil || len(data) <= lengthSize {
		return s, lengthSize + 1, err
	}
	idSize, err := gobUintSize(data, lengthSize)
	if err != nil || len(data) < lengthSize+idSize {
		return s, lengthSize + idSize, err
	}
	length, id := gobUint(data[:lengthSize]), gobUint(data[lengthSize:lengthSize+idSize])
	if length == 0 || length > 1<<40 {
		return s, 0, fmt.Errorf("%w: gob section of %d bytes", ErrCorrupt, length)
	}
	// The id is a signed integer, whose lowest bit is the sign.
	return gobSection{size: lengthSize + int(length), definition: id&1 == 1}, 0, nil
}

// gobUintSize returns how many bytes the unsigned integer at data[at] takes: a
// byte below 128, or the negated number of bytes that follow.
func gobUintSize(data []byte, at int) (int, error) {
	if at >= len(data) || data[at] < 0x80 {
		return 1, nil
	}
	n := -int(int8(data[at]))
	if n > 8 {
		return 0, fmt.Errorf("%w: gob integer of %d bytes", ErrCorrupt, n)
	}
	return 1 + n, nil
}

// gobUint returns the unsigned integer that data consists of.
func gobUint(data []byte) (x uint64) {
	if len(data) == 1 {
		return uint64(data[0])
	}
	for _, b := range data[1:] {
		x = x<<8 | uint64(b)
	}
	return x
}

// errDefinitions ends a connection on which a peer defines types without end.
var errDefinitions = fmt.Errorf("%w: more than %d bytes of gob type definitions on one connection",
	ErrTooLarge, maxDefinitionBytes)

// definitionBudget counts a peer's type definitions against their limit.
type definitionBudget int

func (used *definitionBudget) spend(n int) error {
	if *used += definitionBudget(n); *used > maxDefinitionBytes {
		return errDefinitions
	}
	return nil
}

var interfaceHolders sync.Map // reflect.Type → bool

// holdsInterface tells whether a value of type t may hold an interface value
// somewhere, and with it a type that gob defines on the way.
func holdsInterface(t reflect.Type) bool {
	if known, ok := interfaceHolders.Load(t); ok {
		return known.(bool)
	}
	found := findInterface(t, make(map[reflect.Type]bool))
	interfaceHolders.Store(t, found)
	return found
}

func findInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return findInterface(t.Key(), seen) || findInterface(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if findInterface(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
