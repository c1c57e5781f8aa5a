package codec

import (
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
)

// A gobShape is what has to be known of a type before gob may see its values:
// gob follows a value as deep as it goes, and one that holds itself until the
// stack is used up, which ends the process.
type gobShape struct {
	nests bool      // a value may hold others without bound, in interfaces or of its own type
	parts []gobPart // where it does: fields, or the key and the element

	plain  bool // there may be a plan
	fields []gobField
}

// A gobPart is a field of a struct, or an element, whose own type nests.
type gobPart struct {
	index int // of the field; of a map 0: the key, 1: the element
	shape *gobShape
}

var gobShapes sync.Map // reflect.Type → *gobShape

// shapeOf returns the shape of a type, or of what it points to.
func shapeOf(t reflect.Type) *gobShape {
	if s, ok := gobShapes.Load(t); ok {
		return s.(*gobShape)
	}
	b := shapeBuilder{made: make(map[reflect.Type]*gobShape), open: make(map[*gobShape]bool)}
	s := b.shape(t)
	for made, shape := range b.made {
		gobShapes.Store(made, shape)
	}
	gobShapes.Store(t, s)
	return s
}

// A shapeBuilder makes the shapes of a type and of those in it.
type shapeBuilder struct {
	made map[reflect.Type]*gobShape
	open map[*gobShape]bool // those that are being made: met again, the type holds itself
}

func (b *shapeBuilder) shape(t reflect.Type) *gobShape {
	t = baseOf(t)
	if known, ok := gobShapes.Load(t); ok {
		return known.(*gobShape)
	}
	if made := b.made[t]; made != nil {
		return made
	}
	s := &gobShape{}
	b.made[t], b.open[s] = s, true
	s.fields, s.plain = plainFields(t)
	switch {
	case encodesItself(t):
	case t.Kind() == reflect.Interface:
		s.nests = true
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				b.part(s, i, f.Type)
			}
		}
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		b.part(s, 0, t.Elem())
	case t.Kind() == reflect.Map:
		b.part(s, 0, t.Key())
		b.part(s, 1, t.Elem())
	}
	delete(b.open, s)
	return s
}

// part notes a part of s of type t, if it nests.
func (b *shapeBuilder) part(s *gobShape, index int, t reflect.Type) {
	if part := b.shape(t); part.nests || b.open[part] {
		s.nests = true
		s.parts = append(s.parts, gobPart{index, part})
	}
}

// maxPointers is more pointers to pointers than a type has, unless it is one
// that points to itself, which gob refuses.
const maxPointers = 100

// baseOf returns the type that t points to, directly or not, or else t.
func baseOf(t reflect.Type) reflect.Type {
	for range maxPointers {
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
	}
	return t
}

// encodesItself tells whether gob leaves the encoding of values of t to a
// method of theirs.
func encodesItself(t reflect.Type) bool {
	for _, t := range []reflect.Type{t, reflect.PointerTo(t)} {
		if t.Implements(reflect.TypeFor[gob.GobEncoder]()) || t.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) {
			return true
		}
	}
	return false
}

// errTooDeep says which limit a value exceeds.
var errTooDeep = fmt.Errorf("%w, %d levels are allowed in gob", ErrTooDeep, maxGobDepth)

var errNilInside = errors.New("gob: cannot encode a nil pointer inside an interface")

// checkNesting refuses a value that is nested too deep for a decoder, or is too
// large for room bytes (0: no limit) by the number of its parts alone, each of
// which takes a byte at least.
func checkNesting(v any, s *gobShape, room int) error {
	if room == 0 {
		room = math.MaxInt32
	}
	n := nesting{room: room}
	return n.visit(reflect.ValueOf(v), s)
}

// A nesting is a walk through a value of which gob has not seen anything yet.
type nesting struct {
	room, parts, depth int

	last  reflect.Type // found in an interface
	shape *gobShape    // its shape
}

func (n *nesting) visit(v reflect.Value, s *gobShape) (err error) {
	if v = n.present(v); !v.IsValid() {
		return nil
	}
	if n.depth++; n.depth > maxGobDepth {
		return fmt.Errorf("%w: does it hold itself?", errTooDeep)
	}
	if n.parts++; n.parts > n.room {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, n.room)
	}
	switch v.Kind() {
	case reflect.Interface:
		err = n.dynamic(v.Elem())
	case reflect.Struct:
		for i := 0; i < len(s.parts) && err == nil; i++ {
			err = n.visit(v.Field(s.parts[i].index), s.parts[i].shape)
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && err == nil; i++ {
			err = n.visit(v.Index(i), s.parts[0].shape)
		}
	case reflect.Map:
		err = n.entries(v, s)
	}
	n.depth--
	return err
}

// present returns what v points to, if gob sends anything of it.
func (n *nesting) present(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return reflect.Value{}
		}
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return reflect.Value{}
		}
	}
	return v
}

// dynamic visits what is in an interface. Gob would send nothing at all for a
// pointer to a nil pointer there, and its decoder take what follows for the value.
func (n *nesting) dynamic(v reflect.Value) error {
	if t := v.Type(); t != n.last {
		n.last, n.shape = t, shapeOf(t)
	}
	shape := n.shape
	for i := 0; v.Kind() == reflect.Pointer && i < maxPointers; i++ {
		if v = v.Elem(); !v.IsValid() {
			return errNilInside
		}
	}
	if !shape.nests {
		return nil
	}
	return n.visit(v, shape)
}

func (n *nesting) entries(v reflect.Value, s *gobShape) error {
	entry := [2]reflect.Value{reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()}
	for i := v.MapRange(); i.Next(); {
		entry[0].SetIterKey(i)
		entry[1].SetIterValue(i)
		for _, part := range s.parts {
			if err := n.visit(entry[part.index], part.shape); err != nil {
				return err
			}
		}
	}
	return nil
}

var interfaceHolders sync.Map // reflect.Type → bool

// holdsInterface tells whether a value of type t may hold an interface value
// somewhere, and with it a type that gob defines on the way.
func holdsInterface(t reflect.Type) bool {
	if known, ok := interfaceHolders.Load(t); ok {
		return known.(bool)
	}
	found := findInterface(t, make(map[reflect.Type]bool))
	interfaceHolders.Store(t, found)
	return found
}

func findInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || encodesItself(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return findInterface(t.Key(), seen) || findInterface(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && findInterface(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
