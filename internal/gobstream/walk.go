package gobstream

import (
	"fmt"

	"geerpc/internal/wire"
)

// maxDepth limits how deep values are nested, because a decoder needs stack for
// each level. It is the limit of encoding/json. A reader allows a little more
// than a writer, which does not count what can't nest.
const (
	maxDepth     = 10_000
	maxReadDepth = maxDepth + 100
)

// errTooDeep says which limit a value exceeds.
var errTooDeep = fmt.Errorf("%w, %d levels are allowed in gob", wire.ErrTooDeep, maxDepth)

// A walk goes through one value, to its end and no further. It collects the
// definitions, and the edits that take them out of the value.
type walk struct {
	cursor   // the rest of the current section
	schema   *schema
	sections sections
	next     int   // offset of the next section
	fatal    error // of the source or a definition: the stream can't go on

	definitions []byte // the new ones, each in a section of its own
	editor
}

// scan finds the value at offset off and returns the new definitions that come
// with it, which the decoder needs first. A trusted value is not walked: it
// comes from an encoder and has all definitions in front. An error ends the
// stream.
func (s *schema) scan(src sections, off int, trusted bool) (v Value, definitions []byte, err error) {
	section, next, err := src.at(off)
	if err != nil {
		return v, nil, err
	}
	if id, _, err := parseUint(section); err == nil && id&1 == 0 && s.flat(int(id>>1)) {
		return Value{start: off, end: next}, nil, nil
	}
	w := walk{cursor: cursor{data: section}, schema: s, sections: src, next: next}
	v.start = off
	lengthEnd := w.offset()
	id := w.int()
	for id < 0 && w.err == nil {
		w.define(-id)
		if w.left() > 0 {
			w.fail(corrupt("bytes behind a gob type definition"))
			w.fatal = w.err
		}
		v.start = w.next
		w.advance()
		lengthEnd = w.offset()
		id = w.int()
	}
	if !trusted && !s.flat(id) {
		w.section(id, v.start, lengthEnd)
	}
	v.end, v.err, v.edits, v.removed = w.next, w.err, w.edits, w.removed
	return v, w.definitions, w.fatal
}

// offset returns where on the stream the walk is.
func (w *walk) offset() int { return w.next - w.left() }

// advance goes to the next section.
func (w *walk) advance() {
	if w.err != nil {
		return
	}
	section, next, err := w.sections.at(w.next)
	if err != nil {
		w.fail(err)
		w.fatal = err
		return
	}
	w.data, w.off, w.next = section, 0, next
}

// define reads a definition for the schema, and for the decoder if it is new.
func (w *walk) define(id int) {
	rest := w.rest()
	added := w.schema.define(id, w)
	if w.err != nil {
		w.fatal = w.err
		return
	}
	if added {
		definition := rest[:len(rest)-w.left()]
		d := appendUint(w.definitions, uint64(sizeOfInt(int64(-id))+len(definition)))
		w.definitions = append(appendInt(d, int64(-id)), definition...)
	}
}

// section walks the value of a section whose length stands from start to end.
// For a pointer to a nil pointer to a struct gob sends no value at all: the
// section ends behind the id.
func (w *walk) section(id, start, end int) {
	if t := w.schema.types[id]; w.left() == 0 && t != nil && t.kind == structKind {
		return
	}
	f := w.open(start, end)
	w.value(id)
	if w.left() > 0 {
		w.fail(corrupt("bytes behind a gob value"))
	}
	w.close(f, w.offset())
}

// value walks a value that stands alone: in a section or inside an interface.
func (w *walk) value(id int) {
	if t := w.schema.types[id]; t == nil || t.kind != structKind {
		w.uint() // a zero, where a struct has its first field's number
	}
	w.part(id)
}

// part walks a value that is part of another.
func (w *walk) part(id int) {
	if w.depth >= maxReadDepth {
		w.fail(errTooDeep)
	}
	if w.err != nil {
		return
	}
	w.depth++
	switch id {
	case boolID, intID, uintID, floatID:
		w.uint()
	case complexID:
		w.uint()
		w.uint()
	case bytesID, stringID:
		w.take(w.uint())
	case interfaceID:
		w.dynamic()
	default:
		w.composite(w.schema.types[id])
	}
	w.depth--
}

func (w *walk) composite(t *typeDef) {
	switch {
	case t == nil:
		w.fail(corrupt("value of an undefined gob type"))
	case t.kind == structKind:
		w.fields(func(field int) {
			if field >= len(t.parts) {
				w.fail(corrupt("gob field out of range"))
				return
			}
			w.part(t.parts[field])
		})
	case t.kind >= encoderKind:
		w.take(w.uint())
	case len(t.parts) == 1 && boolID <= t.parts[0] && t.parts[0] <= floatID:
		w.numbers(w.uint())
	default: // an array, a slice or a map, whose entries take a byte each at least
		for n := w.uint(); n > 0 && w.err == nil; n-- {
			for _, id := range t.parts {
				w.part(id)
			}
		}
	}
}

// numbers walks n numbers, of which large values are full.
func (w *walk) numbers(n uint64) {
	if w.err != nil {
		return
	}
	data := w.rest()
	for ; n > 0; n-- {
		size := 1
		if len(data) > 0 && data[0] >= 0x80 { // the negated number of bytes that follow
			size = 1 - int(int8(data[0]))
		}
		if size > len(data) || size > 9 {
			w.fail(errIntegerCut)
			return
		}
		data = data[size:]
	}
	w.off = len(w.data) - len(data)
}

// dynamic walks an interface: the name of the dynamic type (none if the
// interface is nil), new definitions, the type's id, the length of the value
// and the value. A definition ends its section, or is followed by the length
// of the rest if it is inside another interface.
func (w *walk) dynamic() {
	name := w.uint()
	if name == 0 {
		return
	}
	w.take(name)
	start := w.offset()
	id := w.int()
	for id < 0 && w.err == nil {
		w.define(-id)
		if w.left() == 0 {
			w.advance()
		} else {
			w.uint()
		}
		w.remove(start, w.offset())
		start = w.offset()
		id = w.int()
	}
	start = w.offset()
	w.uint()
	f := w.open(start, w.offset())
	w.value(id)
	w.close(f, w.offset())
}
