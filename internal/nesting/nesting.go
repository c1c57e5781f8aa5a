// Package nesting refuses values that are nested too deep, or that have too
// many parts, before they are encoded.
//
// An encoder follows a value as deep as it goes. A value that holds itself
// makes it use up the stack, which ends the process. (Package encoding/json
// detects cycles, but not a list of a million elements.)
//
// Most types bound how deep their values are, and those values are not visited.
// The others hold an interface, or values of their own type.
package nesting

import (
	"fmt"
	"math"
	"reflect"
	"sync"

	"geerpc/internal/wire"
)

// A Rule describes how an encoder goes through values. It must not be copied,
// and is safe for concurrent use.
type Rule struct {
	MaxDepth int   // levels that a value may have
	TooDeep  error // the error of a value that has more

	// Encoders are the interfaces of types that encode themselves. Their
	// values count as a single part.
	Encoders []reflect.Type

	// Encoded reports whether a field of a struct is encoded.
	Encoded func(reflect.StructField) bool

	// NilInInterface is the error of a pointer to a nil pointer inside an
	// interface; nil if the encoder takes it.
	NilInInterface error

	shapes sync.Map // reflect.Type → *shape
}

// Check returns an error if v has more levels than the rule allows, or more
// parts than room (0: any number). Each part takes a byte at least, so room may
// be a number of bytes.
func (r *Rule) Check(v any, room int) error {
	if v == nil {
		return nil
	}
	s := r.shapeOf(reflect.TypeOf(v))
	if !s.unbounded {
		return nil
	}
	if room == 0 {
		room = math.MaxInt32
	}
	c := check{rule: r, room: room}
	return c.visit(reflect.ValueOf(v), s)
}

// A check is one walk through a value.
type check struct {
	rule               *Rule
	room, parts, depth int

	lastType  reflect.Type // of the latest value inside an interface
	lastShape *shape       // its shape
}

func (c *check) visit(v reflect.Value, s *shape) (err error) {
	if v = present(v); !v.IsValid() {
		return nil
	}
	if c.depth++; c.depth > c.rule.MaxDepth {
		return fmt.Errorf("%w: does it hold itself?", c.rule.TooDeep)
	}
	if c.parts++; c.parts > c.room {
		return wire.MoreThan(c.room)
	}
	switch v.Kind() {
	case reflect.Interface:
		err = c.visitDynamic(v.Elem())
	case reflect.Struct:
		for i := 0; i < len(s.parts) && err == nil; i++ {
			if field := v.Field(s.parts[i].index); !field.IsZero() { // encoders may omit zero fields
				err = c.visit(field, s.parts[i].shape)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && err == nil; i++ {
			err = c.visit(v.Index(i), s.parts[0].shape)
		}
	case reflect.Map:
		err = c.visitEntries(v, s)
	}
	c.depth--
	return err
}

// present returns v, or what it points to. It returns an invalid Value for a
// nil pointer or interface, and for an empty slice or map.
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

// visitDynamic visits the value inside an interface.
func (c *check) visitDynamic(v reflect.Value) error {
	if t := v.Type(); t != c.lastType {
		c.lastType, c.lastShape = t, c.rule.shapeOf(t)
	}
	s := c.lastShape // a visit changes it
	for i := 0; v.Kind() == reflect.Pointer && i < MaxPointers; i++ {
		if v = v.Elem(); !v.IsValid() {
			return c.rule.NilInInterface
		}
	}
	if !s.unbounded {
		return nil
	}
	return c.visit(v, s)
}

func (c *check) visitEntries(v reflect.Value, s *shape) error {
	entry := [2]reflect.Value{reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()}
	for i := v.MapRange(); i.Next(); {
		entry[0].SetIterKey(i)
		entry[1].SetIterValue(i)
		for _, p := range s.parts {
			if err := c.visit(entry[p.index], p.shape); err != nil {
				return err
			}
		}
	}
	return nil
}
