package describe

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A field is a property of an object in JSON.
type field struct {
	name   string
	typ    reflect.Type
	quoted bool // the value is inside a string

	tagged bool  // the name is from the tag
	index  []int // of the field, through the structs that are embedded
}

// fieldsOf returns the properties of a struct by the rules of encoding/json: those of
// embedded structs count as the struct's own, and of those with the same name the one
// that is embedded least deeply wins; if that is not one alone, a name from a tag; and
// if that is not one alone, none.
func fieldsOf(t reflect.Type) (fields []field) {
	all := collectFields(t)
	byName := make(map[string][]field)
	for _, f := range all {
		byName[f.name] = append(byName[f.name], f)
	}
	for _, f := range all {
		if winner, ok := dominant(byName[f.name]); ok && slices.Equal(winner.index, f.index) {
			fields = append(fields, f)
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return fields
}

// dominant returns which of the fields with one name is in JSON, if any is.
func dominant(fields []field) (field, bool) {
	best := slices.MinFunc(fields, compareRank)
	ties := 0
	for _, f := range fields {
		if compareRank(f, best) == 0 {
			ties++
		}
	}
	return best, ties == 1
}

func compareRank(a, b field) int {
	untagged := func(f field) int {
		if f.tagged {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(len(a.index), len(b.index)), cmp.Compare(untagged(a), untagged(b)))
}

// An embedding is a struct whose fields count, and how often it occurs at its depth.
type embedding struct {
	typ   reflect.Type
	index []int
}

// collectFields returns all fields level by level, even those that others hide. A struct
// that is embedded again at a deeper level adds nothing, because its fields are hidden
// there. One that is embedded several times at one level is visited twice, so that its
// fields hide each other.
func collectFields(t reflect.Type) (fields []field) {
	visited := make(map[reflect.Type]bool)
	for level := []embedding{{typ: t}}; len(level) > 0; {
		var next []embedding
		seen := make(map[reflect.Type]int)
		for _, e := range level {
			if seen[e.typ]++; visited[e.typ] || seen[e.typ] > 2 {
				continue
			}
			own, embedded := e.fields()
			fields = append(fields, own...)
			next = append(next, embedded...)
		}
		for typ := range seen {
			visited[typ] = true
		}
		level = next
	}
	return fields
}

// fields returns the properties of one struct, and the structs that it embeds.
func (e embedding) fields() (own []field, embedded []embedding) {
	for i := range e.typ.NumField() {
		f := e.typ.Field(i)
		t := f.Type
		if t.Name() == "" && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		isStruct := t.Kind() == reflect.Struct
		tag := f.Tag.Get("json")
		if tag == "-" || !f.IsExported() && !(f.Anonymous && isStruct) {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !isValidName(name) {
			name = ""
		}
		index := append(slices.Clone(e.index), i)
		if name == "" && f.Anonymous && isStruct {
			embedded = append(embedded, embedding{t, index})
			continue
		}
		quoted := slices.Contains(strings.Split(options, ","), "string") && isQuotable(t)
		own = append(own, field{name: cmp.Or(name, f.Name), typ: f.Type, quoted: quoted, tagged: name != "", index: index})
	}
	return own, embedded
}

// isQuotable reports whether the option "string" has an effect.
func isQuotable(t reflect.Type) bool {
	if form := formOf(t); form == ownJSON || form == ownText {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64:
		return true
	}
	return isInteger(t)
}

// isValidName reports whether encoding/json takes a name from a tag.
func isValidName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}
