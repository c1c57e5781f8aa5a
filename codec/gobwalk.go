package codec

import "fmt"

// maxGobDepth limits how deep values are nested: each level costs a decoder
// some stack, of which a process has not much. It is that of encoding/json.
// Writers keep to it, too, but count a little more generously: they leave out
// what can't nest.
const (
	maxGobDepth     = 10_000
	maxGobReadDepth = maxGobDepth + 100
)

// maxGobFields is more fields than a struct has.
const maxGobFields = 1 << 20

// A gobSource shows the sections of a gob stream one by one.
type gobSource interface {
	// section returns the section at offset off without its length, and the
	// offset of the next one. It is valid until the next call.
	section(off int) (payload []byte, next int, err error)
}

// A gobValue is a value on a gob stream.
type gobValue struct {
	start, end int       // its offsets; definitions in front of it are left out
	edits      []gobEdit // what makes one section of it, without definitions; none: it is that
	removed    int       // how many bytes shorter they make it
	err        error     // why the value can't be decoded; the stream goes on
}

// A gobEdit replaces bytes of a stream by a length, or removes them.
type gobEdit struct {
	start, end int
	length     int // 0: none
}

// in returns the value's section, where stream is all that was scanned.
func (v *gobValue) in(stream []byte) []byte {
	if len(v.edits) == 0 {
		return stream[v.start:v.end]
	}
	return v.appendTo(make([]byte, 0, v.end-v.start-v.removed), stream)
}

// appendTo appends the value's section to b.
func (v *gobValue) appendTo(b, stream []byte) []byte {
	at := v.start
	for _, e := range v.edits {
		b = append(b, stream[at:e.start]...)
		if e.length > 0 {
			b = appendPlainUint(b, uint64(e.length))
		}
		at = e.end
	}
	return append(b, stream[at:v.end]...)
}

// A gobWalk goes through one value, up to its end and no further. On the way
// it notes the definitions, and how to take them out of the value.
type gobWalk struct {
	schema *gobSchema
	src    gobSource
	next   int    // offset of the next section
	in     []byte // what is left of this one
	err    error
	lost   error // of src or a definition: the stream can't go on

	definitions []byte    // those that are new, in sections of their own
	edits       []gobEdit // in order
	removed     int       // by the edits
	depth       int
}

// scan finds the value at offset off of src, and returns the definitions that
// come with it, to be given to the decoder first. A value that is known to hold
// no definitions, and to be as it should, is not walked. An error ends the stream.
func (s *gobSchema) scan(src gobSource, off int, known bool) (v gobValue, definitions []byte, err error) {
	payload, next, err := src.section(off)
	if err != nil {
		return v, nil, err
	}
	if id, _, _, err := parseGobUint(payload); err == nil && id&1 == 0 && s.flat(int(id>>1)) {
		return gobValue{start: off, end: next}, nil, nil
	}
	w := gobWalk{schema: s, src: src, in: payload, next: next}
	v.start = off
	header := w.lengthFrom(off)
	id := w.int()
	for id < 0 && w.err == nil {
		w.define(-id)
		if len(w.in) > 0 {
			w.fail("bytes behind a gob type definition")
			w.lost = w.err
		}
		v.start = w.next
		w.advance()
		header = w.lengthFrom(v.start)
		id = w.int()
	}
	if !known && !s.flat(id) {
		w.whole(id, header)
	}
	v.end, v.err, v.edits, v.removed = w.next, w.err, w.edits, w.removed
	return v, w.definitions, w.lost
}

// whole walks the value of a section, behind its type. What a nil pointer
// leaves of a struct is nothing at all: the section ends where it would begin.
func (w *gobWalk) whole(id int, header gobEdit) {
	if t := w.schema.types[id]; len(w.in) == 0 && t != nil && t.kind == gobStruct {
		return
	}
	frame := w.open(header)
	w.value(id)
	if len(w.in) > 0 {
		w.fail("bytes behind a gob value")
	}
	w.close(frame)
}

// offset returns where the walk is.
func (w *gobWalk) offset() int { return w.next - len(w.in) }

// lengthFrom returns the edit that replaces a length which starts at offset
// start and has just been read.
func (w *gobWalk) lengthFrom(start int) gobEdit { return gobEdit{start: start, end: w.offset()} }

// A gobFrame is bytes behind their length.
type gobFrame struct {
	edit    int // the length's
	removed int // before them
}

