package describe

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"geerpc/internal/usercode"
)

// exampleOf returns a value of a type, with something in each field. If the type contains
// itself, the inner value is left out.
func exampleOf(t reflect.Type) json.RawMessage {
	e := examples{left: maxExampleValues}
	text, ok := e.of(t)
	if !ok {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

type examples struct {
	left int            // values that may still be written
	path []reflect.Type // the types around the one being written
}

// of returns an example, or false if there is none or it would be one too many.
func (e *examples) of(t reflect.Type) (text string, ok bool) {
	switch formOf(t) {
	case ownJSON:
		return ownExample(t, "null"), true
	case ownText:
		return ownExample(t, `"text"`), true
	case timestamp:
		return `"2026-01-02T15:04:05Z"`, true
	case nanoseconds:
		return "1000000000", true
	case jsonNumber:
		return "1", true
	}
	if e.left--; e.left < 0 || len(e.path) > maxNesting || slices.Contains(e.path, t) {
		return "", false
	}
	e.path = append(e.path, t)
	defer func() { e.path = e.path[:len(e.path)-1] }()
	return e.ofKind(t)
}

// ofKind returns an example by the kind of a type.
func (e *examples) ofKind(t reflect.Type) (text string, ok bool) {
	switch t.Kind() {
	case reflect.Bool:
		return "true", true
	case reflect.String:
		return `"text"`, true
	case reflect.Float32, reflect.Float64:
		return "1.5", true
	case reflect.Interface:
		return "null", true
	case reflect.Pointer:
		return e.of(t.Elem())
	case reflect.Slice:
		if isBytes(t) {
			return `"Ynl0ZXM="`, true
		}
		return e.list(t), true
	case reflect.Array:
		return e.list(t), true
	case reflect.Map:
		return e.mapping(t)
	case reflect.Struct:
		return e.object(t), true
	}
	if isInteger(t) {
		return "1", true
	}
	return "", false
}

func (e *examples) list(t reflect.Type) string {
	if t.Kind() == reflect.Array && t.Len() == 0 {
		return "[]"
	}
	elem, _ := e.of(t.Elem())
	return "[" + elem + "]"
}

func (e *examples) mapping(t reflect.Type) (text string, ok bool) {
	key, keyType := `"key"`, t.Key()
	switch {
	case !isMapKey(keyType):
		return "", false
	case keyType.Kind() == reflect.String:
	case keyType.Implements(textMarshaler):
		key = ownExample(keyType, key)
	default:
		key = `"1"`
	}
	value, ok := e.of(t.Elem())
	if !ok {
		return "{}", true
	}
	return "{" + key + ":" + value + "}", true
}

func (e *examples) object(t reflect.Type) string {
	var fields []string
	for _, f := range fieldsOf(t) {
		value, ok := e.of(f.typ)
		if !ok {
			continue
		}
		if f.quoted {
			value = string(encode(value))
		}
		fields = append(fields, string(encode(f.name))+":"+value)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// ownExample returns how the zero value of a type encodes itself. If its method fails,
// panics or does not return, or returns what is too much for an example, it returns
// instead.
func ownExample(t reflect.Type, instead string) string {
	zero := reflect.New(t).Interface()
	own := usercode.Text(zero, "encoding", func() string { return string(encode(zero)) })
	if !json.Valid([]byte(own)) || len(own) > maxOwnExample { // or usercode reports in prose that the method failed
		return instead
	}
	return own
}
