package codec

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
)

// An encoder follows a value as deep as it goes, and one that holds itself
// until the stack is used up, which ends the process. (Package encoding/json
// sees cycles, but not that a list is a million elements long.) So values of
// types that may nest without bound are looked through before they are encoded.

// A nestingRule is how an encoder goes through values.
type nestingRule struct {
	levels    int // how deep it may go
	tooDeep   error
	alone     func(reflect.Type) bool        // values of the type are left to a method of theirs
	sends     func(reflect.StructField) bool // the field is encoded
	nilInside error                          // of a pointer to nothing in an interface, if that fails

	shapes sync.Map // reflect.Type → *shape
}

var gobNesting = nestingRule{
	levels:    maxGobDepth,
	tooDeep:   errTooDeep,
	alone:     encodesItself,
	sends:     func(f reflect.StructField) bool { return f.IsExported() },
	nilInside: errors.New("gob: cannot encode a nil pointer inside an interface"),
}

var jsonNesting = nestingRule{
	levels:  maxJSONDepth,
	tooDeep: fmt.Errorf("%w, %d levels are allowed in JSON", ErrTooDeep, maxJSONDepth),
	alone: func(t reflect.Type) bool {
		return implements[json.Marshaler](t) || implements[encoding.TextMarshaler](t)
	},
	sends: func(f reflect.StructField) bool { return (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" },
}

// maxJSONDepth counts interfaces beside what is in them. It is there to protect
// the stack; readers have a limit of 10,000 objects and arrays.
const maxJSONDepth = 20_000

// errTooDeep says which limit a gob value exceeds.
var errTooDeep = fmt.Errorf("%w, %d levels are allowed in gob", ErrTooDeep, maxGobDepth)

// encodesItself tells whether gob leaves the encoding of values of t to a
// method of theirs.
func encodesItself(t reflect.Type) bool {
	return implements[gob.GobEncoder](t) || implements[encoding.BinaryMarshaler](t)
}

// implements tells whether t or a pointer to it has the methods of I.
func implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}

// A shape is what there is to look through in values of a type.
type shape struct {
	nests bool        // a value may hold others without bound, in interfaces or of its own type
	parts []shapePart // where it does: fields, or the key and the element
}

// A shapePart is a field of a struct, or an element, whose own type nests.
type shapePart struct {
	index int // of the field; of a map 0: the key, 1: the element
	shape *shape
}

// shapeOf returns the shape of a type, or of what it points to.
func (r *nestingRule) shapeOf(t reflect.Type) *shape {
	if s, ok := r.shapes.Load(t); ok {
		return s.(*shape)
	}
	b := shapeBuilder{rule: r, made: make(map[reflect.Type]*shape), open: make(map[*shape]bool)}
	s := b.shape(t)
	for made, shape := range b.made {
		r.shapes.Store(made, shape)
	}
	r.shapes.Store(t, s)
	return s
}

// A shapeBuilder makes the shapes of a type and of those in it.
type shapeBuilder struct {
	rule *nestingRule
	made map[reflect.Type]*shape
	open map[*shape]bool // those that are being made: met again, the type holds itself
}

func (b *shapeBuilder) shape(t reflect.Type) *shape {
	t = baseOf(t)
	if known, ok := b.rule.shapes.Load(t); ok {
		return known.(*shape)
	}
	if made := b.made[t]; made != nil {
		return made
	}
	s := &shape{}
	b.made[t], b.open[s] = s, true
	if !b.rule.alone(t) {
		b.addParts(s, t)
	}
	delete(b.open, s)
	return s
}

func (b *shapeBuilder) addParts(s *shape, t reflect.Type) {
	switch t.Kind() {
	case reflect.Interface:
		s.nests = true
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); b.rule.sends(f) {
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

// addPart adds a part of type t, if it nests.
func (b *shapeBuilder) addPart(s *shape, index int, t reflect.Type) {
	if part := b.shape(t); part.nests || b.open[part] {
		s.nests = true
		s.parts = append(s.parts, shapePart{index, part})
	}
}

// maxPointers is more pointers to pointers than a type has, unless it is one
// that points to itself, which encoders refuse.
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

// check refuses a value that is nested too deep for a decoder, or is too large
// for room bytes (0: no limit) by the number of its parts alone, each of which
// takes a byte at least.
func (r *nestingRule) check(v any, room int) error {
	if v == nil {
		return nil
	}
	s := r.shapeOf(reflect.TypeOf(v))
	if !s.nests {
		return nil
	}
	if room == 0 {
		room = math.MaxInt32
	}
	n := nesting{rule: r, room: room}
	return n.visit(reflect.ValueOf(v), s)
}

// A nesting is a walk through a value that has not been encoded yet.
type nesting struct {
	rule               *nestingRule
	room, parts, depth int

	last  reflect.Type // found in an interface
	shape *shape       // its shape
}

func (n *nesting) visit(v reflect.Value, s *shape) (err error) {
	if v = present(v); !v.IsValid() {
		return nil
	}
	if n.depth++; n.depth > n.rule.levels {
		return fmt.Errorf("%w: does it hold itself?", n.rule.tooDeep)
	}
	if n.parts++; n.parts > n.room {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, n.room)
	}
	switch v.Kind() {
	case reflect.Interface:
		err = n.dynamic(v.Elem())
	case reflect.Struct:
		for i := 0; i < len(s.parts) && err == nil; i++ {
			if field := v.Field(s.parts[i].index); !field.IsZero() { // it may be left out
				err = n.visit(field, s.parts[i].shape)
			}
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

// present returns what v points to, unless that is nothing, or empty.
func present(v reflect.Value) reflect.Value {
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
		n.last, n.shape = t, n.rule.shapeOf(t)
	}
	shape := n.shape
	for i := 0; v.Kind() == reflect.Pointer && i < maxPointers; i++ {
		if v = v.Elem(); !v.IsValid() {
			return n.rule.nilInside
		}
	}
	if !shape.nests {
		return nil
	}
	return n.visit(v, shape)
}

func (n *nesting) entries(v reflect.Value, s *shape) error {
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
