package gobstream

import (
	"math"
	"math/bits"
	"reflect"
)

// planToRead returns the plan that decodes values of a type of the peer's into
// values of t, or nil if gob has to.
func planToRead(peers *typeDef, t reflect.Type) *plan {
	if peers.kind != structKind || t.Kind() != reflect.Struct || codesItself(t) {
		return nil
	}
	p := &plan{}
	for i, name := range peers.names {
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() || len(f.Index) > 1 || basicOf(f.Type) != peers.parts[i] || peers.parts[i] == 0 {
			return nil
		}
		p.fields = append(p.fields, field{f.Index[0], peers.parts[i]})
	}
	if len(p.fields) == 0 {
		return nil
	}
	return p
}

// read decodes a struct into v, from behind the id of its type. It returns false
// if the struct is not as expected: gob must then decode it again, and say what
// is wrong.
func (p *plan) read(c *cursor, v reflect.Value) bool {
	for number := -1; ; {
		delta := c.uint()
		if delta == 0 {
			return c.err == nil
		}
		if delta > uint64(len(p.fields)-1-number) {
			return false
		}
		number += int(delta)
		f := p.fields[number]
		if !f.read(c, v.Field(f.index)) {
			return false
		}
	}
}

func (f *field) read(c *cursor, v reflect.Value) bool {
	x := c.uint()
	switch f.basic {
	case boolID:
		v.SetBool(x != 0)
	case intID:
		if v.OverflowInt(toSigned(x)) {
			return false
		}
		v.SetInt(toSigned(x))
	case uintID:
		if v.OverflowUint(x) {
			return false
		}
		v.SetUint(x)
	case floatID:
		y := math.Float64frombits(bits.ReverseBytes64(x))
		if v.OverflowFloat(y) {
			return false
		}
		v.SetFloat(y)
	case stringID:
		v.SetString(string(c.take(x)))
	case bytesID:
		setBytes(v, c.take(x))
	}
	return c.err == nil
}

// setBytes copies data into the slice v, like gob in place if v is large enough.
func setBytes(v reflect.Value, data []byte) {
	if v.Cap() < len(data) {
		v.SetBytes(make([]byte, len(data)))
	} else {
		v.SetLen(len(data))
	}
	copy(v.Bytes(), data)
}
