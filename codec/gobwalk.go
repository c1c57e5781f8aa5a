package codec

import (
	"encoding/binary"
	"fmt"
)

// maxGobDepth limits how deep values are nested: each level costs a decoder
// some stack, of which a process has not much. It is that of encoding/json.
const maxGobDepth = 10000

// reservedLength stands where a length is filled in later, as an integer of
// four bytes.
var reservedLength = [...]byte{0xfc, 0, 0, 0, 0}

// A gobSource shows the sections of a gob stream one by one.
type gobSource interface {
	// section returns the section at offset off without its length, and the
	// offset of the next one. It is valid until the next call.
	section(off int) (payload []byte, next int, err error)
}

// A gobValue is a value on a gob stream.
type gobValue struct {
	start, end int    // its offsets; definitions in front of it are left out
	joined     []byte // the value in one section, if the stream has it in several
	err        error  // why the value can't be decoded; the stream goes on
}

// in returns the value's section, where stream is all that was scanned.
func (v *gobValue) in(stream []byte) []byte {
	if v.joined != nil {
		return v.joined
	}
	return stream[v.start:v.end]
}

// A gobWalk goes through one value, up to its end and no further. On the way
// it takes the definitions out.
type gobWalk struct {
	schema *gobSchema
	src    gobSource
	next   int    // offset of the next section
	in     []byte // what is left of this one
	err    error
	lost   error // of src or a definition: the stream can't go on

	definitions []byte // those met, in sections of their own
	out         []byte // the value so far, without them
	split       bool   // there were some in its midst
	depth       int
}

// scan finds the value at offset off of src, and returns the definitions that
// come with it, to be given to the decoder first. An error ends the stream.
func (s *gobSchema) scan(src gobSource, off int) (v gobValue, definitions []byte, err error) {
	payload, next, err := src.section(off)
	if err != nil {
		return v, nil, err
	}
	if id, _, _, err := parseGobUint(payload); err == nil && id&1 == 0 && s.flat(int(id>>1)) {
		return gobValue{start: off, end: next}, nil, nil
	}
	w := gobWalk{schema: s, src: src, in: payload, next: next}
	v.start = off
	id := w.int()
	for id < 0 && w.err == nil {
		w.define(-id)
		if len(w.in) > 0 {
			w.fail("bytes behind a gob type definition")
			w.lost = w.err
		}
		v.start = w.next
		w.advance()
		id = w.int()
	}
	if !s.flat(id) {
		w.whole(id)
	}
	v.end, v.err = w.next, w.err
	if w.split {
		v.joined = w.out
	}
	return v, w.definitions, w.lost
}

// whole walks the value of a section, behind its type.
func (w *gobWalk) whole(id int) {
	if w.err != nil {
		return
	}
	w.out = append([]byte(nil), reservedLength[:]...)
	w.out = appendGobInt(w.out, id)
	w.value(id)
	if len(w.in) > 0 {
		w.fail("bytes behind a gob value")
	}
	w.fillIn(0)
}

// fillIn fills in the length that was reserved at offset at of the output.
func (w *gobWalk) fillIn(at int) {
	start := at + len(reservedLength)
	binary.BigEndian.PutUint32(w.out[start-4:], uint32(len(w.out)-start))
}

// fail ends the walk. After that there is nothing more to read.
func (w *gobWalk) fail(why string) {
	if w.in = nil; w.err == nil {
		w.err = fmt.Errorf("%w: %s", ErrCorrupt, why)
	}
}

// advance goes to the next section.
func (w *gobWalk) advance() {
	if w.err != nil {
		return
	}
	payload, next, err := w.src.section(w.next)
	if err != nil {
		w.in, w.err, w.lost = nil, err, err
		return
	}
	w.in, w.next = payload, next
}

// take takes n bytes and puts them out.
func (w *gobWalk) take(n uint64) (taken []byte) {
	if n > uint64(len(w.in)) {
		w.fail("gob value cut short")
		return nil
	}
	taken = w.in[:n]
	w.out = append(w.out, taken...)
	w.in = w.in[n:]
	return taken
}

func (w *gobWalk) uint() uint64 {
	x, n, need, err := parseGobUint(w.in)
	if need > 0 || err != nil {
		w.fail("gob integer cut short")
		return 0
	}
	w.take(uint64(n))
	return x
}

