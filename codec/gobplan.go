package codec

import (
	"encoding"
	"encoding/gob"
	"math"
	"math/bits"
	"reflect"
)

// Package gob takes any type, and every value pays for that. Most arguments
// and replies are structs of numbers, strings and bytes: a gobPlan puts such
// values on a stream and takes them off it as gob does, byte for byte, in a
// fraction of the time. It knows values only. Types are defined and checked by
// gob, and so is every value that is not as a plan expects it.
type gobPlan struct {
	id     int        // of the type, where it is written
	fields []gobField // of the struct, by their numbers on the stream
}

// A gobField is a field that holds a value of one of gob's basic types.
type gobField struct {
	index int // among the struct's fields
	basic int // gobBool to gobString
}

// maxPlanned is how many fields a plan may have: a number fits into a byte.
const maxPlanned = 127

// basics are gob's types of values that a plan handles.
var basics = map[reflect.Kind]int{
	reflect.Bool: gobBool, reflect.Float32: gobFloat, reflect.Float64: gobFloat, reflect.String: gobString,
	reflect.Int: gobInt, reflect.Int8: gobInt, reflect.Int16: gobInt, reflect.Int32: gobInt, reflect.Int64: gobInt,
	reflect.Uint: gobUint, reflect.Uint8: gobUint, reflect.Uint16: gobUint, reflect.Uint32: gobUint, reflect.Uint64: gobUint,
}

// basicOf returns gob's type for values of t, or 0 if no plan handles them.
func basicOf(t reflect.Type) int {
	switch {
	case codesItself(t):
		return 0
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[byte]():
		return gobBytes
	}
	return basics[t.Kind()]
}

// codesItself tells whether gob leaves values of t to methods of theirs.
func codesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[gob.GobEncoder]()) || p.Implements(reflect.TypeFor[gob.GobDecoder]()) ||
		p.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) || p.Implements(reflect.TypeFor[encoding.BinaryUnmarshaler]())
}

// plainFields returns the fields of a plan for values of t, and whether there
// may be one. If not, gob has to write them.
func plainFields(t reflect.Type) (fields []gobField, ok bool) {
	if t.Kind() != reflect.Struct || codesItself(t) {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		basic := basicOf(f.Type)
		if basic == 0 || len(fields) == maxPlanned {
			return nil, false
		}
		fields = append(fields, gobField{i, basic})
	}
	return fields, true
}

// planToWrite returns the plan for values of which section is one.
func planToWrite(fields []gobField, section []byte) *gobPlan {
	r := plainReader{data: section}
	r.uint() // its length
	return &gobPlan{id: r.int(), fields: fields}
}

// planToRead returns the plan for values of a type that the peer has defined
// which are to become values of t; or nil if gob has to read them.
func planToRead(peers *gobType, t reflect.Type) *gobPlan {
	if peers.kind != gobStruct || t.Kind() != reflect.Struct || codesItself(t) {
		return nil
	}
	p := &gobPlan{}
	for i, name := range peers.names {
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() || len(f.Index) > 1 || basicOf(f.Type) != peers.parts[i] || peers.parts[i] == 0 {
			return nil
		}
		p.fields = append(p.fields, gobField{f.Index[0], peers.parts[i]})
	}
	if len(p.fields) == 0 {
		return nil
	}
	return p
}

// append appends the section of a struct.
func (p *gobPlan) append(b []byte, v reflect.Value) []byte {
	start := len(b)
	b = append(b, 0) // its length, in a byte as it may turn out
	b = appendPlainInt(b, int64(p.id))
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
	var room [9]byte
	length := appendPlainUint(room[:0], uint64(n))
	b = append(b, length[1:]...)
	copy(b[start+len(length):], b[start+1:start+1+n])
	copy(b[start:], length)
	return b
}

