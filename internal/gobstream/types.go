package gobstream

import (
	"encoding"
	"encoding/gob"
	"errors"
	"reflect"
	"sync"

	"geerpc/internal/nesting"
)

// Gob leaves the values of types with these methods to the methods.
var (
	encoders = []reflect.Type{reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler]()}
	decoders = []reflect.Type{reflect.TypeFor[gob.GobDecoder](), reflect.TypeFor[encoding.BinaryUnmarshaler]()}
)

// nestingRule is how gob goes through values. For a pointer to a nil pointer
// inside an interface it sends nothing at all, and a decoder takes what follows
// for the value.
var nestingRule = nesting.Rule{
	MaxDepth:       maxDepth,
	TooDeep:        errTooDeep,
	Encoders:       encoders,
	Encoded:        func(f reflect.StructField) bool { return f.IsExported() },
	NilInInterface: errors.New("gob: cannot encode a nil pointer inside an interface"),
}

// codesItself reports whether gob leaves encoding or decoding values of t to
// their methods.
func codesItself(t reflect.Type) bool {
	return nesting.Implements(t, encoders) || nesting.Implements(t, decoders)
}

// target returns what v points to, or v itself, or an invalid Value for a nil pointer.
func target(v any) reflect.Value {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		return r.Elem()
	}
	return r
}

// targetType returns the type of the target of a value of t. For nil it is nil.
func targetType(t reflect.Type) reflect.Type {
	if t != nil && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// encodable returns what gob can encode in place of v. Of several pointers it is
// the last, because gob calls methods of the type with the wrong one. In place
// of a nil pointer it is a pointer to a zero value, which gob sends as far as it
// can.
func encodable(v any) any {
	r := reflect.ValueOf(v)
	for range nesting.MaxPointers {
		if r.Kind() != reflect.Pointer || r.IsNil() || r.Elem().Kind() != reflect.Pointer {
			break
		}
		r = r.Elem()
	}
	if r.Kind() != reflect.Pointer || !r.IsNil() {
		return r.Interface()
	}
	return reflect.New(nesting.Base(r.Type())).Interface()
}

var interfaceHolders sync.Map // reflect.Type → bool

// holdsInterface reports whether values of t may hold an interface, and in it a
// type that gob defines in the middle of the value.
func holdsInterface(t reflect.Type) bool {
	if known, ok := interfaceHolders.Load(t); ok {
		return known.(bool)
	}
	found := findInterface(t, make(map[reflect.Type]bool))
	interfaceHolders.Store(t, found)
	return found
}

func findInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || nesting.Implements(t, encoders) {
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
