package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"geerpc"
	"geerpc/internal/introspect"
)

// A fieldCheck warns of fields in JSON that the type of the arguments lacks. The server
// ignores them, so that a method whose argument is misspelt sees its zero value.
type fieldCheck struct {
	asJSON bool
	asked  bool        // the server, for the schema
	schema *argsSchema // nil: not known
	warned map[string]bool
}

// check warns of fields of the arguments of a call that has ended with err, each once. A
// call that did not reach its method has other faults. If the server does not describe
// the method there are no warnings.
func (f *fieldCheck) check(ctx context.Context, c *caller, log io.Writer, body json.RawMessage, err error) {
	var e *geerpc.Error
	var value any
	if err != nil && (!errors.As(err, &e) || e.Where != geerpc.InMethod) || json.Unmarshal(body, &value) != nil {
		return
	}
	switch value.(type) {
	case map[string]any, []any:
	default:
		return
	}
	if !f.asked {
		f.asked, f.schema, f.warned = true, c.argsSchema(ctx), make(map[string]bool)
	}
	for _, warning := range f.schema.unknownFields(value, nil) {
		switch {
		case f.warned[warning]:
			continue
		case f.asJSON:
			json.NewEncoder(log).Encode(map[string]string{"warning": warning})
		default:
			fmt.Fprintln(log, "warning:", warning)
		}
		f.warned[warning] = true
	}
}

// argsSchema asks the server for the schema of the arguments. It returns nil if the server
// does not tell.
func (c *caller) argsSchema(ctx context.Context) *argsSchema {
	d, err := c.describe(ctx, c.service)
	if err != nil || len(d.Services) != 1 {
		return nil
	}
	methods := d.Services[0].Methods
	i := slices.IndexFunc(methods, func(m introspect.MethodInfo) bool { return c.service+"."+m.Name == c.serviceMethod })
	s := new(argsSchema)
	if i < 0 || json.Unmarshal(methods[i].Args.Schema, s) != nil {
		return nil
	}
	return s
}

// An argsSchema is the part of a JSON Schema that says which fields there are.
type argsSchema struct {
	Ref        string                 `json:"$ref"`
	Defs       map[string]*argsSchema `json:"$defs"`
	Type       any                    `json:"type"`
	Properties map[string]*argsSchema `json:"properties"`
	Items      *argsSchema            `json:"items"`
	Values     *argsSchema            `json:"additionalProperties"`
	AnyOf      []*argsSchema          `json:"anyOf"`
}

// unknownFields returns what is wrong with the names in a value. The schema may be nil:
// nothing is wrong then. References are to defs, or to those of the schema itself.
func (s *argsSchema) unknownFields(value any, defs map[string]*argsSchema) (wrong []string) {
	if s != nil && defs == nil {
		defs = s.Defs
	}
	s, name := s.resolve(defs)
	if s == nil {
		return nil
	}
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			wrong = append(wrong, s.Items.unknownFields(item, defs)...)
		}
	case map[string]any:
		isStruct := s.Properties != nil || s.Type == "object" && s.Values == nil
		known := slices.Sorted(maps.Keys(s.Properties))
		for _, field := range slices.Sorted(maps.Keys(value)) {
			// encoding/json takes a name without regard to case, too.
			i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, field) })
			switch {
			case i >= 0:
				wrong = append(wrong, s.Properties[known[i]].unknownFields(value[field], defs)...)
			case isStruct:
				wrong = append(wrong, fmt.Sprintf("%s has no field %s%s", cmp.Or(name, "the argument"), field, didYouMean(field, known)))
			default:
				wrong = append(wrong, s.Values.unknownFields(value[field], defs)...)
			}
		}
	}
	return wrong
}

// resolve follows references, and returns the schema with the name of its type. A value
// that may be null has a reference and null to choose from. The number of steps is limited,
// because references may run in circles.
func (s *argsSchema) resolve(defs map[string]*argsSchema) (resolved *argsSchema, name string) {
	for range 16 {
		switch {
		case s == nil:
			return nil, ""
		case s.Ref != "":
			name = strings.TrimPrefix(s.Ref, "#/$defs/")
			s = defs[name]
		case len(s.AnyOf) > 0:
			s = s.AnyOf[0]
		default:
			return s, name
		}
	}
	return nil, ""
}