// append appends a field, unless its value is zero: gob leaves those out.
func (f *gobField) append(b []byte, delta byte, v reflect.Value) []byte {
	switch f.basic {
	case gobBool:
		if v.Bool() {
			b = append(b, delta, 1)
		}
	case gobInt:
		if x := v.Int(); x != 0 {
			b = appendPlainInt(append(b, delta), x)
		}
	case gobUint:
		if x := v.Uint(); x != 0 {
			b = appendPlainUint(append(b, delta), x)
		}
	case gobFloat:
		if x := v.Float(); x != 0 {
			b = appendPlainUint(append(b, delta), bits.ReverseBytes64(math.Float64bits(x)))
		}
	case gobString:
		if s := v.String(); s != "" {
			b = append(appendPlainUint(append(b, delta), uint64(len(s))), s...)
		}
	case gobBytes:
		if s := v.Bytes(); len(s) > 0 {
			b = append(appendPlainUint(append(b, delta), uint64(len(s))), s...)
		}
	}
	return b
}

// read reads a struct, behind its type. It reports false if the value is not as
// expected: then gob is to read it again, and to say what is wrong.
func (p *gobPlan) read(data []byte, v reflect.Value) bool {
	r := plainReader{data: data}
	for number := -1; ; {
		delta := r.uint()
		if delta == 0 {
			return !r.failed
		}
		if delta > uint64(len(p.fields)-1-number) {
			return false
		}
		number += int(delta)
		f := p.fields[number]
		if !f.read(&r, v.Field(f.index)) {
			return false
		}
	}
}

func (f *gobField) read(r *plainReader, v reflect.Value) bool {
	x := r.uint()
	switch f.basic {
	case gobBool:
		v.SetBool(x != 0)
	case gobInt:
		if v.OverflowInt(signed(x)) {
			return false
		}
		v.SetInt(signed(x))
	case gobUint:
		if v.OverflowUint(x) {
			return false
		}
		v.SetUint(x)
	case gobFloat:
		y := math.Float64frombits(bits.ReverseBytes64(x))
		if v.OverflowFloat(y) {
			return false
		}
		v.SetFloat(y)
	case gobString:
		v.SetString(string(r.take(x)))
	case gobBytes:
		readBytes(r.take(x), v)
	}
	return !r.failed
}

// readBytes fills a slice, as gob does in place if it is large enough.
func readBytes(data []byte, v reflect.Value) {
	if v.Cap() < len(data) {
		v.SetBytes(make([]byte, len(data)))
	} else {
		v.SetLen(len(data))
	}
	copy(v.Bytes(), data)
}

// A plainReader takes integers and bytes off the front of a gob value. After a
// first failure all that follows is zero.
type plainReader struct {
	data   []byte
	failed bool
}

func (r *plainReader) uint() uint64 {
	if len(r.data) > 0 && r.data[0] < 0x80 {
		x := r.data[0]
		r.data = r.data[1:]
		return uint64(x)
	}
	x, n, need, err := parseGobUint(r.data)
	if need > 0 || err != nil {
		r.data, r.failed = nil, true
		return 0
	}
	r.data = r.data[n:]
	return x
}

func (r *plainReader) int() int { return int(signed(r.uint())) }

func (r *plainReader) take(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.data, r.failed = nil, true
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// signed returns the integer whose sign is the lowest bit of x.
func signed(x uint64) int64 {
	if x&1 != 0 {
		return ^int64(x >> 1)
	}
	return int64(x >> 1)
}

// unsigned returns the unsigned integer that a signed one is sent as.
func unsigned(i int64) uint64 {
	if i < 0 {
		return uint64(^i)<<1 | 1
	}
	return uint64(i) << 1
}

func plainIntBytes(i int64) int { return plainUintBytes(unsigned(i)) }

func appendPlainInt(b []byte, i int64) []byte { return appendPlainUint(b, unsigned(i)) }

// plainUintBytes returns how many bytes appendPlainUint appends.
func plainUintBytes(x uint64) int {
	if x < 0x80 {
		return 1
	}
	return 1 + (bits.Len64(x)+7)/8
}

// appendPlainUint appends an unsigned integer in as few bytes as it takes.
func appendPlainUint(b []byte, x uint64) []byte {
	if x < 0x80 {
		return append(b, byte(x))
	}
	n := plainUintBytes(x) - 1
	b = append(b, byte(-n))
	for n--; n >= 0; n-- {
		b = append(b, byte(x>>(8*n)))
	}
	return b
}
