package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
)

// split returns where each value of data ends, but for white space behind it.
// The data come in pieces of a size.
func split(data []byte, size int, mode JSONScanner) (ends []int) {
	for start := 0; start < len(data); {
		s := mode
		end, complete := start, false
		for end < len(data) && !complete {
			var n int
			n, complete = s.Scan(data[end:min(end+size, len(data))])
			end += n
		}
		if !complete {
			return ends
		}
		ends = append(ends, start+len(bytes.TrimRight(data[start:end], " \t\r\n")))
		start = end
	}
	return ends
}

// TestB102_WhereScalarsEnd holds where numbers and words end, which no bracket
// closes.
func TestB102_WhereScalarsEnd(t *testing.T) {
	tests := []struct {
		data string
		want []int
	}{
		{"null ", []int{4}},
		{"null", nil}, // "12" may be the beginning of "123"
		{"12\t", []int{2}},
		{"12\r", []int{2}},
		{"12\n", []int{2}},
		{`null {"a":1}`, []int{4, 12}},
		{`null{"a":1}`, []int{4, 11}},
		{`true[1, 2]`, []int{4, 10}},
		{`-1.5e+3"a b"`, []int{7, 12}},
		{`{} false {}`, []int{2, 8, 11}},
		{"1 2\n3 ", []int{1, 3, 5}},
		{`{"a":null ,"b":[1 , 2 ]} 3 `, []int{24, 26}},
		{`1,2 `, []int{3}}, // no value at all, and one error
		{`1]{}`, []int{2, 4}},
		{`word:"x" `, []int{5, 8}},
		{" \n null\n\n{}", []int{7, 11}},
	}
	for _, test := range tests {
		for _, lines := range []bool{true, false} {
			for _, size := range []int{1, 3, len(test.data)} {
				if got := split([]byte(test.data), size, JSONScanner{Lines: lines}); !slices.Equal(got, test.want) {
					t.Errorf("values of %q end at %v in pieces of %d, lines %v; want %v", test.data, got, size, lines, test.want)
				}
			}
		}
	}
}

// Strict ends a value where it can't be JSON any more, and nowhere else.
func TestJSONScanner_Strict(t *testing.T) {
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	tests := []struct {
		data     string
		end      int // 0: more is waited for
		complete bool
	}{
		{`[{"a"] more`, 6, true},
		{`{"a":[1}`, 8, true},
		{`{"a":[{}],"b":{}}`, 17, true},
		{"{\"a\":\"b\n", 8, true},
		{"{\"a\":\n\"b\"", 9, false},
		{"{\"a\\\n", 5, true},
		{`{"]":1`, 6, false},
		{deep, 128, true},
		{"[" + deep[:127] + "}", 129, false}, // too deep to be sure
	}
	for _, test := range tests {
		for size := range len(test.data) {
			s, n, complete := JSONScanner{Strict: true}, 0, false
			for n < len(test.data) && !complete {
				var more int
				more, complete = s.Scan([]byte(test.data[n:min(n+size+1, len(test.data))]))
				n += more
			}
			if n != test.end || complete != test.complete {
				t.Errorf("%q in pieces of %d: ended at %d, %v; want %d, %v", test.data, size+1, n, complete, test.end, test.complete)
			}
		}
	}
}

