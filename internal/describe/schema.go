package describe

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

const dialect = "https://json-schema.org/draft/2020-12/schema"

// A schema is a JSON Schema, as far as Go types need it. The zero schema takes any value.
type schema struct {
	Dialect         string     `json:"$schema,omitempty"`
	Ref             string     `json:"$ref,omitempty"`
	Description     string     `json:"description,omitempty"`
	Type            any        `json:"type,omitempty"` // a string, or several
	Format          string     `json:"format,omitempty"`
	ContentEncoding string     `json:"contentEncoding,omitempty"`
	Pattern         string     `json:"pattern,omitempty"`
	Minimum         *int64     `json:"minimum,omitempty"`
	Maximum         *int64     `json:"maximum,omitempty"`
	Items           *schema    `json:"items,omitempty"`
	MaxItems        *int       `json:"maxItems,omitempty"`
	Properties      properties `json:"properties,omitempty"`
	PropertyNames   *schema    `json:"propertyNames,omitempty"`
	Values          *schema    `json:"additionalProperties,omitempty"`
	AnyOf           []*schema  `json:"anyOf,omitempty"`
	Not             *schema    `json:"not,omitempty"`
	Defs            properties `json:"$defs,omitempty"`
}

// properties are schemas by name, in the order of their declaration.
type properties []property

type property struct {
	name   string
	schema *schema
}

// MarshalJSON implements json.Marshaler.
func (ps properties) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for i, p := range ps {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		out.WriteByte(separator)
		out.Write(encode(p.name))
		out.WriteByte(':')
		out.Write(encode(p.schema))
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// encode returns a value in JSON. It can't fail for strings and schemas; if a user's value
// fails, the text is empty.
func encode(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

// schemaOf returns the schema of a type. Named types that are made of others are in
// $defs, so that a type may contain itself.
func schemaOf(t reflect.Type) json.RawMessage {
	s := schemas{names: newNames(keyName)}
	root := s.of(t, 0)
	root.Dialect, root.Defs = dialect, s.defs
	return encode(root)
}

// keyName makes the name of a type one that needs no escapes in a reference.
func keyName(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '_'
	}, name)
}

type schemas struct {
	names names
	defs  properties
}

// of returns the schema of a type, or a reference to it.
func (s *schemas) of(t reflect.Type, depth int) *schema {
	if depth++; depth > maxNesting {
		return &schema{Description: "nested too deep to describe"}
	}
	switch formOf(t) {
	case ownJSON:
		return &schema{Description: "as the Go type " + t.String() + " encodes itself"}
	case ownText:
		return &schema{Type: "string", Description: "as the Go type " + t.String() + " encodes itself"}
	case timestamp:
		return &schema{Type: "string", Format: "date-time"}
	case nanoseconds:
		return &schema{Type: "integer", Description: "nanoseconds"}
	case jsonNumber:
		return &schema{Type: "number"}
	}
	if !isNamed(t) || !isComposite(t) {
		return s.underlying(t, depth)
	}
	if _, known := s.names.of[t]; !known && s.names.full() {
		return &schema{Description: "Go type " + t.String()}
	}
	name, isNew := s.names.name(t)
	if isNew {
		at := len(s.defs)
		s.defs = append(s.defs, property{name: name})
		s.defs[at].schema = s.underlying(t, 0)
	}
	return &schema{Ref: "#/$defs/" + name}
}

// isComposite reports whether a type is made of others.
func isComposite(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
		return true
	}
	return false
}

// underlying returns the schema of the values of a type's kind.
func (s *schemas) underlying(t reflect.Type, depth int) *schema {
	switch t.Kind() {
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Float32, reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Interface:
		return interfaceSchema(t)
	case reflect.Pointer:
		return nullable(s.of(t.Elem(), depth))
	case reflect.Slice:
		if isBytes(t) {
			return nullable(&schema{Type: "string", ContentEncoding: "base64"})
		}
		return nullable(&schema{Type: "array", Items: s.of(t.Elem(), depth)})
	case reflect.Array:
		length := t.Len()
		return &schema{Type: "array", Items: s.of(t.Elem(), depth), MaxItems: &length}
	case reflect.Map:
		return s.mapping(t, depth)
	case reflect.Struct:
		return s.object(t, depth)
	}
	if isInteger(t) {
		return integerSchema(t)
	}
	return impossible(t)
}

// impossible returns the schema of a type that has no values in JSON.
func impossible(t reflect.Type) *schema {
	return &schema{Not: &schema{}, Description: "the Go type " + t.String() + " can't be expressed in JSON"}
}

func interfaceSchema(t reflect.Type) *schema {
	if t.NumMethod() == 0 {
		return &schema{}
	}
	return &schema{Description: "the Go interface " + t.String() + ": JSON can't be decoded into it"}
}

// integerSchema has the limits of the type, except those that are no exact numbers in
// some languages.
func integerSchema(t reflect.Type) *schema {
	s := &schema{Type: "integer"}
	bits, signed := t.Bits(), t.Kind() <= reflect.Int64
	lowest, highest := int64(0), int64(1)<<min(bits, 62)-1
	if signed {
		highest >>= 1
		lowest = -highest - 1
	}
	if !signed || bits < 64 {
		s.Minimum = &lowest
	}
	if bits < 64 {
		s.Maximum = &highest
	}
	return s
}

func (s *schemas) mapping(t reflect.Type, depth int) *schema {
	key := t.Key()
	if !isMapKey(key) {
		return impossible(t)
	}
	m := &schema{Type: "object", Values: s.of(t.Elem(), depth)}
	if isInteger(key) && !key.Implements(textMarshaler) {
		m.PropertyNames = &schema{Pattern: "^-?[0-9]+$"}
	}
	return nullable(m)
}

func (s *schemas) object(t reflect.Type, depth int) *schema {
	o := &schema{Type: "object"}
	for _, f := range fieldsOf(t) {
		value := s.of(f.typ, depth)
		if f.quoted {
			value = quotedSchema(f.typ)
		}
		o.Properties = append(o.Properties, property{f.name, value})
	}
	return o
}

// quotedSchema returns the schema of a field with the option "string".
func quotedSchema(t reflect.Type) *schema {
	if t.Kind() == reflect.Pointer {
		return nullable(quotedSchema(t.Elem()))
	}
	return &schema{Type: "string", Description: "with a value in JSON inside, of Go's kind " + t.Kind().String()}
}

// nullable returns a schema for the values of another, and for null.
func nullable(s *schema) *schema {
	switch t := s.Type.(type) {
	case string:
		s.Type = []string{t, "null"}
		return s
	case []string:
		return s
	}
	if s.Ref != "" {
		return &schema{AnyOf: []*schema{s, {Type: "null"}}}
	}
	return s // any value, or none
}
