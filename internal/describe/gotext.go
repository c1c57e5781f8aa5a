package describe

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// goText returns a type in Go, followed by the declarations of the named types in it, each
// once. Types that encode themselves are not declared, because nobody sends their fields.
func goText(t reflect.Type) string {
	g := goTypes{names: newNames(anyName)}
	text := g.expr(t, 0)
	if len(g.declare) > 0 && g.declare[0] == t {
		text = "" // its declaration is next
	}
	var out strings.Builder
	out.WriteString(text)
	for i := 0; i < len(g.declare); i++ { // which grows meanwhile
		if out.Len() > 0 {
			out.WriteString("\n\n")
		}
		name, _ := g.names.name(g.declare[i])
		out.WriteString("type " + name + " " + g.underlying(g.declare[i]))
	}
	return out.String()
}

// anyName replaces the old spelling of any, which package reflect has.
func anyName(s string) string { return strings.ReplaceAll(s, "interface {}", "any") }

type goTypes struct {
	names   names
	declare []reflect.Type
}

// expr returns a type as declarations refer to it.
func (g *goTypes) expr(t reflect.Type, depth int) string {
	if depth++; depth > maxNesting {
		return "…"
	}
	if isNamed(t) {
		if g.names.full() {
			return anyName(t.String())
		}
		name, isNew := g.names.name(t)
		if isNew && formOf(t) == byKind {
			g.declare = append(g.declare, t)
		}
		return name
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.anonymous(t, depth)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
		return g.composite(t, depth)
	}
	return anyName(t.String())
}

// composite returns the literal of a type that is made of others.
func (g *goTypes) composite(t reflect.Type, depth int) string {
	elem := g.expr(t.Elem(), depth)
	if elem == "uint8" {
		elem = "byte"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + elem
	case reflect.Slice:
		return "[]" + elem
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), elem)
	case reflect.Map:
		return "map[" + g.expr(t.Key(), depth) + "]" + elem
	}
	return t.ChanDir().String() + " " + elem
}

// anonymous returns a struct without a name, on one line.
func (g *goTypes) anonymous(t reflect.Type, depth int) string {
	var fields []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			fields = append(fields, strings.Join(g.field(f, depth), " "))
		}
	}
	if len(fields) == 0 {
		return "struct{}"
	}
	return "struct { " + strings.Join(fields, "; ") + " }"
}

// field returns the parts of a field: its name, its type and its tag.
func (g *goTypes) field(f reflect.StructField, depth int) (parts []string) {
	if !f.Anonymous {
		parts = append(parts, f.Name)
	}
	parts = append(parts, g.expr(f.Type, depth))
	if f.Tag != "" {
		parts = append(parts, "`"+string(f.Tag)+"`")
	}
	return parts
}

// underlying returns what a named type is.
func (g *goTypes) underlying(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		return g.structure(t)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
		return g.composite(t, 0)
	case reflect.Interface:
		return interfaceText(t)
	}
	return t.Kind().String()
}

// structure returns a struct with a field on each line. Fields that nobody sends are
// left out.
func (g *goTypes) structure(t reflect.Type) string {
	var out strings.Builder
	out.WriteString("struct {\n")
	lines := tabwriter.NewWriter(&out, 0, 0, 1, ' ', 0)
	shown := 0
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			fmt.Fprintf(lines, "    %s\n", strings.Join(g.field(f, 0), "\t"))
			shown++
		}
	}
	lines.Flush()
	if shown == 0 {
		return "struct{}"
	}
	return out.String() + "}"
}

func interfaceText(t reflect.Type) string {
	var methods []string
	for i := range t.NumMethod() {
		m := t.Method(i)
		methods = append(methods, m.Name+anyName(strings.TrimPrefix(m.Type.String(), "func")))
	}
	if len(methods) == 0 {
		return "any"
	}
	return "interface { " + strings.Join(methods, "; ") + " }"
}
