package gobstream

import "geerpc/internal/wire"

// A kind is what a definition defines, by its field in gob's wireType.
type kind int

const (
	arrayKind kind = iota
	sliceKind
	structKind
	mapKind
	encoderKind                   // first of three kinds whose values are bytes to us
	numKinds    = encoderKind + 3 // and what a typeDef has before its kind is known
)

// maxFields is more fields than a struct has.
const maxFields = 1 << 20

// definition reads the definition of a type: gob's wireType, a struct with a
// single field, whose value is a struct again. The first field of that one holds
// the type's name.
func (w *walk) definition() *typeDef {
	t := &typeDef{kind: numKinds}
	w.fields(func(k int) {
		if t.kind != numKinds || kind(k) >= numKinds {
			w.fail(corrupt("gob type of two kinds, or of an unknown one"))
			return
		}
		t.kind = kind(k)
		w.fields(func(field int) { w.describe(t, field) })
	})
	if !t.complete() {
		w.fail(corrupt("gob type in parts"))
	}
	return t
}

// complete reports whether a definition had the fields that its kind needs.
func (t *typeDef) complete() bool {
	switch t.kind {
	case numKinds:
		return false
	case arrayKind, sliceKind:
		return len(t.parts) > 0
	case mapKind:
		return len(t.parts) == 2
	}
	return true
}

// describe reads one field of the definition of t.
func (w *walk) describe(t *typeDef, field int) {
	switch {
	case field == 0:
		w.nameAndID()
	case field == 1 && t.kind == structKind:
		w.describeFields(t)
	case field == 1 && t.kind < encoderKind, field == 2 && t.kind == mapKind:
		t.parts = append(t.parts, w.id())
	case field == 2 && t.kind == arrayKind:
		t.length = w.int()
	default:
		w.fail(corrupt("gob type with an unknown field"))
	}
}

// describeFields reads the fields of a struct type.
func (w *walk) describeFields(t *typeDef) {
	n := w.uint()
	switch { // each field takes a byte at least
	case n > uint64(w.left()):
		w.fail(corrupt("gob type cut short"))
	case wire.Exceeds(int(n), w.schema.limit):
		w.fail(tooManyDefinitions(w.schema.limit))
	}
	for ; n > 0 && w.err == nil; n-- {
		name, id := w.nameAndID()
		t.parts, t.names = append(t.parts, id), append(t.names, name)
	}
}

// nameAndID reads a struct of a name and an id.
func (w *walk) nameAndID() (name string, id int) {
	w.fields(func(field int) {
		switch field {
		case 0:
			name = string(w.take(w.uint()))
		case 1:
			id = w.id()
		default:
			w.fail(corrupt("gob type with an unknown field"))
		}
	})
	return name, id
}

// fields calls f for each field that a struct has on the stream. A field begins
// with the distance of its number from the previous one's; zero ends the struct.
func (w *walk) fields(f func(field int)) {
	for field := -1; w.err == nil; {
		delta := w.uint()
		if delta == 0 {
			return
		}
		if delta > maxFields {
			w.fail(corrupt("gob field out of range"))
			return
		}
		field += int(delta)
		f(field)
	}
}
