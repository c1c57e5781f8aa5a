// Package describe describes Go types for people and for programs in other languages: in
// Go, as a JSON Schema, and by an example in JSON.
package describe

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// A Type is the description of a type.
type Type struct {
	Go      string          // the declaration, with those of the types in it
	Schema  json.RawMessage // JSON Schema, draft 2020-12
	Example json.RawMessage // a value in JSON
}

// Limits on a description. A type beyond them is any value in the schema, and is left out
// of the Go text and the example.
const (
	maxTypes         = 256     // named types
	maxNesting       = 64      // types inside each other
	maxExampleValues = 256     // values in an example
	maxOwnExample    = 1 << 10 // bytes of a value that encodes itself
)

// Of describes the values of type t as package encoding/json reads and writes them.
// Pointers to t are the same in JSON, so they are not part of the description. No
// property of an object is required, because one that is missing is the zero value.
//
// For the example, Of encodes zero values of types that encode themselves.
func Of(t reflect.Type) Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return Type{Go: goText(t), Schema: schemaOf(t), Example: exampleOf(t)}
}

// A form is how values of a type look in JSON.
type form int

const (
	byKind    form = iota // as all types of their kind
	ownJSON               // by a method, as any value
	ownText               // by a method, as a string
	timestamp             // RFC 3339
	nanoseconds
	jsonNumber
)

var (
	timeType      = reflect.TypeFor[time.Time]()
	durationType  = reflect.TypeFor[time.Duration]()
	numberType    = reflect.TypeFor[json.Number]()
	jsonMethods   = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()}
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	textDecoder   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// formOf returns how values of a type are encoded. Methods of the pointer count.
func formOf(t reflect.Type) form {
	switch t {
	case timeType:
		return timestamp
	case durationType:
		return nanoseconds
	case numberType:
		return jsonNumber
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return byKind
	}
	has := reflect.PointerTo(t).Implements
	switch {
	case has(jsonMethods[0]), has(jsonMethods[1]):
		return ownJSON
	case has(textMarshaler):
		return ownText
	case has(textDecoder):
		return ownJSON // a string in one direction only
	}
	return byKind
}

// isBytes reports whether values of a slice type are base64 in JSON.
func isBytes(t reflect.Type) bool {
	if t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	elem := reflect.PointerTo(t.Elem())
	return !elem.Implements(jsonMethods[0]) && !elem.Implements(textMarshaler)
}

// isMapKey reports whether encoding/json takes a type as the key of maps.
func isMapKey(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Implements(textMarshaler) || isInteger(t)
}

func isInteger(t reflect.Type) bool { return reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr }

// isNamed reports whether a type was declared in a package.
func isNamed(t reflect.Type) bool { return t.Name() != "" && t.PkgPath() != "" }

// names gives each named type a name of its own: the usual one, if no other type in the
// description has it.
type names struct {
	clean func(string) string
	of    map[reflect.Type]string
	taken map[string]bool
}

func newNames(clean func(string) string) names {
	return names{clean: clean, of: make(map[reflect.Type]string), taken: make(map[string]bool)}
}

// name returns the name of t, and whether it is new.
func (n *names) name(t reflect.Type) (name string, isNew bool) {
	if name, known := n.of[t]; known {
		return name, false
	}
	name = n.clean(t.String())
	if n.taken[name] {
		name = n.clean(t.PkgPath() + "." + t.Name())
	}
	for first, i := name, 2; n.taken[name]; i++ { // types that functions declare
		name = fmt.Sprintf("%s_%d", first, i)
	}
	n.of[t], n.taken[name] = name, true
	return name, true
}

// full reports whether there are as many types as a description may have.
func (n *names) full() bool { return len(n.of) >= maxTypes }
