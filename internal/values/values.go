// Package values makes the values that a method is called with, by their types.
//
// A codec decodes into a pointer to what is no pointer itself, and encodes such a
// pointer: a type whose pointer encodes itself is recognized by it. A method may
// declare anything: a value, a pointer, a pointer to a pointer. So for each value there
// are two views, that of the codec, the target, and that of the method:
//
//	declared   target     method's value
//	T          *T ───────→ T
//	*T         *T ═══════ *T
//	**T        *T ←────── **T
package values

import (
	"reflect"
	"slices"

	"geerpc/internal/replycopy"
	"geerpc/internal/usercode"
)

// NewArgs returns an argument of type t, and what a codec decodes into to fill it.
func NewArgs(t reflect.Type) (target, args reflect.Value) {
	if t.Kind() == reflect.Pointer {
		return NewPointer(t)
	}
	target = reflect.New(t)
	return target, target.Elem()
}

// NewPointer returns a value of the pointer type t, and what a codec decodes into to
// fill it: the same pointer or, if t is a pointer to a pointer, the innermost.
func NewPointer(t reflect.Type) (target, p reflect.Value) {
	p = reflect.New(t.Elem())
	target = p
	if t.Elem().Kind() == reflect.Pointer {
		var inner reflect.Value
		target, inner = NewPointer(t.Elem())
		p.Elem().Set(inner)
	}
	if p.Type() != t { // t has a name
		p = p.Convert(t)
	}
	return target, p
}

// NewReply returns a pointer to a new value of type t. If made is set, a map or a slice
// is not nil but empty.
func NewReply(t reflect.Type, made bool) reflect.Value {
	reply := reflect.New(t)
	switch {
	case made && t.Kind() == reflect.Map:
		reply.Elem().Set(reflect.MakeMap(t))
	case made && t.Kind() == reflect.Slice:
		reply.Elem().Set(reflect.MakeSlice(t, 0, 0))
	}
	return reply
}

// Innermost follows pointers to pointers to the last of them, which is nil if one of
// them is.
func Innermost(p reflect.Value) reflect.Value {
	for p.Type().Elem().Kind() == reflect.Pointer {
		if p.IsNil() {
			p = reflect.Zero(p.Type().Elem())
		} else {
			p = p.Elem()
		}
	}
	return p.Convert(reflect.PointerTo(p.Type().Elem())) // its type may have a name
}

// maxReused limits the memory of a value that is used again.
const maxReused = 256

// IsSmall reports whether a value of a type is small enough to be used again.
func IsSmall(t reflect.Type) bool { return t.Size() <= maxReused }

// IsCopied reports whether code that gets a value of a type has nothing but a copy of
// it, and the value is small, so that it can be used again. A value that leads to other
// memory may lead into itself: a slice of an array that is in it.
func IsCopied(t reflect.Type) bool { return IsSmall(t) && !replycopy.Leads(t) }

// Unsendable returns a type that no codec can carry, if t is or consists of one: a
// channel, a function or a bare pointer. It does not look at the fields of structs,
// which codecs may leave out, nor at types that encode themselves.
func Unsendable(t reflect.Type) reflect.Type { return unsendable(t, 0) }

// maxParts is how deep Unsendable looks: a type may consist of itself.
const maxParts = 10

func unsendable(t reflect.Type, depth int) (bad reflect.Type) {
	if depth == maxParts || slices.ContainsFunc(usercode.Encoders, reflect.PointerTo(t).Implements) {
		return nil
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return t
	case reflect.Map:
		if bad = unsendable(t.Key(), depth+1); bad != nil {
			return bad
		}
		return unsendable(t.Elem(), depth+1)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return unsendable(t.Elem(), depth+1)
	}
	return nil
}