// int takes a signed integer, whose sign is the lowest bit of an unsigned one.
func (w *gobWalk) int() int {
	return int(signed(w.uint()))
}

func appendGobInt(b []byte, i int) []byte {
	x := uint64(i) << 1
	if i < 0 {
		x = ^x
	}
	return binary.BigEndian.AppendUint64(append(b, 0xf8), x)
}

// fields takes the fields of a struct. Each is announced by how far its number
// is from the last one's; zero ends the struct.
func (w *gobWalk) fields(f func(field int)) {
	for field := -1; w.err == nil; {
		delta := w.uint()
		if delta == 0 {
			return
		}
		if delta > maxDefinitionBytes {
			w.fail("gob field out of range")
			return
		}
		field += int(delta)
		f(field)
	}
}

// define takes a definition out, for the schema and for the decoder.
func (w *gobWalk) define(id int) {
	section, out := w.in, w.out
	w.schema.define(id, w)
	w.out = out
	if w.err != nil {
		w.lost = w.err
		return
	}
	d := w.definitions
	start := len(d)
	d = append(d, reservedLength[:]...)
	d = appendGobInt(d, -id)
	d = append(d, section[:len(section)-len(w.in)]...)
	binary.BigEndian.PutUint32(d[start+1:], uint32(len(d)-start-len(reservedLength)))
	w.definitions = d
}

// value walks a value that stands alone: in a section or in an interface.
func (w *gobWalk) value(id int) {
	if t := w.schema.types[id]; t == nil || t.kind != gobStruct {
		w.uint() // what would be a field's number
	}
	w.part(id)
}

// part walks a value that is part of another.
func (w *gobWalk) part(id int) {
	if w.depth >= maxGobDepth {
		w.fail("gob value nested too deep")
	}
	if w.err != nil {
		return
	}
	w.depth++
	switch id {
	case gobBool, gobInt, gobUint, gobFloat:
		w.uint()
	case gobComplex:
		w.uint()
		w.uint()
	case gobBytes, gobString:
		w.take(w.uint())
	case gobInterface:
		w.dynamic()
	default:
		w.composite(w.schema.types[id])
	}
	w.depth--
}

func (w *gobWalk) composite(t *gobType) {
	switch {
	case t == nil:
		w.fail("value of an undefined gob type")
	case t.kind == gobStruct:
		w.fields(func(field int) {
			if field >= len(t.parts) {
				w.fail("gob field out of range")
				return
			}
			w.part(t.parts[field])
		})
	case t.kind >= gobEncoder:
		w.take(w.uint())
	default: // an array, a slice or a map; its entries take a byte at least
		for n := w.uint(); n > 0 && w.err == nil; n-- {
			for _, part := range t.parts {
				w.part(part)
			}
		}
	}
}

// dynamic walks an interface: the name of the type, its definitions if they
// are new, its id, the length of the value and the value. Behind a definition
// either the section ends or the length of the rest comes.
func (w *gobWalk) dynamic() {
	name := w.uint()
	if name == 0 {
		return
	}
	w.take(name)
	start := len(w.out)
	id := w.int()
	for id < 0 && w.err == nil {
		w.split = true
		w.define(-id)
		if len(w.in) == 0 {
			w.advance()
		} else {
			w.uint()
		}
		w.out = w.out[:start]
		id = w.int()
	}
	w.out = appendGobInt(w.out[:start], id)
	w.uint()
	start += gobIDBytes
	w.out = append(w.out[:start], reservedLength[:]...)
	w.value(id)
	if w.err == nil {
		w.fillIn(start)
	}
}

// gobIDBytes is what appendGobInt appends.
const gobIDBytes = 9

// gobSections is a gobSource of bytes that are all there.
type gobSections []byte

func (s *gobSections) section(off int) (payload []byte, next int, err error) {
	length, n, need, err := parseGobLength((*s)[off:])
	switch {
	case err != nil:
		return nil, 0, err
	case need > 0 || length > len(*s)-off-n:
		return nil, 0, errCutShort
	}
	next = off + n + length
	return (*s)[off+n : next], next, nil
}

var errCutShort = fmt.Errorf("%w: gob value cut short", ErrCorrupt)
