package gobstream

import (
	"math"
	"math/bits"
	"reflect"
)

// planToWrite returns the plan for values with these fields. Gob has written
// section, one of them, and with it the id of their type.
func planToWrite(fields []field, section []byte) *plan {
	c := cursor{data: section}
	c.uint() // the section's length
	return &plan{id: c.int(), fields: fields}
}

// append appends the section of a struct.
func (p *plan) append(b []byte, v reflect.Value) []byte {
	start := len(b)
	b = append(b, 0) // the length, one byte in most cases
	b = appendInt(b, int64(p.id))
	last := -1
	for number, f := range p.fields {
		before := len(b)
		if b = f.append(b, byte(number-last), v.Field(f.index)); len(b) > before {
			last = number
		}
	}
	b = append(b, 0)
	n := len(b) - start - 1
	if n < 0x80 {
		b[start] = byte(n)
		return b
	}
	var buf [9]byte
	length := appendUint(buf[:0], uint64(n))
	b = append(b, length[1:]...)
	copy(b[start+len(length):], b[start+1:start+1+n])
	copy(b[start:], length)
	return b
}

// append appends a field: delta, the distance of its number from that of the
// previous field, and its value. Like gob, it appends nothing for a zero value.
func (f *field) append(b []byte, delta byte, v reflect.Value) []byte {
	switch f.basic {
	case boolID:
		if v.Bool() {
			b = append(b, delta, 1)
		}
	case intID:
		if x := v.Int(); x != 0 {
			b = appendInt(append(b, delta), x)
		}
	case uintID:
		if x := v.Uint(); x != 0 {
			b = appendUint(append(b, delta), x)
		}
	case floatID:
		if x := v.Float(); x != 0 {
			b = appendUint(append(b, delta), bits.ReverseBytes64(math.Float64bits(x)))
		}
	case stringID:
		if s := v.String(); s != "" {
			b = append(appendUint(append(b, delta), uint64(len(s))), s...)
		}
	case bytesID:
		if s := v.Bytes(); len(s) > 0 {
			b = append(appendUint(append(b, delta), uint64(len(s))), s...)
		}
	}
	return b
}
