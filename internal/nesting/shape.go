package nesting

import "reflect"

// A shape is what Check has to visit in the values of a type.
type shape struct {
	unbounded bool   // the type does not bound how deep its values are
	parts     []part // those that are unbounded: fields, elements, or keys and elements
}

// A part is a field of a struct, or an element, whose own type is unbounded.
type part struct {
	index int // of a field; of a map 0: the key, 1: the element
	shape *shape
}

// shapeOf returns the shape of t, or of what t points to.
func (r *Rule) shapeOf(t reflect.Type) *shape {
	if s, ok := r.shapes.Load(t); ok {
		return s.(*shape)
	}
	b := shapeBuilder{rule: r, shapes: make(map[reflect.Type]*shape), building: make(map[*shape]bool)}
	s := b.shapeOf(t)
	for t, s := range b.shapes {
		r.shapes.Store(t, s)
	}
	r.shapes.Store(t, s)
	return s
}

// A shapeBuilder builds the shapes of a type and of the types in it.
type shapeBuilder struct {
	rule     *Rule
	shapes   map[reflect.Type]*shape
	building map[*shape]bool // met again while it is built, a type holds itself
}

func (b *shapeBuilder) shapeOf(t reflect.Type) *shape {
	t = Base(t)
	if s, ok := b.rule.shapes.Load(t); ok {
		return s.(*shape)
	}
	if s := b.shapes[t]; s != nil {
		return s
	}
	s := &shape{}
	b.shapes[t], b.building[s] = s, true
	if !Implements(t, b.rule.Encoders) {
		b.addParts(s, t)
	}
	delete(b.building, s)
	return s
}

func (b *shapeBuilder) addParts(s *shape, t reflect.Type) {
	switch t.Kind() {
	case reflect.Interface:
		s.unbounded = true
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); b.rule.Encoded(f) {
				b.addPart(s, i, f.Type)
			}
		}
	case reflect.Slice, reflect.Array:
		b.addPart(s, 0, t.Elem())
	case reflect.Map:
		b.addPart(s, 0, t.Key())
		b.addPart(s, 1, t.Elem())
	}
}

// addPart adds a part of type t if it is unbounded.
func (b *shapeBuilder) addPart(s *shape, index int, t reflect.Type) {
	if p := b.shapeOf(t); p.unbounded || b.building[p] {
		s.unbounded = true
		s.parts = append(s.parts, part{index, p})
	}
}

// MaxPointers is more pointers to pointers than a type has, except for a type
// that points to itself, which encoders refuse.
const MaxPointers = 100

// Base returns t, or the type at the end of its pointers.
func Base(t reflect.Type) reflect.Type {
	for range MaxPointers {
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t
}

// Implements reports whether t, or a pointer to it, implements one of the
// interfaces.
func Implements(t reflect.Type, interfaces []reflect.Type) bool {
	for _, i := range interfaces {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}
