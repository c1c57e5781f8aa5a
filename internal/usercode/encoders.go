package usercode

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"reflect"
)

// Encoders are the interfaces by which a type encodes its own values, in gob or in
// JSON. It must not be changed.
var Encoders = []reflect.Type{
	reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler](),
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}
