package gobstream

import (
	"fmt"
	"math"

	"geerpc/internal/wire"
)

// The ids of the types that need no definition.
const (
	boolID = iota + 1
	intID
	uintID
	floatID
	bytesID
	stringID
	complexID
	interfaceID

	firstDefinedID = 64
)

// A typeDef is a type that has been defined on a stream.
type typeDef struct {
	kind   kind
	parts  []int    // ids of the fields' types, or of the element's, or of the key's and the element's
	names  []string // of the fields
	length int      // of an array
	flat   flatness
}

// A flatness says whether values of a type are flat: they hold no interface, no
// map and no value of their own type. Gob decodes flat values safely.
type flatness int

const (
	flatUnknown  flatness = iota
	flatVisiting          // met again meanwhile, the type holds itself
	flatYes
	flatNo
)

// A schema is the types that have been defined on a stream: by the peer, where
// it is read, or for the peer, where it is written.
type schema struct {
	types map[int]*typeDef
	spent int // bytes of definitions
	limit int // of spent; 0: no limit

	// A writer's schema takes definitions again that it has, since each new
	// encoder repeats them, and forgets those that have not been sent.
	writing      bool
	pending      []int // types that have been added since commit
	pendingBytes int   // of their definitions
}

// commit keeps the types that have been added.
func (s *schema) commit() { s.pending, s.pendingBytes = s.pending[:0], 0 }

// rollback forgets the types that have been added since commit.
func (s *schema) rollback() {
	for _, id := range s.pending {
		delete(s.types, id)
	}
	s.spent -= s.pendingBytes
	s.commit()
}

// flat reports whether values of the type are flat.
func (s *schema) flat(id int) bool {
	t := s.types[id]
	switch {
	case t == nil:
		return boolID <= id && id < interfaceID
	case t.flat == flatUnknown:
		t.flat = flatVisiting
		t.flat = s.flatnessOf(t)
	}
	return t.flat == flatYes
}

func (s *schema) flatnessOf(t *typeDef) flatness {
	if t.kind == mapKind {
		return flatNo
	}
	for _, id := range t.parts {
		if !s.flat(id) {
			return flatNo
		}
	}
	return flatYes
}

// define adds the type whose definition the walk has come to. It reports whether
// the type is new.
func (s *schema) define(id int, w *walk) (added bool) {
	switch known := s.types[id] != nil; {
	case id < firstDefinedID || id > math.MaxInt32:
		w.fail(errIntegerRange)
		return false
	case known && !s.writing:
		w.fail(corrupt("gob type defined twice"))
		return false
	case known:
		w.definition()
		return false
	}
	before := w.left()
	t := w.definition()
	n := before - w.left()
	if w.err == nil && wire.Exceeds(s.spent+n, s.limit) {
		w.fail(tooManyDefinitions(s.limit))
	}
	if w.err != nil {
		return false
	}
	if s.types == nil {
		s.types = make(map[int]*typeDef)
	}
	s.types[id] = t
	s.spent += n
	if s.writing {
		s.pending, s.pendingBytes = append(s.pending, id), s.pendingBytes+n
	}
	return true
}

func tooManyDefinitions(limit int) error {
	return fmt.Errorf("%w: more than the %d bytes of MaxDefinitionBytes on one connection", wire.ErrDefinitions, limit)
}
