package gobstream

import (
	"reflect"
	"sync"

	"geerpc/internal/nesting"
)

// A plan encodes and decodes the values of one type without gob. It is a graph like the
// type, with a plan for each part, and is not changed once it is made. It knows only
// values: gob defines and checks types, and takes every value that is not as the plan
// expects.
//
// A plan finds the parts of a value in memory by their offsets, as a compiled program
// does; see address.
//
// There is no plan for types that hold an interface, whose values bring types with
// them, and for the odd ones, such as a type that decodes itself but does not encode
// itself.
type plan struct {
	form form
	kind reflect.Kind // of a number, which says how it lies in memory
	t    reflect.Type // of the value
	size uintptr      // of the value in memory

	fields    []field  // of a struct, in the order of their numbers on the stream
	key, elem *plan    // of a map; of a slice, an array, a map or a pointer
	coder     *coder   // of a value that encodes itself
	ignored   *ignored // of a value that a peer sends and that has no place here

	unbounded bool // the type does not bound how deep its values are: it holds itself
	addressed bool // a value must be addressable to be encoded
}

// A form is how a value looks on the stream: the id of one of gob's basic types, or one
// of the following.
type form int

const (
	structForm form = firstDefinedID + iota
	sliceForm
	arrayForm
	mapForm
	textMapForm // a map of strings to strings, which need not be gone through with reflect
	coderForm
	pointerForm // as what it points to
	ignoredForm
)

// A field is a field of a struct.
type field struct {
	name   string
	offset uintptr
	*plan
}

var plans sync.Map // reflect.Type → *plan, nil: there is none

// planOf returns the plan for values of t, or nil if gob has to encode and decode them.
func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		return known.(*plan)
	}
	m := planner{made: make(map[reflect.Type]*plan), visiting: make(map[reflect.Type]bool)}
	p := m.plan(t)
	if m.failed {
		plans.Store(t, (*plan)(nil)) // its parts may have plans all the same
		return nil
	}
	for t, part := range m.made {
		plans.LoadOrStore(t, part)
	}
	return p
}

// A planner makes the plan for a type, and for all that it holds.
type planner struct {
	made     map[reflect.Type]*plan // some of them unfinished: a type may hold itself
	visiting map[reflect.Type]bool  // those that are unfinished
	failed   bool                   // there is none
}

func (m *planner) plan(t reflect.Type) *plan {
	if p := m.made[t]; p != nil {
		return p
	}
	p := &plan{t: t, kind: t.Kind(), size: t.Size()}
	m.made[t] = p
	m.visiting[t] = true
	m.complete(p, t)
	delete(m.visiting, t)
	return p
}

// part returns the plan for a part of the values of whole.
func (m *planner) part(whole *plan, t reflect.Type) *plan {
	p := m.plan(t)
	whole.unbounded = whole.unbounded || p.unbounded || m.visiting[t]
	return p
}

// complete completes the plan for a type.
func (m *planner) complete(p *plan, t reflect.Type) {
	if codesItself(t) {
		m.failed = !p.code(t) || m.failed
		return
	}
	p.form = forms[t.Kind()]
	switch t.Kind() {
	case reflect.Pointer:
		if nesting.Base(t).Kind() == reflect.Pointer { // there is no end of them
			m.failed = true
			return
		}
		p.elem = m.part(p, t.Elem())
		if p.elem.coder != nil { // gob looks for methods on each of the pointers
			m.failed = true
		}
	case reflect.Struct:
		m.fields(p, t)
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() {
			p.form = bytesID
			return
		}
		if t.Elem().Kind() == reflect.Uint8 {
			m.failed = true // bytes to gob, whatever methods they have
			return
		}
		p.elem = m.part(p, t.Elem())
	case reflect.Array:
		p.elem = m.part(p, t.Elem())
		p.addressed = p.elem.addressed
	case reflect.Map:
		m.entries(p, t)
	default:
		m.failed = m.failed || p.form == 0
	}
}

var forms = map[reflect.Kind]form{
	reflect.Bool: boolID, reflect.Float32: floatID, reflect.Float64: floatID, reflect.String: stringID,
	reflect.Int: intID, reflect.Int8: intID, reflect.Int16: intID, reflect.Int32: intID, reflect.Int64: intID,
	reflect.Uint: uintID, reflect.Uint8: uintID, reflect.Uint16: uintID, reflect.Uint32: uintID, reflect.Uint64: uintID,
	reflect.Uintptr: uintID, reflect.Complex64: complexID, reflect.Complex128: complexID,
	reflect.Pointer: pointerForm, reflect.Struct: structForm,
	reflect.Slice: sliceForm, reflect.Array: arrayForm, reflect.Map: mapForm,
}

// entries makes p the plan for a map.
func (m *planner) entries(p *plan, t reflect.Type) {
	p.key, p.elem = m.part(p, t.Key()), m.part(p, t.Elem())
	if p.key.addressed || p.elem.addressed { // an entry has no address, and gob refuses it
		m.failed = true
	}
	if p.key.form == stringID && p.elem.form == stringID {
		p.form = textMapForm
	}
}

// fields makes p the plan for a struct.
func (m *planner) fields(p *plan, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !isSent(f) {
			continue
		}
		part := m.part(p, f.Type)
		p.fields = append(p.fields, field{f.Name, f.Offset, part})
		p.addressed = p.addressed || part.addressed
	}
	if len(p.fields) == 0 {
		m.failed = true // gob says what it thinks of it
	}
}

// isSent reports whether gob knows of a field.
func isSent(f reflect.StructField) bool {
	t := f.Type
	for t.Kind() == reflect.Pointer && t.Elem() != t {
		t = t.Elem()
	}
	return f.IsExported() && t.Kind() != reflect.Chan && t.Kind() != reflect.Func
}

// isNumber reports whether values are a number each, which is loaded and stored.
func (p *plan) isNumber() bool { return boolID <= p.form && p.form <= floatID }
