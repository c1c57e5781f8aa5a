package gobstream

import (
	"encoding"
	"encoding/gob"
	"reflect"
)

// A coder calls the methods of values that encode and decode themselves.
type coder struct {
	kind    kind         // as which gob defines the type
	of      reflect.Type // the type with the methods, of which the value may be a pointer
	pointer bool         // it is
	encode  func(v any) ([]byte, error)
	decode  func(v any, data []byte) error
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

// code makes p the plan for a type with methods of its own, or for a pointer to one. It
// returns false if gob must call them.
func (p *plan) code(t reflect.Type) bool {
	c := coder{of: t}
	if t.Kind() == reflect.Pointer {
		c.of, c.pointer = t.Elem(), true
	}
	if c.of.Kind() == reflect.Pointer || c.of.Kind() == reflect.Interface {
		return false
	}
	address := reflect.PointerTo(c.of)
	for i, methods := range coders {
		encodes, decodes := address.Implements(encoders[i]), address.Implements(decoders[i])
		if !encodes && !decodes {
			continue
		}
		if !encodes || !decodes || c.of.Implements(decoders[i]) {
			return false
		}
		c.kind, c.encode, c.decode = methods.kind, methods.encode, methods.decode
		p.form, p.coder = coderForm, &c
		p.addressed = !c.pointer && !c.of.Implements(encoders[i])
		return true
	}
	return false
}

// pointerTo returns a pointer to the value at an address, or the pointer that it is.
func (c *coder) pointerTo(at address) any {
	if c.pointer {
		at = *at.pointer() // nil may encode itself
	}
	return at.pointerTo(c.of).Interface()
}
