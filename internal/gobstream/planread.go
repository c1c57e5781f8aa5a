package gobstream

import (
	"bytes"
	"math"
	"math/bits"
	"reflect"
)

// reading returns the plan that decodes values of a type of the peer's: p itself, if
// that type is ours, or else one with the peer's fields. It returns nil if gob has to
// decode the values, because it must ignore a field, or say why it can't decode any.
func (p *plan) reading(s *schema, id int) *plan {
	return (&matcher{s, make(map[match]*plan)}).plan(p, id)
}

// A matcher finds the plans for types of the peer's.
type matcher struct {
	schema *schema
	known  map[match]*plan
}

type match struct {
	plan *plan
	id   int
}

func (m *matcher) plan(p *plan, id int) *plan {
	known, ok := m.known[match{p, id}]
	if !ok {
		known = m.make(p, id)
		m.known[match{p, id}] = known
	}
	return known
}

// formOfKind is the form of values whose type is defined as a kind.
var formOfKind = [numKinds]form{arrayForm, sliceForm, structForm, mapForm, coderForm, coderForm, coderForm}

func (m *matcher) make(p *plan, id int) *plan {
	if p.form < structForm {
		if int(p.form) != id {
			return nil
		}
		return p
	}
	peers := m.schema.types[id]
	if peers == nil || formOfKind[peers.kind] != p.form {
		return nil
	}
	ours := *p
	switch p.form {
	case structForm:
		return m.fields(p, peers)
	case mapForm:
		ours.key = m.plan(p.key, peers.parts[0])
		ours.elem = m.plan(p.elem, peers.parts[1])
	case sliceForm, arrayForm:
		ours.elem = m.plan(p.elem, peers.parts[0])
	case coderForm:
		if p.coder.kind != peers.kind {
			return nil
		}
		return p
	}
	switch {
	case ours.elem == nil, p.form == mapForm && ours.key == nil:
		return nil
	case ours.key == p.key && ours.elem == p.elem:
		return p
	}
	return &ours
}

// fields returns the plan for a struct of the peer's.
func (m *matcher) fields(p *plan, peers *typeDef) *plan {
	same := len(peers.names) == len(p.fields)
	fields := make([]field, 0, len(peers.names))
	for i, name := range peers.names {
		f := p.field(name)
		if f == nil {
			return nil
		}
		part := m.plan(f.plan, peers.parts[i])
		if part == nil {
			return nil
		}
		same = same && f == &p.fields[i] && part == f.plan
		fields = append(fields, field{f.index, f.name, part})
	}
	if same {
		return p
	}
	theirs := *p
	theirs.fields = fields
	return &theirs
}

// field returns the field of a name, or nil.
func (p *plan) field(name string) *field {
	for i := range p.fields {
		if f := &p.fields[i]; f.name == name {
			return f
		}
	}
	return nil
}

// readSection decodes a value into v, from behind the id of its type to the end of its
// section. It returns false if the value is not as expected: gob must then decode it
// again, and say what is wrong.
func (p *plan) readSection(c *cursor, v reflect.Value) (ok bool) {
	if p.usersCode {
		defer func() {
			if recover() != nil {
				ok = false
			}
		}()
	}
	if p.form != structForm && c.uint() != 0 {
		return false
	}
	return p.read(c, v) && c.err == nil && len(c.data) == 0
}

// read decodes a part of a value. If it returns false the value is not as expected; it may
// return true after an error of the cursor.
func (p *plan) read(c *cursor, v reflect.Value) bool {
	for range p.pointers {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	x := uint64(0)
	if p.form != structForm {
		x = c.uint()
	}
	switch p.form {
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
		if v.OverflowFloat(toFloat(x)) {
			return false
		}
		v.SetFloat(toFloat(x))
	case complexID:
		z := complex(toFloat(x), toFloat(c.uint()))
		if v.OverflowComplex(z) {
			return false
		}
		v.SetComplex(z)
	case stringID:
		v.SetString(c.string(x))
	case bytesID:
		setBytes(v, c.take(x))
	case structForm:
		return p.readFields(c, v)
	case sliceForm:
		return p.readSlice(c, v, x)
	case arrayForm:
		return x == uint64(v.Len()) && p.readElements(c, v, 0, v.Len())
	case mapForm:
		return p.readEntries(c, v, x)
	case coderForm:
		data := c.take(x)
		return c.err == nil && p.coder.decode(v.Addr().Interface(), data) == nil
	}
	return c.err == nil
}

func toFloat(x uint64) float64 { return math.Float64frombits(bits.ReverseBytes64(x)) }

// setBytes copies data into the slice v, like gob in place if v is large enough.
func setBytes(v reflect.Value, data []byte) {
	if v.Cap() < len(data) {
		v.SetBytes(bytes.Clone(data)) // which does not zero the memory first
		return
	}
	v.SetLen(len(data))
	copy(v.Bytes(), data)
}

func (p *plan) readFields(c *cursor, v reflect.Value) bool {
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
		if !f.read(c, v.Field(f.index)) {
			return false
		}
	}
}

// maxAhead is how many bytes a slice or a map gets before its entries have been seen.
// It is what gob allows itself.
const maxAhead = 10 << 20

// readSlice decodes a slice of n elements. Like gob, it uses the memory and the values
// that v has, if there is room for all.
func (p *plan) readSlice(c *cursor, v reflect.Value, n uint64) bool {
	if n > uint64(len(c.data)) { // an element takes a byte at least
		return false
	}
	length, ahead := int(n), int(n)
	if v.Cap() < length {
		ahead = entriesAhead(v.Type().Elem(), length)
		v.SetZero()
		v.Grow(ahead)
	}
	v.SetLen(ahead)
	for done := 0; ; {
		if !p.readElements(c, v, done, ahead) {
			return false
		}
		if ahead == length {
			return true
		}
		done, ahead = ahead, min(2*ahead, length)
		v.Grow(ahead - done)
		v.SetLen(ahead)
	}
}

// entriesAhead returns for how many of n entries there may be room in advance.
func entriesAhead(t reflect.Type, n int) int {
	return min(n, max(1, maxAhead/max(1, int(t.Size()))))
}

func (p *plan) readElements(c *cursor, v reflect.Value, from, to int) bool {
	for i := from; i < to; i++ {
		if !p.elem.read(c, v.Index(i)) {
			return false
		}
	}
	return true
}

// readEntries decodes n entries into a map, which may have some.
func (p *plan) readEntries(c *cursor, v reflect.Value, n uint64) bool {
	if n > uint64(len(c.data)/2) { // an entry takes two bytes at least
		return false
	}
	t := v.Type()
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t, entriesAhead(t.Elem(), int(n))))
	}
	key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	for range n {
		if !p.key.read(c, key) || !p.elem.read(c, elem) {
			return false
		}
		v.SetMapIndex(key, elem)
		key.SetZero()
		elem.SetZero()
	}
	return true
}
