package gobstream

import "reflect"

// A plan encodes and decodes the values of one struct type without gob. It knows
// only values: gob defines and checks types, and takes every value that is not
// as the plan expects.
type plan struct {
	id     int     // of the type; a reader's plan has none
	fields []field // of the struct, in the order of their numbers on the stream
}

// A field holds a value of one of gob's basic types.
type field struct {
	index int // among the struct's fields
	basic int // boolID to stringID
}

// maxPlanned is how many fields a plan may have, so that a number is a byte.
const maxPlanned = 127

// basics are the ids of gob's types for kinds that a plan handles.
var basics = map[reflect.Kind]int{
	reflect.Bool: boolID, reflect.Float32: floatID, reflect.Float64: floatID, reflect.String: stringID,
	reflect.Int: intID, reflect.Int8: intID, reflect.Int16: intID, reflect.Int32: intID, reflect.Int64: intID,
	reflect.Uint: uintID, reflect.Uint8: uintID, reflect.Uint16: uintID, reflect.Uint32: uintID, reflect.Uint64: uintID,
}

// basicOf returns the id of gob's type for t, or 0 if no plan handles t.
func basicOf(t reflect.Type) int {
	switch {
	case codesItself(t):
		return 0
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[byte]():
		return bytesID
	}
	return basics[t.Kind()]
}

// fieldsOf returns the fields that a plan for values of t has. If ok is false,
// there is no plan.
func fieldsOf(t reflect.Type) (fields []field, ok bool) {
	if t.Kind() != reflect.Struct || codesItself(t) {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		basic := basicOf(f.Type)
		if basic == 0 || len(fields) == maxPlanned {
			return nil, false
		}
		fields = append(fields, field{i, basic})
	}
	return fields, true
}
