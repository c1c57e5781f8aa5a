package wire

// A JSONScanner finds the end of a JSON value without judging what is in it.
// A value ends with the bracket or the quote that closes it.
type JSONScanner struct {
	// Lines makes a value end with its line, too, so that whatever a line
	// holds, the next one starts afresh. A scalar ends only there.
	Lines bool

	begun, quoted, escaped bool
	depth                  int
}

// Begun tells whether anything but white space has been seen.
func (s *JSONScanner) Begun() bool { return s.begun }

// Scan looks at data, the bytes that follow those it has seen. It returns how
// many of them belong to the value, and whether that is all of it.
func (s *JSONScanner) Scan(data []byte) (n int, complete bool) {
	for i, b := range data {
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
		s.begun = true
	}
	return false
}
