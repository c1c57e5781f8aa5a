package wire

import (
	"encoding/binary"
	"math/bits"
)

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

	// Strict makes a value end where it is sure to be no JSON, so that nobody waits
	// for the rest of it: at the end of a line in a string, and at a bracket that
	// closes one of the other kind (in values of up to 64 levels).
	Strict bool

	begun, scalar, quoted, escaped bool
	depth                          int

	// With Strict: whether each bracket that is open is an object's, the innermost in
	// the lowest bit, and whether there have been more than are remembered.
	objects uint64
	deep    bool
}

// Begun tells whether anything but white space has been seen.
func (s *JSONScanner) Begun() bool { return s.begun }

// Scan looks at data, the bytes that follow those it has seen. It returns how
// many of them belong to the value, and whether that is all of it. The white
// space that ends a scalar counts.
func (s *JSONScanner) Scan(data []byte) (n int, complete bool) {
	for n < len(data) {
		if s.quoted {
			if n, complete = s.scanString(data, n); complete {
				return n, true
			}
			continue
		}
		class := classes[data[n]]
		if s.scalar && (class == quote || class == opening) {
			return n, true
		}
		n++
		switch class {
		case plain:
			s.begun, s.scalar = true, s.depth == 0
			for n < len(data) && classes[data[n]] == plain {
				n++
			}
		case quote:
			s.begun, s.quoted = true, true
		case opening:
			s.begun = true
			s.depth++
			if s.Strict {
				s.opened(data[n-1])
			}
		case closing:
			s.begun = true
			if s.depth--; s.depth <= 0 || s.Strict && !s.matches(data[n-1]) {
				return n, true
			}
		default:
			if s.scalar || s.begun && s.Lines && data[n-1] == '\n' {
				return n, true
			}
		}
	}
	return n, false
}

// opened notes a bracket that has been opened.
func (s *JSONScanner) opened(bracket byte) {
	s.objects <<= 1
	if bracket == '{' {
		s.objects |= 1
	}
	s.deep = s.deep || s.depth > 64
}

// matches reports whether a bracket is of the kind that closes the innermost one.
func (s *JSONScanner) matches(bracket byte) bool {
	object := s.objects&1 == 1
	s.objects >>= 1
	return s.deep || object == (bracket == '}')
}

// scanString goes on inside a string, from offset n. It returns where it stopped:
// behind the string, behind the line if that ends the value, or at the end of data.
func (s *JSONScanner) scanString(data []byte, n int) (end int, complete bool) {
	for ; ; n++ {
		if !s.escaped {
			n += plainInString(data[n:])
		}
		if n == len(data) {
			return n, false
		}
		switch b := data[n]; {
		case b == '\n' && (s.Lines || s.Strict):
			return n + 1, true
		case s.escaped:
			s.escaped = false
		case b == '\\':
			s.escaped = true
		case b == '"':
			s.quoted = false
			return n + 1, s.depth == 0
		}
	}
}

// plainInString returns how many bytes come before the first quote, backslash or
// newline. It looks at eight of them at a time.
func plainInString(data []byte) (n int) {
	for ; len(data)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(data[n:])
		if found := zeros(x^each*'"') | zeros(x^each*'\\') | zeros(x^each*'\n'); found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(data) && data[n] != '"' && data[n] != '\\' && data[n] != '\n' {
		n++
	}
	return n
}

const each = 0x0101010101010101 // times a byte: eight of it

// zeros has the highest bit of the lowest zero byte of x set, and none below it.
func zeros(x uint64) uint64 { return (x - each) &^ x & (each * 0x80) }

// What a byte is outside strings.
const (
	plain   = iota // a part of a scalar, a comma or a colon
	white          // white space
	quote          // begins a string
	opening        // begins an object or a list
	closing        // ends one
)

var classes = [256]uint8{'"': quote, '{': opening, '[': opening, '}': closing, ']': closing,
	' ': white, '\t': white, '\r': white, '\n': white}