// open begins a frame. Its length is going to change if there is a definition
// in the frame.
func (w *gobWalk) open(length gobEdit) gobFrame {
	w.edits = append(w.edits, length)
	return gobFrame{len(w.edits) - 1, w.removed}
}

// close ends a frame, and leaves its length alone if there was no definition.
func (w *gobWalk) close(f gobFrame) {
	if len(w.edits) == f.edit+1 {
		w.edits = w.edits[:f.edit]
		return
	}
	e := &w.edits[f.edit]
	e.length = w.offset() - e.end - (w.removed - f.removed)
	w.removed += e.end - e.start - plainUintBytes(uint64(e.length))
}

// cut removes what has been walked since offset start.
func (w *gobWalk) cut(start int) {
	w.edits = append(w.edits, w.lengthFrom(start))
	w.removed += w.offset() - start
}

// fail ends the walk. After that there is nothing more to read.
func (w *gobWalk) fail(why string) { w.failWith(fmt.Errorf("%w: %s", ErrCorrupt, why)) }

func (w *gobWalk) failWith(err error) {
	if w.in = nil; w.err == nil {
		w.err = err
	}
}

// advance goes to the next section.
func (w *gobWalk) advance() {
	if w.err != nil {
		return
	}
	payload, next, err := w.src.section(w.next)
	if err != nil {
		w.failWith(err)
		w.lost = err
		return
	}
	w.in, w.next = payload, next
}

// take takes n bytes.
func (w *gobWalk) take(n uint64) (taken []byte) {
	if n > uint64(len(w.in)) {
		w.fail("gob value cut short")
		return nil
	}
	taken = w.in[:n]
	w.in = w.in[n:]
	return taken
}

func (w *gobWalk) uint() uint64 {
	if len(w.in) > 0 && w.in[0] < 0x80 {
		x := w.in[0]
		w.in = w.in[1:]
		return uint64(x)
	}
	x, n, need, err := parseGobUint(w.in)
	if need > 0 || err != nil {
		w.fail("gob integer cut short")
		return 0
	}
	w.in = w.in[n:]
	return x
}

// int takes a signed integer, whose sign is the lowest bit of an unsigned one.
func (w *gobWalk) int() int { return int(signed(w.uint())) }

// fields takes the fields of a struct. Each is announced by how far its number
// is from the last one's; zero ends the struct.
func (w *gobWalk) fields(f func(field int)) {
	for field := -1; w.err == nil; {
		delta := w.uint()
		if delta == 0 {
			return
		}
		if delta > maxGobFields {
			w.fail("gob field out of range")
			return
		}
		field += int(delta)
		f(field)
	}
}

// define reads a definition, for the schema and for the decoder.
func (w *gobWalk) define(id int) {
	section := w.in
	fresh := w.schema.define(id, w)
	if w.err != nil {
		w.lost = w.err
		return
	}
	if fresh {
		definition := section[:len(section)-len(w.in)]
		d := appendPlainUint(w.definitions, uint64(plainIntBytes(int64(-id))+len(definition)))
		w.definitions = append(appendPlainInt(d, int64(-id)), definition...)
	}
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
	if w.depth >= maxGobReadDepth {
		w.failWith(errTooDeep)
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
	case len(t.parts) == 1 && gobBool <= t.parts[0] && t.parts[0] <= gobFloat:
		w.numbers(w.uint())
	default: // an array, a slice or a map; its entries take a byte at least
		for n := w.uint(); n > 0 && w.err == nil; n-- {
			for _, part := range t.parts {
				w.part(part)
			}
		}
	}
}

// numbers walks n numbers. Large values are full of them.
func (w *gobWalk) numbers(n uint64) {
	if w.err != nil {
		return
	}
	in := w.in
	for ; n > 0; n-- {
		size := 1
		if len(in) > 0 && in[0] >= 0x80 { // the negated number of bytes that follow
			size = 1 - int(int8(in[0]))
		}
		if size > len(in) || size > 9 {
			w.fail("gob integer cut short")
			return
		}
		in = in[size:]
	}
	w.in = in
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
	start := w.offset()
	id := w.int()
	for id < 0 && w.err == nil {
		w.define(-id)
		if len(w.in) == 0 {
			w.advance()
		} else {
			w.uint()
		}
		w.cut(start)
		start = w.offset()
		id = w.int()
	}
	start = w.offset()
	w.uint()
	frame := w.open(w.lengthFrom(start))
	w.value(id)
	w.close(frame)
}

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
