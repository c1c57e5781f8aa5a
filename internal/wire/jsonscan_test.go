package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
)

// split returns where each value of data ends, but for white space behind it.
// The data come in pieces of a size.
func split(data []byte, size int, lines bool) (ends []int) {
	for start := 0; start < len(data); {
		s := JSONScanner{Lines: lines}
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
				if got := split([]byte(test.data), size, lines); !slices.Equal(got, test.want) {
					t.Errorf("values of %q end at %v in pieces of %d, lines %v; want %v", test.data, got, size, lines, test.want)
				}
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
			if got := split(data, size, false); !slices.Equal(got, want) {
				t.Errorf("values of %q end at %v, want %v", data, got, want)
			}
			if got := split(data, size, true); !bytes.Contains(data, []byte("\n")) && !slices.Equal(got, want) {
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
