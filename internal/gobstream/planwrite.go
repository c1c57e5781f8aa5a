package gobstream

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"reflect"
)

// An output is what the plans of a value write to.
type output struct {
	b   []byte
	err error // the first one; what follows in b is of no use
}

func (o *output) uint(x uint64) { o.b = appendUint(o.b, x) }

func (o *output) float(x float64) { o.uint(bits.ReverseBytes64(math.Float64bits(x))) }

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

// appendSection appends a section with the value v. The id is that of its type.
// LengthSize is how many bytes the section's length takes; what it says at first is a
// guess.
func (p *plan) appendSection(b []byte, id int, v reflect.Value, lengthSize *int) (_ []byte, err error) {
	if p.usersCode {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("gob: encoding %s panicked: %v", v.Type(), r)
			}
		}()
	}
	var length [9]byte
	o := output{b: append(b, length[:*lengthSize]...)}
	o.uint(toUnsigned(int64(id)))
	if p.form != structForm {
		o.b = append(o.b, 0) // where a struct has its first field's number
	}
	p.write(&o, v, inside)
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

// write writes a value. That of a field has delta in front, the distance of its number
// from that of the field before it; like gob, write writes nothing at all for most zero
// values, and reports false.
func (p *plan) write(o *output, v reflect.Value, delta int) (written bool) {
	for n := p.pointers; n > 0 && p.coder == nil; n-- { // a nil pointer may encode itself
		if v.IsNil() {
			if delta == inside {
				o.fail(errNilElement)
			}
			return false
		}
		v = v.Elem()
	}
	if delta != inside {
		if p.omits(v) {
			return false
		}
		o.uint(uint64(delta))
	}
	switch p.form {
	case boolID:
		o.uint(uint64(boolToInt(v.Bool())))
	case intID:
		o.uint(toUnsigned(v.Int()))
	case uintID:
		o.uint(v.Uint())
	case floatID:
		o.float(v.Float())
	case complexID:
		o.float(real(v.Complex()))
		o.float(imag(v.Complex()))
	case stringID:
		s := v.String()
		o.uint(uint64(len(s)))
		o.b = append(o.b, s...)
	case bytesID:
		s := v.Bytes()
		o.uint(uint64(len(s)))
		o.b = append(o.b, s...)
	case structForm:
		p.writeFields(o, v)
	case sliceForm, arrayForm:
		p.writeElements(o, v)
	case mapForm:
		p.writeEntries(o, v)
	case coderForm:
		p.writeCoded(o, v)
	}
	return true
}

var errNilElement = errors.New("gob: a nil pointer in a slice, an array or a map can't be encoded")

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// omits reports whether gob leaves out a field with the value v.
func (p *plan) omits(v reflect.Value) bool {
	switch p.form {
	case boolID:
		return !v.Bool()
	case intID:
		return v.Int() == 0
	case uintID:
		return v.Uint() == 0
	case floatID:
		return v.Float() == 0
	case complexID:
		return v.Complex() == 0
	case stringID, bytesID, sliceForm:
		return v.Len() == 0
	case mapForm:
		return v.IsNil()
	case coderForm:
		return !p.coder.byAddress && v.IsZero()
	}
	return false
}

func (p *plan) writeFields(o *output, v reflect.Value) {
	last := -1
	for number := range p.fields {
		f := &p.fields[number]
		if f.write(o, v.Field(f.index), number-last) {
			last = number
		}
	}
	o.b = append(o.b, 0)
}

func (p *plan) writeElements(o *output, v reflect.Value) {
	n := v.Len()
	o.uint(uint64(n))
	for i := range n {
		p.elem.write(o, v.Index(i), inside)
	}
}

func (p *plan) writeEntries(o *output, v reflect.Value) {
	o.uint(uint64(v.Len()))
	if v.Len() == 0 {
		return
	}
	key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	for entries := v.MapRange(); entries.Next(); {
		if p.usersCode { // the entry itself has no address, and gob refuses what needs one
			key, elem = entries.Key(), entries.Value()
		} else {
			key.SetIterKey(entries)
			elem.SetIterValue(entries)
		}
		p.key.write(o, key, inside)
		p.elem.write(o, elem, inside)
	}
}

func (p *plan) writeCoded(o *output, v reflect.Value) {
	if p.coder.byAddress {
		if !v.CanAddr() {
			o.fail(fmt.Errorf("gob: unaddressable value of type %s", v.Type()))
			return
		}
		v = v.Addr()
	}
	data, err := p.coder.encode(v.Interface())
	if err != nil {
		o.fail(err)
	}
	o.uint(uint64(len(data)))
	o.b = append(o.b, data...)
}
