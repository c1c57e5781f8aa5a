package gobstream

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"geerpc/internal/wire"
)

// An output is what the plans of a value write to.
type output struct {
	b     []byte
	start int   // of the value in b
	room  int   // bytes that the value may take; beyond, it is given up
	depth int   // of values that may be nested without limit
	err   error // the first one; what follows in b is of no use
}

func (o *output) uint(x uint64) { o.b = appendUint(o.b, x) }

func (o *output) bytes(s []byte) { o.b = append(appendUint(o.b, uint64(len(s))), s...) }

func (o *output) string(s string) { o.b = append(appendUint(o.b, uint64(len(s))), s...) }

func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// ended reports whether the value is given up.
func (o *output) ended() bool {
	if len(o.b)-o.start > o.room {
		o.tooLarge()
	}
	return o.err != nil
}

func (o *output) tooLarge() {
	o.fail(wire.MoreThan(o.room))
}

// idOf returns the id of the type of a section's value.
func idOf(section []byte) int {
	c := cursor{data: section}
	c.uint() // the section's length
	return c.int()
}

// appendSection appends a section with the value at an address, which may take room
// bytes (0: any number).
func (t *writtenType) appendSection(b []byte, at address, room int) (_ []byte, err error) {
	defer func() {
		if r := recover(); r != nil { // a user's encoder
			err = fmt.Errorf("gob: encoding %s panicked: %v", t.plan.t, r)
		}
	}()
	if room == 0 {
		room = math.MaxInt
	}
	var length [9]byte
	o := output{b: append(b, length[:t.lengthSize]...), start: len(b), room: room} // a guess, at first
	o.uint(toUnsigned(int64(t.id)))
	if t.plan.form != structForm {
		o.b = append(o.b, 0) // where a struct has its first field's number
	}
	t.plan.write(&o, at, inside)
	if o.err != nil {
		return b, o.err
	}
	whole, section := o.b, o.b[len(b)+t.lengthSize:]
	if size := sizeOfUint(uint64(len(section))); size != t.lengthSize { // move the section
		whole = append(whole[:len(b)+size], section...)
		t.lengthSize = size
	}
	appendUint(whole[:len(b)], uint64(len(section))) // in its place
	return whole, nil
}

// inside, in place of the distance between two fields' numbers, is for a value that is
// no field: an element, a key, or one that stands alone.
const inside = 0

// write writes the value at an address. That of a field has delta in front, the distance
// of its number from that of the field before it; like gob, write writes nothing at all
// for most zero values, and reports false.
func (p *plan) write(o *output, at address, delta int) (written bool) {
	if p.form == pointerForm {
		return p.writePointer(o, at, delta)
	}
	if delta != inside {
		if p.omits(at) {
			return false
		}
		o.uint(uint64(delta))
	}
	switch p.form {
	case boolID, intID, uintID, floatID:
		o.uint(at.load(p.kind))
	case complexID:
		o.uint(at.load(p.kind))
		o.uint(at.plus(p.size / 2).load(p.kind))
	case stringID:
		o.string(*at.string())
	case bytesID:
		o.bytes(*at.bytes())
	case coderForm:
		data, err := p.coder.encode(p.coder.pointerTo(at))
		if err != nil {
			o.fail(err)
		}
		o.bytes(data)
	case textMapForm:
		o.uint(uint64(len(*at.texts())))
		for key, elem := range *at.texts() {
			if o.ended() {
				break
			}
			o.string(key)
			o.string(elem)
		}
	default:
		p.writeParts(o, at)
	}
	return true
}

// omits reports whether gob leaves out a field with the value at an address.
func (p *plan) omits(at address) bool {
	switch p.form {
	case boolID, intID, uintID:
		return at.load(p.kind) == 0
	case floatID:
		return isZero(at.load(p.kind))
	case complexID:
		return isZero(at.load(p.kind)) && isZero(at.plus(p.size/2).load(p.kind))
	case stringID:
		return len(*at.string()) == 0
	case bytesID, sliceForm:
		return at.slice().length == 0
	case mapForm, textMapForm:
		return at.pointer().isNil()
	case coderForm:
		return !p.addressed && at.value(p.t).IsZero()
	}
	return false
}

// isZero reports whether x is sent for a zero with a floating point, or for a negative
// one.
func isZero(x uint64) bool { return toFloat(x) == 0 }

func (p *plan) writePointer(o *output, at address, delta int) (written bool) {
	to := *at.pointer()
	if to.isNil() {
		if delta == inside {
			o.fail(errNilElement)
		}
		return false
	}
	return p.elem.write(o, to, delta)
}

var errNilElement = errors.New("gob: a nil pointer in a slice, an array or a map can't be encoded")

// writeParts writes a value that has parts, which may be of its own type again, or hold
// the value itself.
func (p *plan) writeParts(o *output, at address) {
	if p.unbounded {
		if o.depth++; o.depth > maxDepth {
			o.fail(fmt.Errorf("%w: does it hold itself?", errTooDeep))
		}
	}
	switch {
	case o.ended():
	case p.form == structForm:
		p.writeFields(o, at)
	case p.form == sliceForm:
		s := at.slice()
		p.writeElements(o, s.first, s.length)
	case p.form == arrayForm:
		p.writeElements(o, at, p.t.Len())
	case p.form == mapForm:
		p.writeEntries(o, at)
	}
	if p.unbounded {
		o.depth--
	}
}

func (p *plan) writeFields(o *output, at address) {
	last := -1
	for number := range p.fields {
		f := &p.fields[number]
		if o.err != nil {
			return
		}
		if f.write(o, at.plus(f.offset), number-last) {
			last = number
		}
	}
	o.b = append(o.b, 0)
}

func (p *plan) writeElements(o *output, first address, n int) {
	o.uint(uint64(n))
	size := p.elem.size
	if p.elem.isNumber() {
		for i := 0; i < n && !o.ended(); i++ {
			o.uint(first.plus(uintptr(i) * size).load(p.elem.kind))
		}
		return
	}
	for i := 0; i < n && !o.ended(); i++ {
		p.elem.write(o, first.plus(uintptr(i)*size), inside)
	}
}

func (p *plan) writeEntries(o *output, at address) {
	m := at.value(p.t)
	o.uint(uint64(m.Len()))
	if m.Len() == 0 {
		return
	}
	key, elem := reflect.New(p.key.t), reflect.New(p.elem.t)
	for entries := m.MapRange(); entries.Next() && !o.ended(); {
		key.Elem().SetIterKey(entries)
		elem.Elem().SetIterValue(entries)
		p.key.write(o, addressOf(key), inside)
		p.elem.write(o, addressOf(elem), inside)
	}
}
