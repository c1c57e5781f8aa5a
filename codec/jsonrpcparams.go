package codec

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"geerpc/internal/nesting"
)

// jsonUnmarshalers are the interfaces of types that decode themselves.
var jsonUnmarshalers = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}

// unmarshalParams1 decodes the params of a request in dialect 1.0.
func unmarshalParams1(params []byte, argument any) error {
	if len(params) == 0 || string(params) == "null" {
		return errors.New("there are no params: they are a list with the argument in it")
	}
	return unmarshalJSON(params, &[1]any{argument})
}

// unmarshalParams decodes the params of a request in dialect 2.0.
func unmarshalParams(params []byte, argument any) error {
	switch {
	case len(params) == 0 || string(params) == "null":
		return nil
	case params[0] == '{':
		return unmarshalJSON(params, argument)
	case params[0] != '[':
		return errors.New("params must be an object or a list")
	}
	first, more := splitJSON(params, 1)
	switch {
	case len(first) == 0:
		return nil
	case more:
		return unmarshalByPosition(params, argument)
	}
	err := unmarshalJSON(first[0], argument)
	var misfit *json.UnmarshalTypeError
	if !errors.As(err, &misfit) || misfit.Field != "" { // of the right type, but for a field
		return err
	}
	switch t := nesting.Base(reflect.TypeOf(argument)); t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array:
		return unmarshalByPosition(params, argument)
	}
	return err
}

// unmarshalByPosition decodes a list into an argument that it gives its fields or
// elements.
func unmarshalByPosition(params []byte, argument any) error {
	t := nesting.Base(reflect.TypeOf(argument))
	itself := nesting.Implements(t, jsonUnmarshalers)
	switch {
	case t.Kind() == reflect.Struct && !itself:
		names := paramNames(t)
		values, more := splitJSON(params, len(names))
		if more {
			return fmt.Errorf("more params than the %d fields of %v", len(names), t)
		}
		return unmarshalJSON(byName(names, values), argument)
	case t.Kind() == reflect.Array && !itself:
		if _, more := splitJSON(params, t.Len()); more {
			return fmt.Errorf("more params than the %d elements of %v", t.Len(), t)
		}
	}
	return unmarshalJSON(params, argument)
}

// byName returns an object with values under the first of some names.
func byName(names []string, values []json.RawMessage) []byte {
	object := []byte{'{'}
	for i, value := range values {
		if i > 0 {
			object = append(object, ',')
		}
		object = appendJSONString(object, names[i])
		object = append(append(object, ':'), value...)
	}
	return append(object, '}')
}

// paramNames returns the names that encoding/json has for the fields of a struct, in the
// order of their declaration. The fields of an embedded struct stand where that does.
func paramNames(t reflect.Type) (names []string) {
	var closed [][]int // embedded fields whose own fields are not ours
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inClosed := func(outer []int) bool { return len(outer) < len(f.Index) && slices.Equal(outer, f.Index[:len(outer)]) }
		switch {
		case slices.ContainsFunc(closed, inClosed):
		case f.Anonymous && name == "" && nesting.Base(f.Type).Kind() == reflect.Struct:
		default:
			closed = append(closed, f.Index)
			if f.IsExported() && tag != "-" {
				names = append(names, cmp.Or(name, f.Name))
			}
		}
	}
	return names
}
