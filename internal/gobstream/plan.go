package gobstream

import (
	"encoding"
	"encoding/gob"
	"reflect"
	"sync"
)

// A plan encodes and decodes the values of one type without gob. It is a tree, with a
// plan for each part of the type, and is not changed once it is made. It knows only
// values: gob defines and checks types, and takes every value that is not as the plan
// expects.
//
// There is no plan for types that hold an interface, whose values bring types with
// them; for types that hold themselves, because the tree would not end; and for the odd
// ones, such as a type that decodes itself but does not encode itself.
type plan struct {
	form     form
	pointers int // on the way to the value, which Go has and gob has not

	fields    []field // of a struct, in the order of their numbers on the stream
	key, elem *plan   // of a map, and of a slice, an array or a map
	coder     *coder  // of a value that encodes itself

	usersCode bool // there is a coder in the tree
}

// A form is how a value looks on the stream: the id of one of gob's basic types, or one
// of the following.
type form int

const (
	structForm form = firstDefinedID + iota
	sliceForm
	arrayForm
	mapForm
	coderForm
)

// A field is a field of a struct.
type field struct {
	index int // among the struct's fields
	name  string
	*plan
}

var plans sync.Map // reflect.Type → *plan, nil: there is none

// planOf returns the plan for values of t, or nil if gob has to encode and decode them.
func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	return (&planner{visiting: make(map[reflect.Type]bool)}).plan(t)
}

// A planner makes plans. It is in the middle of those for the types that it is visiting.
type planner struct{ visiting map[reflect.Type]bool }

func (m *planner) plan(t reflect.Type) (p *plan) {
	if m.visiting[t] {
		return nil
	}
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	m.visiting[t] = true
	p = m.make(t)
	delete(m.visiting, t)
	if p != nil || len(m.visiting) == 0 { // else what is being visited may be the reason
		plans.Store(t, p)
	}
	return p
}

func (m *planner) make(t reflect.Type) *plan {
	if codesItself(t) {
		return coderPlan(t)
	}
	p := &plan{form: basicForms[t.Kind()]}
	switch t.Kind() {
	case reflect.Pointer:
		return m.pointer(t)
	case reflect.Struct:
		p.form = structForm
		return m.fields(p, t)
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() {
			return &plan{form: bytesID}
		}
		if t.Elem().Kind() == reflect.Uint8 {
			return nil // bytes to gob, whatever methods they have
		}
		p.form = sliceForm
	case reflect.Array:
		p.form = arrayForm
	case reflect.Map:
		p.form = mapForm
		if p.key = m.plan(t.Key()); p.key == nil {
			return nil
		}
		p.usersCode = p.key.usersCode
	}
	switch {
	case p.form == 0:
		return nil
	case p.form > structForm:
		if p.elem = m.plan(t.Elem()); p.elem == nil {
			return nil
		}
		p.usersCode = p.usersCode || p.elem.usersCode
	}
	return p
}

var basicForms = map[reflect.Kind]form{
	reflect.Bool: boolID, reflect.Float32: floatID, reflect.Float64: floatID, reflect.String: stringID,
	reflect.Int: intID, reflect.Int8: intID, reflect.Int16: intID, reflect.Int32: intID, reflect.Int64: intID,
	reflect.Uint: uintID, reflect.Uint8: uintID, reflect.Uint16: uintID, reflect.Uint32: uintID, reflect.Uint64: uintID,
	reflect.Uintptr: uintID, reflect.Complex64: complexID, reflect.Complex128: complexID,
}

// pointer returns the plan for a pointer, which is that for what it points to.
func (m *planner) pointer(t reflect.Type) *plan {
	to := m.plan(t.Elem())
	if to == nil || to.coder != nil { // gob looks for methods on each of the pointers
		return nil
	}
	p := *to
	p.pointers++
	return &p
}

// fields makes p the plan for a struct.
func (m *planner) fields(p *plan, t reflect.Type) *plan {
	for i := range t.NumField() {
		f := t.Field(i)
		if !isSent(f) {
			continue
		}
		part := m.plan(f.Type)
		if part == nil {
			return nil
		}
		p.fields = append(p.fields, field{i, f.Name, part})
		p.usersCode = p.usersCode || part.usersCode
	}
	if len(p.fields) == 0 {
		return nil // gob says what it thinks of it
	}
	return p
}

// isSent reports whether gob knows of a field.
func isSent(f reflect.StructField) bool {
	t := f.Type
	for t.Kind() == reflect.Pointer && t.Elem() != t {
		t = t.Elem()
	}
	return f.IsExported() && t.Kind() != reflect.Chan && t.Kind() != reflect.Func
}

// A coder calls the methods of values that encode and decode themselves.
type coder struct {
	kind      kind // as which gob defines the type
	byAddress bool // it is a pointer to the value that encodes it
	encode    func(v any) ([]byte, error)
	decode    func(v any, data []byte) error
}

var coders = []coder{ // in the order of encoders and decoders
	{
		kind:   encoderKind,
		encode: func(v any) ([]byte, error) { return v.(gob.GobEncoder).GobEncode() },
		decode: func(v any, data []byte) error { return v.(gob.GobDecoder).GobDecode(data) },
	},
	{
		kind:   encoderKind + 1,
		encode: func(v any) ([]byte, error) { return v.(encoding.BinaryMarshaler).MarshalBinary() },
		decode: func(v any, data []byte) error { return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(data) },
	},
}

// coderPlan returns the plan for a type with methods of its own, or for a pointer to
// one.
func coderPlan(t reflect.Type) *plan {
	p := &plan{form: coderForm, usersCode: true}
	if t.Kind() == reflect.Pointer {
		t, p.pointers = t.Elem(), 1
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil
	}
	address := reflect.PointerTo(t)
	for i, c := range coders {
		encodes, decodes := address.Implements(encoders[i]), address.Implements(decoders[i])
		if !encodes && !decodes {
			continue
		}
		if !encodes || !decodes || t.Implements(decoders[i]) {
			return nil
		}
		c.byAddress = p.pointers == 0 && !t.Implements(encoders[i])
		p.coder = &c
		return p
	}
	return nil
}
