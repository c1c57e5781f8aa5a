package gobstream

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"geerpc/internal/wire"
)

// An output is what the plans of a value write to.
type output struct {
	b     []byte
	room  int   // bytes that b may have; beyond, the value is given up
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

// idOf returns the id of the type of a section's value.
func idOf(section []byte) int {
	c := cursor{data: section}
	c.uint() // the section's length
	return c.int()
}

// appendSection appends a section with the value at an address, which may take room
// bytes (0: any number). The id is that of its type. LengthSize is how many bytes the
// section's length takes; what it says at first is a guess.
func (p *plan) appendSection(b []byte, id int, at unsafe.Pointer, room int, lengthSize *int) (_ []byte, err error) {
	defer func() {
		if r := recover(); r != nil { // a user's encoder
			err = fmt.Errorf("gob: encoding %s panicked: %v", p.t, r)
		}
	}()
	var length [9]byte
	o := output{b: append(b, length[:*lengthSize]...), room: math.MaxInt}
	if room > 0 {
		o.room = len(b) + room
	}
	o.uint(toUnsigned(int64(id)))
	if p.form != structForm {
		o.b = append(o.b, 0) // where a struct has its first field's number
	}
	p.write(&o, at, inside)
	if o.err != nil {
		return b, o.err
	}
	whole, section := o.b, o.b[len(b)+*lengthSize:]
	if size := sizeOfUint(uint64(len(section))); size != *lengthSize { // move the section
		whole = append(whole[:len(b)+size], section...)
		*lengthSize = size
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
func (p *plan) write(o *output, at unsafe.Pointer, delta int) (written bool) {
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
		o.uint(p.load(at))
	case complexID:
		o.uint(p.load(at))
		o.uint(p.load(p.imaginary(at)))
	case stringID:
		o.string(*(*string)(at))
	case bytesID:
		o.bytes(*(*[]byte)(at))
	case coderForm:
		data, err := p.coder.encode(p.coder.address(at))
		if err != nil {
			o.fail(err)
		}
		o.bytes(data)
	case textMapForm:
		o.uint(uint64(len(*(*map[string]string)(at))))
		for key, elem := range *(*map[string]string)(at) {
			o.string(key)
			o.string(elem)
		}
	default:
		p.writeParts(o, at)
	}
	return true
}

// omits reports whether gob leaves out a field with the value at an address.
func (p *plan) omits(at unsafe.Pointer) bool {
	switch p.form {
	case boolID, intID, uintID:
		return p.load(at) == 0
	case floatID:
		return isZero(p.load(at))
	case complexID:
		return isZero(p.load(at)) && isZero(p.load(p.imaginary(at)))
	case stringID:
		return len(*(*string)(at)) == 0
	case bytesID, sliceForm:
		return slice(at).length == 0
	case mapForm, textMapForm:
		return pointee(at) == nil
	case coderForm:
		return !p.addressed && p.value(at).IsZero()
	}
	return false
}

// isZero reports whether x is sent for a zero with a floating point, or for a negative
// one.
func isZero(x uint64) bool { return toFloat(x) == 0 }

func (p *plan) writePointer(o *output, at unsafe.Pointer, delta int) (written bool) {
	to := pointee(at)
	if to == nil {
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
func (p *plan) writeParts(o *output, at unsafe.Pointer) {
	if len(o.b) > o.room {
		o.fail(fmt.Errorf("%w: more than %d bytes", wire.ErrTooLarge, o.room))
	}
	if p.unbounded {
		if o.depth++; o.depth > maxDepth {
			o.fail(fmt.Errorf("%w: does it hold itself?", errTooDeep))
		}
	}
	switch {
	case o.err != nil:
	case p.form == structForm:
		p.writeFields(o, at)
	case p.form == sliceForm:
		s := slice(at)
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

func (p *plan) writeFields(o *output, at unsafe.Pointer) {
	last := -1
	for number := range p.fields {
		f := &p.fields[number]
		if f.write(o, unsafe.Add(at, f.offset), number-last) {
			last = number
		}
	}
	o.b = append(o.b, 0)
}

func (p *plan) writeElements(o *output, first unsafe.Pointer, n int) {
	o.uint(uint64(n))
	size := p.elem.size
	if p.elem.isNumber() {
		for i := range n {
			o.uint(p.elem.load(unsafe.Add(first, uintptr(i)*size)))
		}
		return
	}
	for i := range n {
		p.elem.write(o, unsafe.Add(first, uintptr(i)*size), inside)
	}
}

func (p *plan) writeEntries(o *output, at unsafe.Pointer) {
	m := p.value(at)
	o.uint(uint64(m.Len()))
	if m.Len() == 0 {
		return
	}
	key, elem := reflect.New(p.key.t), reflect.New(p.elem.t)
	for entries := m.MapRange(); entries.Next(); {
		key.Elem().SetIterKey(entries)
		elem.Elem().SetIterValue(entries)
		p.key.write(o, key.UnsafePointer(), inside)
		p.elem.write(o, elem.UnsafePointer(), inside)
	}
}
