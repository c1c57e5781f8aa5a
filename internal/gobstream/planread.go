package gobstream

import (
	"bytes"
	"reflect"
	"unsafe"
)

// readSection decodes a value into memory at an address, from behind the id of its type
// to the end of its section. It returns false if the value is not as expected: gob must
// then decode it again, and say what is wrong.
func (p *plan) readSection(c *cursor, at unsafe.Pointer) (ok bool) {
	defer func() {
		if recover() != nil { // a user's decoder
			ok = false
		}
	}()
	if p.form != structForm && c.uint() != 0 {
		return false
	}
	return p.read(c, at) && c.err == nil && c.left() == 0
}

// read decodes a part of a value. If it returns false the value is not as expected; it may
// return true after an error of the cursor.
func (p *plan) read(c *cursor, at unsafe.Pointer) bool {
	switch p.form {
	case boolID, intID, uintID, floatID:
		return p.store(at, c.uint())
	case complexID:
		re, im := c.uint(), c.uint()
		return p.store(at, re) && p.store(p.imaginary(at), im)
	case stringID:
		*(*string)(at) = c.string(c.uint())
	case bytesID:
		setBytes((*[]byte)(at), c.take(c.uint()))
	case pointerForm:
		to := (*unsafe.Pointer)(at)
		if *to == nil {
			*to = reflect.New(p.elem.t).UnsafePointer()
		}
		return p.elem.read(c, *to)
	case coderForm:
		return p.readCoded(c, at)
	case ignoredForm:
		return p.ignored.read(c)
	default:
		return p.readParts(c, at)
	}
	return c.err == nil
}

// setBytes copies data into a slice, like gob in place if that is large enough.
func setBytes(to *[]byte, data []byte) {
	if cap(*to) < len(data) {
		*to = bytes.Clone(data) // which does not zero the memory first
		return
	}
	*to = (*to)[:len(data)]
	copy(*to, data)
}

func (p *plan) readCoded(c *cursor, at unsafe.Pointer) bool {
	data := c.take(c.uint())
	if c.err != nil {
		return false
	}
	if to := (*unsafe.Pointer)(at); p.coder.pointer && *to == nil {
		*to = reflect.New(p.coder.of).UnsafePointer()
	}
	return p.coder.decode(p.coder.address(at), data) == nil
}

// readParts decodes a value that has parts, which may be of its own type again.
func (p *plan) readParts(c *cursor, at unsafe.Pointer) (ok bool) {
	if c.depth++; c.depth > maxReadDepth {
		return false
	}
	switch p.form {
	case structForm:
		ok = p.readFields(c, at)
	case sliceForm:
		ok = p.readSlice(c, at)
	case arrayForm:
		n := p.t.Len()
		ok = c.uint() == uint64(n) && p.readElements(c, at, 0, n)
	case mapForm:
		ok = p.readEntries(c, at)
	case textMapForm:
		ok = p.readTexts(c, at)
	}
	c.depth--
	return ok
}

func (p *plan) readFields(c *cursor, at unsafe.Pointer) bool {
	for number := -1; ; {
		delta := c.uint()
		if delta == 0 {
			return c.err == nil
		}
		if delta > uint64(len(p.fields)-1-number) {
			return false
		}
		number += int(delta)
		f := &p.fields[number]
		if !f.read(c, unsafe.Add(at, f.offset)) {
			return false
		}
	}
}

// maxAhead is how many bytes a slice or a map gets before its entries have been seen.
// It is what gob allows itself.
const maxAhead = 10 << 20

// readSlice decodes a slice. Like gob, it uses the memory and the values that the slice
// has, if there is room for all elements.
func (p *plan) readSlice(c *cursor, at unsafe.Pointer) bool {
	n := c.uint()
	if n > uint64(c.left()) { // an element takes a byte at least
		return false
	}
	length, ahead := int(n), int(n)
	s := slice(at)
	if s.room < length {
		ahead = p.elem.ahead(length)
		*s = sliceHeader{}
		if p.elem.form == stringID {
			*(*[]string)(at) = make([]string, ahead)
		} else {
			p.value(at).Grow(ahead)
		}
	}
	s.length = ahead
	for done := 0; ; {
		if !p.readElements(c, s.first, done, ahead) {
			return false
		}
		if ahead == length {
			return true
		}
		done, ahead = ahead, min(2*ahead, length)
		p.value(at).Grow(ahead - done)
		s.length = ahead
	}
}

// ahead returns for how many of n elements there may be room in advance.
func (p *plan) ahead(n int) int {
	if uint64(n)*uint64(p.size) <= maxAhead { // n is at most the number of bytes of the value
		return n
	}
	return max(1, maxAhead/int(p.size))
}

func (p *plan) readElements(c *cursor, first unsafe.Pointer, from, to int) bool {
	size := p.elem.size
	if p.elem.isNumber() {
		for i := from; i < to && c.err == nil; i++ {
			if !p.elem.store(unsafe.Add(first, uintptr(i)*size), c.uint()) {
				return false
			}
		}
		return c.err == nil
	}
	for i := from; i < to; i++ {
		if !p.elem.read(c, unsafe.Add(first, uintptr(i)*size)) {
			return false
		}
	}
	return true
}

// entries returns how many entries a map has on the stream, and false if there can't be
// as many.
func (c *cursor) entries() (n int, ok bool) {
	x := c.uint()
	return int(x), c.err == nil && x <= uint64(c.left()/2) // an entry takes two bytes at least
}

// readEntries decodes entries into a map, which may have some.
func (p *plan) readEntries(c *cursor, at unsafe.Pointer) bool {
	n, ok := c.entries()
	if !ok {
		return false
	}
	m := p.value(at)
	if m.IsNil() {
		m.Set(reflect.MakeMapWithSize(p.t, p.elem.ahead(n)))
	}
	key, elem := reflect.New(p.key.t), reflect.New(p.elem.t)
	for range n {
		if !p.key.read(c, key.UnsafePointer()) || !p.elem.read(c, elem.UnsafePointer()) {
			return false
		}
		m.SetMapIndex(key.Elem(), elem.Elem())
		key.Elem().SetZero()
		elem.Elem().SetZero()
	}
	return true
}

// readTexts is readEntries for a map of strings to strings, whatever they are called.
func (p *plan) readTexts(c *cursor, at unsafe.Pointer) bool {
	n, ok := c.entries()
	if !ok {
		return false
	}
	m := (*map[string]string)(at)
	if *m == nil {
		*m = make(map[string]string, p.elem.ahead(n))
	}
	for range n {
		key := c.string(c.uint())
		elem := c.string(c.uint())
		if c.err != nil {
			return false
		}
		(*m)[key] = elem
	}
	return true
}
