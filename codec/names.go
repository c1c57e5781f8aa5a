package codec

// A connection remembers this many method names, of this many bytes each, so
// that they are not allocated call after call.
const (
	maxNames     = 256
	maxNameBytes = 256
)

// names are the methods called so far on a connection.
type names struct {
	known map[string]string
	last  string // the latest of them
}

// name returns b as a string, the same string each time if it is remembered.
func (n *names) name(b []byte) string {
	if string(b) == n.last {
		return n.last
	}
	s, known := n.known[string(b)]
	if !known {
		s = string(b)
		if n.last != "" { // one name alone needs no map
			n.remember(n.last)
			n.remember(s)
		}
	}
	if len(s) <= maxNameBytes { // a peer may make up longer ones
		n.last = s
	}
	return s
}

func (n *names) remember(name string) {
	if len(n.known) >= maxNames || len(name) > maxNameBytes {
		return
	}
	if n.known == nil {
		n.known = make(map[string]string)
	}
	n.known[name] = name
}
