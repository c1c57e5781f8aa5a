package link

import "geerpc/codec"

// Kinds is a set of kinds of messages.
type Kinds uint16

// NewKinds returns the kinds of some names. Names that nobody knows are left out.
func NewKinds(names []string) (s Kinds) {
	for _, name := range names {
		if k := codec.ParseKind(name); k < 16 {
			s |= 1 << k
		}
	}
	return s
}

// Has reports whether k is in the set.
func (s Kinds) Has(k codec.Kind) bool { return s>>k&1 == 1 }
