package codec

import (
	"fmt"
	"math"

	"geerpc/internal/wire"
)

// A gob stream is a sequence of sections, a length and as many bytes. A section
// either defines a type (its id is negative) or holds a value of a type that
// has been defined. An encoder that meets a new type inside an interface,
// however, puts the definition right there, in the middle of the value, and
// goes on in another section. So only who knows the types can tell where a
// value ends, and a gob.Decoder that gives up in the middle of it, or skips
// it, misses definitions that later values need.
//
// The decoder also believes what it is told: it makes a map for as many
// entries as the stream announces, and follows a recursive type as deep as the
// stream goes. Therefore values of types that hold interfaces, maps or
// themselves are walked before they are decoded, see gobWalk.
//
// See "Encoding Details" in the documentation of encoding/gob.

// The ids of the types that need no definition; the others are the peer's.
const (
	gobBool = iota + 1
	gobInt
	gobUint
	gobFloat
	gobBytes
	gobString
	gobComplex
	gobInterface

	gobFirstID = 64
)

// A gobKind is what a definition defines, by its field in gob's wireType.
type gobKind int

const (
	gobArray gobKind = iota
	gobSlice
	gobStruct
	gobMap
	gobEncoder // one of three kinds that look like bytes
	gobKinds   = gobEncoder + 3
)

// A gobType is a type that the peer has defined.
type gobType struct {
	kind  gobKind
	parts []int    // ids of the fields, or of the key and the element
	names []string // of the fields
	flat  flatness
}

// A flatness tells whether values of a type can be decoded unseen.
type flatness int

const (
	flatUnknown flatness = iota
	flatAsking           // met again, the type holds itself
	flatYes
	flatNo
)

// A gobSchema is the types that have been defined on one gob stream: by the
// peer, where one reads, or for it, where one writes.
type gobSchema struct {
	types map[int]*gobType
	spent int // bytes of definitions
	limit int // what spent may come to, 0: no limit

	// Definitions may be repeated, and are then left out. So it is where one
	// writes: encoders come and go.
	repeats bool

	draft      []int // of the types, those that may be taken back
	draftSpent int   // what they have added to spent
}

// keep makes the types that were defined since the last time stay.
func (s *gobSchema) keep() { s.draft, s.draftSpent = s.draft[:0], 0 }

// takeBack forgets them: their definitions have not been sent.
func (s *gobSchema) takeBack() {
	for _, id := range s.draft {
		delete(s.types, id)
	}
	s.spent -= s.draftSpent
	s.keep()
}

// flat tells whether no value of the type holds an interface, a map or a value
// of a type that is on the way already.
func (s *gobSchema) flat(id int) bool {
	t := s.types[id]
	switch {
	case t == nil:
		return gobBool <= id && id < gobInterface
	case t.flat == flatUnknown:
		t.flat = flatAsking
		t.flat = s.judge(t)
	}
	return t.flat == flatYes
}

func (s *gobSchema) judge(t *gobType) flatness {
	if t.kind == gobMap {
		return flatNo
	}
	for _, part := range t.parts {
		if !s.flat(part) {
			return flatNo
		}
	}
	return flatYes
}

// define adds the type that the definition at the start of w says. It reports
// whether it is a new one.
func (s *gobSchema) define(id int, w *gobWalk) (fresh bool) {
	if known := s.types[id] != nil; id < gobFirstID || known && !s.repeats {
		w.fail("gob type defined twice")
		return false
	} else if known {
		w.definition()
		return false
	}
	before := len(w.in)
	t := w.definition()
	n := before - len(w.in)
	if w.err == nil && wire.Exceeds(s.spent+n, s.limit) {
		w.failWith(tooManyDefinitions(s.limit))
	}
	if w.err != nil {
		return false
	}
	if s.types == nil {
		s.types = make(map[int]*gobType)
	}
	s.types[id] = t
	s.spent += n
	if s.repeats {
		s.draft, s.draftSpent = append(s.draft, id), s.draftSpent+n
	}
	return true
}

func tooManyDefinitions(limit int) error {
	return fmt.Errorf("%w: more than the %d bytes of MaxDefinitionBytes on one connection", ErrDefinitions, limit)
}

// definition reads a wireType of gob, a struct with one field set, which is a
// struct again. The first field of each holds its name.
func (w *gobWalk) definition() *gobType {
	t := &gobType{kind: gobKinds}
	w.fields(func(kind int) {
		if t.kind != gobKinds || gobKind(kind) >= gobKinds {
			w.fail("gob type of two kinds, or of an unknown one")
			return
		}
		t.kind = gobKind(kind)
		w.fields(func(field int) { w.describe(t, field) })
	})
	if t.kind == gobKinds || t.kind < gobEncoder && t.kind != gobStruct && len(t.parts) == 0 || t.kind == gobMap && len(t.parts) != 2 {
		w.fail("gob type in parts")
	}
	return t
}

// describe reads one field of the definition of t.
func (w *gobWalk) describe(t *gobType, field int) {
	switch {
	case field == 0:
		w.nameAndID()
	case field == 1 && t.kind == gobStruct:
		n := w.uint()
		switch { // a field takes a byte at least
		case n > uint64(len(w.in)):
			w.fail("gob type cut short")
		case wire.Exceeds(int(n), w.schema.limit):
			w.failWith(tooManyDefinitions(w.schema.limit))
		}
		for ; n > 0 && w.err == nil; n-- {
			name, id := w.nameAndID()
			t.parts, t.names = append(t.parts, id), append(t.names, name)
		}
	case field == 1 && t.kind < gobEncoder, field == 2 && t.kind == gobMap:
		t.parts = append(t.parts, w.int())
	case field == 2 && t.kind == gobArray:
		w.int() // its length, which stands in the values as well
	default:
		w.fail("gob type with an unknown field")
	}
}

// nameAndID reads a struct of these two.
func (w *gobWalk) nameAndID() (name string, id int) {
	w.fields(func(field int) {
		switch field {
		case 0:
			name = string(w.take(w.uint()))
		case 1:
			id = w.int()
		default:
			w.fail("gob type with an unknown field")
		}
	})
	return name, id
}

// parseGobLength reads the length of the section at the start of data. If data
// is too short to tell, it returns the number of bytes that are needed.
func parseGobLength(data []byte) (length, n, need int, err error) {
	x, n, need, err := parseGobUint(data)
	if need > 0 || err != nil {
		return 0, 0, need, err
	}
	if x == 0 || x > math.MaxInt32 {
		return 0, 0, 0, fmt.Errorf("%w: gob section of %d bytes", ErrCorrupt, x)
	}
	return int(x), n, 0, nil
}

// parseGobUint reads an unsigned integer: a byte below 128, or the negated
// number of bytes that follow, big-endian.
func parseGobUint(data []byte) (x uint64, n, need int, err error) {
	if len(data) == 0 {
		return 0, 0, 1, nil
	}
	if data[0] < 0x80 {
		return uint64(data[0]), 1, 0, nil
	}
	n = -int(int8(data[0]))
	if n > 8 {
		return 0, 0, 0, fmt.Errorf("%w: gob integer of %d bytes", ErrCorrupt, n)
	}
	if len(data) < 1+n {
		return 0, 0, 1 + n, nil
	}
	for _, b := range data[1 : 1+n] {
		x = x<<8 | uint64(b)
	}
	return x, 1 + n, 0, nil
}
