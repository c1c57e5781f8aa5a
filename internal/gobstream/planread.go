package gobstream

import (
	"bytes"
	"reflect"
)

// readSection decodes a value to an address, from behind the id of its type to the end
// of its section. It returns false if the value is not as expected: gob must then decode
// it again, and say what is wrong.
func (p *plan) readSection(c *cursor, at address) (ok bool) {
	defer func() {
		if recover() != nil { // a user's decoder
			ok = false
		}
	}()
	if p.form != structForm && c.uint() != 0 {
		return false
	}
	return p.read(c, at) && c.left() == 0
}

// read decodes a part of a value. It returns false if that is not as expected.
func (p *plan) read(c *cursor, at address) (ok bool) {
	switch p.form {
	case boolID, intID, uintID, floatID:
		x := c.uint()
		return c.err == nil && at.store(p.kind, x)
	case complexID:
		re, im := c.uint(), c.uint()
		return c.err == nil && at.store(p.kind, re) && at.plus(p.size/2).store(p.kind, im)
	case stringID:
		s := c.string(c.uint())
		if c.err == nil {
			*at.string() = s
		}
	case bytesID:
		data := c.take(c.uint())
		if c.err == nil {
			setBytes(at.bytes(), data)
		}
	case pointerForm:
		to := at.pointer()
		if to.isNil() {
			*to = addressOf(reflect.New(p.elem.t))
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

func (p *plan) readCoded(c *cursor, at address) bool {
	data := c.take(c.uint())
	if c.err != nil {
		return false
	}
	if p.coder.pointer && at.pointer().isNil() {
		*at.pointer() = addressOf(reflect.New(p.coder.of))
	}
	return p.coder.decode(p.coder.pointerTo(at), data) == nil
}

// readParts decodes a value that has parts, which may be of its own type again.
func (p *plan) readParts(c *cursor, at address) (ok bool) {
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

func (p *plan) readFields(c *cursor, at address) bool {
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
		if !f.read(c, at.plus(f.offset)) {
			return false
		}
	}
}

// readSlice decodes a slice. Like gob, it uses the memory and the values that the slice
// has, if there is room for all elements.
func (p *plan) readSlice(c *cursor, at address) bool {
	length, ok := c.count(1)
	if !ok {
		return false
	}
	s := at.slice()
	ahead, reserved := length, 0
	if s.room < length {
		ahead, reserved = c.reserve(length, p.elem.size)
		p.makeSlice(c, at, ahead)
	}
	s.length = ahead
	for done := 0; ; {
		if !p.readElements(c, s.first, done, ahead) {
			return false
		}
		if ahead == length {
			c.reserved -= reserved
			return true
		}
		done, ahead = ahead, min(2*ahead, length)
		at.value(p.t).Grow(ahead - done)
		s.length = ahead
	}
}

// makeSlice sets a slice to an empty one with room for n elements.
func (p *plan) makeSlice(c *cursor, at address, n int) {
	if p.elem.form == stringID { // as most are
		*at.strings() = c.strings(n)
		return
	}
	*at.slice() = sliceHeader{}
	at.value(p.t).Grow(n)
}

func (p *plan) readElements(c *cursor, first address, from, to int) bool {
	size := p.elem.size
	if p.elem.isNumber() {
		for i := from; i < to; i++ {
			x := c.uint()
			if c.err != nil || !first.plus(uintptr(i)*size).store(p.elem.kind, x) {
				return false
			}
		}
		return true
	}
	for i := from; i < to; i++ {
		if !p.elem.read(c, first.plus(uintptr(i)*size)) {
			return false
		}
	}
	return true
}

// readEntries decodes entries into a map, which may have some.
func (p *plan) readEntries(c *cursor, at address) bool {
	n, ok := c.count(2)
	if !ok {
		return false
	}
	m := at.value(p.t)
	reserved := 0
	if m.IsNil() {
		var ahead int
		ahead, reserved = c.reserve(n, p.entrySize())
		m.Set(reflect.MakeMapWithSize(p.t, ahead))
	}
	key, elem := reflect.New(p.key.t), reflect.New(p.elem.t)
	for range n {
		if !p.key.read(c, addressOf(key)) || !p.elem.read(c, addressOf(elem)) {
			return false
		}
		m.SetMapIndex(key.Elem(), elem.Elem())
		key.Elem().SetZero()
		elem.Elem().SetZero()
	}
	c.reserved -= reserved
	return true
}

// readTexts is readEntries for a map of strings to strings.
func (p *plan) readTexts(c *cursor, at address) bool {
	n, ok := c.count(2)
	if !ok {
		return false
	}
	m := at.texts()
	if *m == nil { // none of the entries holds a map, so that this need not be counted
		ahead, reserved := c.reserve(n, p.entrySize())
		c.reserved -= reserved
		*m = make(map[string]string, ahead)
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

// entrySize returns about how many bytes an entry of a map takes: a table is up to twice
// as large as its entries.
func (p *plan) entrySize() uintptr { return 2 * (p.key.size + p.elem.size + 1) }
