package wire

// A JSONScanner finds the end of a JSON value without judging what is in it.
//
// A list, an object or a string ends with the bracket or the quote that closes
// it. A scalar (a number, null, true or false) ends with the white space behind
// it, or before what begins another value: '{', '[' or a quote. The end of the
// stream does not end a scalar, because digits may be missing.
type JSONScanner struct {
	// Lines makes a value end with its line, too, so that one that is cut
	// short does not swallow the next line.
	Lines bool

	begun, scalar, quoted, escaped bool
	depth                          int
}

// Begun tells whether anything but white space has been seen.
func (s *JSONScanner) Begun() bool { return s.begun }

// Scan looks at data, the bytes that follow those it has seen. It returns how
// many of them belong to the value, and whether that is all of it. The white
// space that ends a scalar counts.
func (s *JSONScanner) Scan(data []byte) (n int, complete bool) {
	for i, b := range data {
		if s.scalar && (b == '{' || b == '[' || b == '"') {
			return i, true
		}
		if s.step(b) {
			return i + 1, true
		}
	}
	return len(data), false
}

// step takes one byte and tells whether it is the value's last.
func (s *JSONScanner) step(b byte) bool {
	switch {
	case b == '\n' && s.Lines:
		return s.begun
	case s.escaped:
		s.escaped = false
	case s.quoted:
		s.escaped = b == '\\'
		s.quoted = b != '"'
		return !s.quoted && s.depth == 0
	case b == ' ' || b == '\t' || b == '\r' || b == '\n':
		return s.scalar
	case b == '"':
		s.begun, s.quoted = true, true
	case b == '{' || b == '[':
		s.begun = true
		s.depth++
	case b == '}' || b == ']':
		s.begun = true
		s.depth--
		return s.depth <= 0
	default:
		s.begun, s.scalar = true, s.depth == 0
	}
	return false
}