// FuzzJSONScanner compares the ends of values with what encoding/json says.
func FuzzJSONScanner(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"}\"{","b":[{},[]]}`, `{"MagicNumber":3927900}`, `{"\\":"\\"}`, `{ } `,
		`null {"a":1} -1.5e3 true"x"[1, 2]false `, "1 2\n\"3\"null[{}]\t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, ok := decoderEnds(data)
		if !ok {
			return
		}
		for _, size := range []int{1, len(data) + 1} {
			for _, strict := range []bool{false, true} {
				if got := split(data, size, JSONScanner{Strict: strict}); !slices.Equal(got, want) {
					t.Errorf("values of %q end at %v, want %v (strict: %v)", data, got, want, strict)
				}
			}
			if got := split(data, size, JSONScanner{Lines: true}); !bytes.Contains(data, []byte("\n")) && !slices.Equal(got, want) {
				t.Errorf("values of %q end at %v with lines, want %v", data, got, want)
			}
		}
	})
}

// decoderEnds returns where a json.Decoder sees the values of data end. It
// reports false if they are not JSON throughout, end with a scalar that more
// digits could follow, or have two scalars without a blank between them, which
// the Decoder tells apart and nobody writes.
func decoderEnds(data []byte) (ends []int, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	for touching := false; ; {
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return ends, err == io.EOF
		}
		end := int(dec.InputOffset())
		scalar := !bytes.ContainsRune([]byte(`{["`), rune(v[0]))
		if touching && scalar && end-len(v) == ends[len(ends)-1] || scalar && end == len(data) {
			return nil, false
		}
		ends, touching = append(ends, end), scalar
	}
}

// A byteScanner is a JSONScanner that looks at one byte at a time.
type byteScanner struct {
	lines, begun, scalar, quoted, escaped bool
	depth                                 int
}

func (s *byteScanner) scan(data []byte) (n int, complete bool) {
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

func (s *byteScanner) step(b byte) bool {
	switch {
	case b == '\n' && s.lines:
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

// FuzzJSONScannerBytes compares a JSONScanner, piece by piece of any data, with one
// that looks at each byte.
func FuzzJSONScannerBytes(f *testing.F) {
	for _, s := range []string{"", " \r\n{\"a\":[1,\"b\\\"}\n", `"twelve \"bytes\" and \\ more" 12{}`, "12\n", "]1]\n",
		`{"key":"a long string without anything in it that is special"}`, "\"\x00\x80\xff!\x22\x5d\x0b\x0a", "\"a\\\nb\"",
		strings.Repeat(`"\\`, 20) + `\"""`} {
		for _, size := range []byte{0, 1, 3, 8, 200} {
			f.Add([]byte(s), size)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		for _, lines := range []bool{false, true} {
			compareWithBytes(t, data, int(size)+1, lines)
		}
	})
}

// compareWithBytes scans data in pieces of a size, value by value.
func compareWithBytes(t *testing.T, data []byte, size int, lines bool) {
	got, want := JSONScanner{Lines: lines}, byteScanner{lines: lines}
	for rest := data; len(rest) > 0; {
		piece := rest[:min(size, len(rest))]
		n, complete := got.Scan(piece)
		wantN, wantComplete := want.scan(piece)
		if n != wantN || complete != wantComplete || got.Begun() != want.begun {
			t.Fatalf("%q in pieces of %d, lines %v: at %d, %d %v begun %v, want %d %v begun %v", data, size, lines,
				len(data)-len(rest), n, complete, got.Begun(), wantN, wantComplete, want.begun)
		}
		if rest = rest[n:]; complete {
			got, want = JSONScanner{Lines: lines}, byteScanner{lines: lines}
		}
	}
}

// BenchmarkJSONScanner scans a small message, one with many members and one with a
// long string.
func BenchmarkJSONScanner(b *testing.B) {
	for _, test := range []struct{ name, data string }{
		{"header", `{"ServiceMethod":"Arith.Add","Seq":12345,"Error":""}`},
		{"numbers", "[" + strings.Repeat("12345,", 1000) + "1]"},
		{"members", "[" + strings.Repeat(`{"Name":"a name","Count":12},`, 300) + "1]"},
		{"string", `"` + strings.Repeat("abcdefgh", 8<<10) + `"`},
	} {
		b.Run(test.name, func(b *testing.B) {
			data := []byte(test.data)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				s := JSONScanner{Lines: true}
				if n, complete := s.Scan(data); n != len(data) || !complete {
					b.Fatal(n, complete)
				}
			}
		})
	}
}
